#include <gtest/gtest.h>

#include "litmus/parser.hpp"
#include "litmus/samples_test.hpp"

namespace cowherd::litmus {
namespace {

/// A bad text and the one complaint about it: "line:column: message".
struct Case {
  const char* text;
  const char* expected;
};

std::string complaints(std::string_view text) {
  std::string out;
  for (const Diagnostic& diagnostic : parse(text, "t").diagnostics) {
    if (!out.empty()) out += "\n";
    out += std::to_string(diagnostic.position.line) + ":" + std::to_string(diagnostic.position.column) + ": " +
           diagnostic.message;
    if (!diagnostic.suggestion.empty()) out += "; did you mean '" + diagnostic.suggestion + "'?";
  }
  return out;
}

class BadText : public testing::TestWithParam<Case> {};
TEST_P(BadText, IsExplained) { EXPECT_EQ(complaints(GetParam().text), GetParam().expected) << GetParam().text; }

class BadStatement : public testing::TestWithParam<Case> {};
TEST_P(BadStatement, IsExplained) {
  EXPECT_EQ(complaints(with_statements(GetParam().text)), GetParam().expected) << GetParam().text;
}

class BadCondition : public testing::TestWithParam<Case> {};
TEST_P(BadCondition, IsExplained) {
  EXPECT_EQ(complaints(with_statements("r0 = READ_ONCE(*x);") + GetParam().text), GetParam().expected)
      << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadText,
    testing::Values(
        Case{"", "1:1: a test begins with 'COW name', not the end of the text"},
        Case{"C sb\n{}\nP0() {}", "1:1: a test begins with 'COW name', not 'C'"},
        Case{"COW\n{}\nP0() {}", "2:1: expected the test's name, not '{'"},
        Case{"COW a/b\n{}\nP0() {}", "1:5: a test's name consists of letters, digits, '-', '_', '.' and '+'"},
        Case{"COW t\nP0() {}", "2:1: expected the init block '{ ... }' before the first block, not 'P0'"},
        Case{"COW t {}", "1:1: a test needs a block P0"},
        Case{"COW t { x = anon;", "1:18: expected '}' at the end of the init block, not the end of the text"},
        Case{"COW t {} P0() { exit();", "1:24: expected '}' at the end of P0, not the end of the text"},
        Case{"COW t { x = hugetlb[3]; } P0() {}", "1:21: hugetlb pages are 4 pages each"},
        Case{"COW t { f = hugetlbfs[3]; } P0() {}", "1:23: hugetlb pages are 4 pages each"},
        Case{"COW t { f = hugetlbfs[8]; x = f[2..5] private; } P0() {}", "1:32: hugetlb pages are 4 pages each"},
        Case{"COW t { f = memfd; x = f private noreserve; } P0() {}", "1:34: 'f' has no reservation"},
        Case{"COW t { x = anon noreserve; } P0() {}", "1:18: 'anon' has no reservation"},
        Case{"COW t { hugepages = 2; hugepages = 1; } P0() {}", "1:24: 'hugepages' is said twice"},
        Case{"COW t { folios = 2; folios = 4; } P0() {}", "1:21: 'folios' is said twice"},
        Case{"COW t { folios = 3; } P0() {}", "1:18: a large folio has 2 or 4 pages"},
        Case{"COW t { x = hugetlb; } P0() {} exists (pool(used)=1)",
             "1:45: expected free or reserved; did you mean 'free'?"},
        Case{"COW t { x = anno(1); } P0() { READ_ONCE(*x); }",
             "1:13: a variable is anon, zeropage, secret, thp, hugetlb, unmapped or a file's, a device is device, a "
             "file memfd, file or hugetlbfs; not "
             "'anno'; did you mean 'anon'?"},
        Case{"COW t { P1 = anon; } P0() {}", "1:9: 'P1' is a word of the language, not a name"},
        Case{"COW t { x = anon; x = device; } P0() {}", "1:19: 'x' is declared twice"},
        Case{"COW t { x = anon[0]; } P0() {}", "1:18: expected a number from 1 to 16 of pages, not '0'"},
        Case{"COW t { x = zeropage(1); } P0() {}", "1:13: 'zeropage' takes no value; did you mean 'anon'?"},
        Case{"COW t { x = unmapped PROT_READ; } P0() {}", "1:22: what is not mapped has no protection"},
        Case{"COW t { x = anon\n y = anon; } P0() {}", "1:17: expected ';' after the declaration"},
        Case{"COW t\n(* Result: never *)\n{} P0() {}",
             "2:1: 'never' is no verdict: Never, Sometimes or Always; did you mean 'Never'?"},
        Case{"COW t\n(* Result: Never *)\n(* Result: Always *)\n{} P0() {}", "3:1: a second 'Result:'"},
        Case{"COW t\n(* Rules: Nevr a *)\n{} P0() {}",
             "2:1: 'Nevr' is no verdict: Never, Sometimes or Always; did you mean 'Never'?"},
        Case{"COW t\n(* Rules: Never *)\n{} P0() {}", "2:1: Never for which rules?"},
        Case{"COW t\n(* Rules: Never a b *)\n{} P0() {}", "2:1: 'a b' is no rule set and no range of them"},
        Case{"COW t\n(* Resutl: Never *)\n{} P0() {}",
             "2:1: this looks like an expectation, but its first word is none of Result, Rules, Grain, Source, Remark; "
             "did you mean 'Result'?"},
        Case{"COW t\n(* Rules: Never reuse=never *)\n{} P0() {}",
             "2:1: 'reuse=never' is no rule set and no range of them"},
        Case{"COW t\n(* Rules: Never linux-5.9..,reuse=never *)\n{} P0() {}",
             "2:1: 'reuse=never' is no rule set and no range of them"},
        Case{"COW t\n(* Grain: stpe *)\n{} P0() {}",
             "2:1: 'stpe' is no grain: operation or step; did you mean 'step'?"},
        Case{"COW t\n(* Grain: step *)\n(* Grain: step *)\n{} P0() {}", "3:1: a second 'Grain:'"},
        Case{"COW t\n{}\n(* Grain: step *)\nP0() {}", "3:1: 'Grain:' belongs before the init block"},
        Case{"COW t\n{}\n(* Result: Never *)\nP0() {}", "3:1: 'Result:' belongs before the init block"},
        Case{"COW t {}\nP0() {}\nP2() {}", "3:1: blocks are numbered in order: expected P1, not P2"},
        Case{"COW t {}\nP0() {}\ndevice P1() {}", "3:8: a device block is called D0, not P1"},
        Case{"COW t {}\ndevice D0() {}\nP0() {}", "3:1: process blocks come first, then devices, then kernel blocks"},
        Case{"COW t {}\nP0() {}\nD0() {}", "3:1: D0 needs 'device' or 'kernel' before it"},
        Case{"COW t { x = anon; } P0(page *z) {}", "1:30: the init block declares no page 'z'"},
        Case{"COW t { x = anon; d = device; } P0(page *d) {}", "1:42: the init block declares no page 'd'"},
        Case{"COW t { x = anon; } P0(int *x) {}", "1:24: expected 'page *x', 'file *f' or 'dev *d', not 'int'"},
        Case{"COW t {} P0() {} P1() { fork(P2); } P2() { fork(P1); }",
             "1:44: P1 never runs: it waits to be started by a block that it starts itself"},
        Case{"COW t {} P0() { fork(D0); } device D0() {}", "1:17: fork takes a process block, not D0"},
        Case{"COW t { x = anon; } P0() {} device D0() { READ_ONCE(*x); }",
             "1:43: a device only does dma_read and dma_write, not READ_ONCE"},
        Case{"COW t { x = anon; } P0() {} kernel K0() { munmap(x); }",
             "1:43: a kernel block only does lock_page, unlock_page, clear_refs, numa_hint, ksm_merge, ksm_zero, "
             "ksm_unmerge, "
             "try_share, writeback, drop_cache, swapout, swapin, migrate, collapse, split, poison, compact, "
             "offline, make_exclusive and device_*, not munmap"},
        Case{"COW t { x = anon; } P0() {} kernel K0() { lock_page(x); }",
             "1:43: lock_page must say whose memory: lock_page(P0:x)"},
        Case{"COW t { x = anon; } P0() {} kernel K0() { clear_refs(x); }",
             "1:43: clear_refs must say whose memory: clear_refs(P0:x)"},
        Case{"COW t { x = anon; } P0() { lock_page(D0:x); } device D0() {}", "1:28: only a process block has memory"},
        Case{"COW t\n\"never closed\n{} P0() {}", "2:1: this text has no closing '\"' on its line"},
        Case{"COW t { /* \303\244\303\266 */ x = anno; } P0() {}",
             "1:22: a variable is anon, zeropage, secret, thp, hugetlb, unmapped or a file's, a device is device, a "
             "file memfd, file or hugetlbfs; not "
             "'anno'; did you mean 'anon'?"}));

INSTANTIATE_TEST_SUITE_P(
    Table, BadStatement,
    testing::Values(
        Case{"WRITE_ONE(*x, 2);", "4:1: no statement is called 'WRITE_ONE'; did you mean 'WRITE_ONCE'?"},
        Case{"frobnicate(x);", "4:1: no statement is called 'frobnicate' (cowherd syntax lists them)"},
        Case{"= 3;", "4:1: expected a statement, not '='"},
        Case{"READ_ONCE(*q);", "4:12: the init block declares no 'q'"},
        Case{"READ_ONCE(*d);", "4:12: 'd' is a device, but READ_ONCE takes memory"},
        Case{"dma_read(x);", "4:10: 'x' is memory, but dma_read(d) takes a device"},
        Case{"unpin(f);", "4:7: no device is called 'f'"}, Case{"munmap(y[2]);", "4:8: 'y' has pages 0 to 1"},
        Case{"munmap(x[1]);", "4:8: 'x' has one page, 0"},
        Case{"munmap(y[1..0]);", "4:8: a run of pages goes upwards from 0: [first..last]"},
        Case{"READ_ONCE(x.4);", "4:11: a page has words 0 to 3"},
        Case{"munmap(*x);", "4:9: munmap takes whole pages, not a word; did you mean 'x'?"},
        Case{"READ_ONCE(y[0..1]);", "4:11: READ_ONCE takes one word, not several pages"},
        Case{"lock_page(y);", "4:11: lock_page takes one page, such as y[0]"},
        Case{"dma_read(d[16]);", "4:10: a device holds at most 16 pages, counted from 0"},
        Case{"WRITE_ONCE(*x);", "4:14: expected ',' in WRITE_ONCE(*x, value), not ')'"},
        Case{"munmap(x, y);", "4:9: expected ')' in munmap(x), not ','"},
        Case{"exec()\nREAD_ONCE(*x);", "4:7: expected ';' after the statement"},
        Case{"READ_ONCE(*x;", "4:13: expected ')' in READ_ONCE(*x), not ';'"},
        Case{"pin(d, x, FOLL_WRTE);", "4:11: no flag here is called 'FOLL_WRTE'; did you mean 'FOLL_WRITE'?"},
        Case{"pin(d, x, FOLL_PIN);", "4:11: FOLL_PIN is not written: pin() implies it"},
        Case{"mmap(x, PROT_READ, MAP_PRIVATE);",
             "4:20: MAP_PRIVATE is not written: the init block says what a variable maps"},
        Case{"get(d, x, FOLL_LONGTERM);", "4:11: FOLL_LONGTERM is for pin(): a get is a short reference"},
        Case{"madvise(x, MADV_DONTNED);", "4:12: no advice is called 'MADV_DONTNED'; did you mean 'MADV_DONTNEED'?"},
        Case{"READ_ONCE(*x) times 2;", "4:15: 'times' is for pin and get"},
        Case{"pin(d, x, 0) times 0;", "4:20: expected a number from 1 to 2097152 after 'times', not '0'"},
        Case{"pin(d, x, 0) times 2097153;", "4:20: expected a number from 1 to 2097152 after 'times', not '2097153'"},
        Case{"pin(d, x, 0) time 3;", "4:14: expected ';', 'times' or 'fail_nth', not 'time'; did you mean 'times'?"},
        Case{"pin(d, P1:x, FOLL_FAST); fork(P1);",
             "4:1: FOLL_FAST is for the own memory: it looks at the tables that the CPU uses"},
        Case{"try_share(x);", "4:1: try_share is for a kernel block"},
        Case{"clear_refs(*x);", "4:13: clear_refs takes whole pages, not a word; did you mean 'x'?"},
        Case{"munmap(x) fail_nth(3);", "4:20: expected 'any' after 'fail_nth(', not '3'"},
        Case{"munmap(x) fail_nth(any;", "4:23: expected ')' after 'any', not ';'"},
        Case{"munmap(x) fail_nth(any) fail_nth 2;", "4:25: a second 'fail_nth'"},
        Case{"munmap(x) fail_nth 0;", "4:20: expected a number from 1 to 2097152 after 'fail_nth', not '0'"},
        Case{"v = READ_ONCE(*x);", "4:1: a result goes to a register r0, r1, ..., not to 'v'"},
        Case{"WRITE_ONCE(*x, r1);", "4:16: r1 has no value here: P0 did not assign it"},
        Case{"WRITE_ONCE(*x, y);", "4:16: expected a number or a register, not 'y'"},
        Case{"WRITE_ONCE(*x, 12ab);", "4:16: '12ab' is not a number"},
        Case{"WRITE_ONCE(*x, 99999999999999999999999);", "4:16: '99999999999999999999999' does not fit 64 bits"},
        Case{"WRITE_ONCE(*x, -9223372036854775809);", "4:17: '9223372036854775809' does not fit 64 bits"},
        Case{"WRITE_ONCE(*x, -ENOMEN);", "4:17: no error or signal is called 'ENOMEN'; did you mean 'ENOMEM'?"},
        Case{"mremap(x, y);", "4:12: expected ',' in mremap(x, y, MREMAP_...), not ')'"},
        Case{"mremap(x, y, 0);", "4:1: mremap to another place needs MREMAP_FIXED"},
        Case{"mremap(x, x, MREMAP_MAYMOVE);",
             "4:1: mremap in place takes no flags: the kernel would choose another place"},
        Case{"mremap(x, y, MREMAP_FIX);", "4:14: no flag here is called 'MREMAP_FIX'; did you mean 'MREMAP_FIXED'?"},
        Case{"restore(P0);", "4:9: restore takes the name of a snapshot, S0 to S9, not 'P0'"},
        Case{"snapshot();", "4:10: snapshot takes the name of a snapshot, S0 to S9, not ')'"},
        Case{"fork(P7);", "4:6: there is no block P7"}, Case{"fork(x);", "4:6: fork takes a block such as P1, not 'x'"},
        Case{"fork(P0);", "4:1: P0 starts itself"}, Case{"fork(P1); thread(P1);", "4:11: P1 is started a second time"},
        Case{"wait(P1);", "4:1: P0 cannot wait for P1, which its process did not start"},
        Case{"wait(P1); fork(P1);", "4:1: P1 is waited for before it is started"},
        Case{"exit(); exec();", "4:9: nothing runs after exit()"}, Case{"r0 = exit();", "4:1: exit() does not return"},
        Case{"ptrace_read(P0:x);", "4:1: ptrace_read is for the memory of another process"},
        Case{"ptrace_read(x);", "4:1: ptrace_read must say whose memory: ptrace_read(P1:x)"},
        Case{"/* never closed", "4:1: this comment has no closing '*/'"},
        Case{"READ_ONCE(*x) @@;", "4:15: unexpected character '@'"},
        Case{"\tREAD_ONCE(*q);", "4:13: the init block declares no 'q'"}));

INSTANTIATE_TEST_SUITE_P(
    Table, BadCondition,
    testing::Values(
        Case{"exist (0:r0=1)",
             "7:1: expected exists, ~exists, forall, filter or locations, not 'exist'; did you mean 'exists'?"},
        Case{"exists (0:r0=1) exists (0:r0=2)", "7:17: a test has one condition"},
        Case{"exists (0:r0=1)\nfilter (0:r0=1)", "8:1: 'filter' belongs before the condition"},
        Case{"exists (0:r1=1)", "7:11: P0 has no register r1; it has r0"},
        Case{"exists (4:r0=1)", "7:9: there is no block P4"}, Case{"exists (r0=1)", "7:9: a term says whose: 0:r0"},
        Case{"exists (refcont(0:x)=1)", "7:9: no term is called 'refcont'; did you mean 'refcount'?"},
        Case{"exists (refcount(0:x.1)=1)", "7:20: refcount takes a page, not a word; did you mean 'x'?"},
        Case{"exists (0:z=1)", "7:11: the init block declares no 'z'"},
        Case{"exists (0:y[0..1]=1)", "7:11: a condition takes one word, not several pages"},
        Case{"exists (0:r0=1", "7:15: expected ')' in the condition, not the end of the text"},
        Case{"exists (0:r0=)", "7:14: expected a term such as 0:r0, not ')'"},
        Case{"exists (finding(a b))", "7:17: expected a finding's name: letters, digits, - and _"},
        Case{"locations [0:r0, 0:x]", "7:16: expected ';' or ']' after a location, not ','"},
        Case{"locations [1]", "7:12: a number is no location"}));

TEST(ParserErrors, BytesThatAreNoText) {
  EXPECT_EQ(complaints(std::string_view("COW t\0{}", 8)), "1:6: control character 0x00");
  EXPECT_EQ(complaints("COW t\n\033{}"), "2:1: control character 0x1b");
  EXPECT_EQ(complaints("COW t\n{} // \xff"), "2:7: byte 0xff is not UTF-8 text");
  EXPECT_EQ(complaints("COW t {} // \xed\xa0\x80"), "1:13: byte 0xed is not UTF-8 text");
  EXPECT_EQ(complaints("COW t {} // \xc0\x80"), "1:13: byte 0xc0 is not UTF-8 text");
  EXPECT_EQ(complaints(with_statements("READ_ONCE(*\u00e4x);")), "4:12: unexpected character '\u00e4'");
  EXPECT_EQ(complaints("\xef\xbb\xbf"
                       "COW t {} P0() {}"),
            "");
}

TEST(ParserErrors, SeveralAreReportedInOrder) {
  EXPECT_EQ(complaints("COW t\n{ x = anno; d = devise; }\nP0() {\nREAD_ONC(*x);\nexec()\nfork(P1)\n}\nexists (0:r0=1)"),
            "2:7: a variable is anon, zeropage, secret, thp, hugetlb, unmapped or a file's, a device is device, a file "
            "memfd, file or hugetlbfs; not "
            "'anno'; did you mean 'anon'?\n"
            "2:17: a variable is anon, zeropage, secret, thp, hugetlb, unmapped or a file's, a device is device, a "
            "file memfd, file or hugetlbfs; not "
            "'devise'; did you mean 'device'?\n"
            "4:1: no statement is called 'READ_ONC'; did you mean 'READ_ONCE'?\n"
            "5:7: expected ';' after the statement\n"
            "6:6: there is no block P1\n"
            "6:9: expected ';' after the statement\n"
            "8:11: P0 has no register r0; it has none");
}

TEST(ParserErrors, AtMostTwentyAreReported) {
  std::string statements;
  for (int i = 0; i < 60; ++i) statements += "nonsense();\n";
  EXPECT_EQ(parse(with_statements(statements), "t").diagnostics.size(), kMaxDiagnostics);
  EXPECT_EQ(parse("COW t {} @ % @ % @ % @ % @ % @ % @ % @ % @ % @ % @ % @ %", "t").diagnostics.size(), kMaxDiagnostics);
}

TEST(ParserErrors, TheSourceLineAndACaretAreShown) {
  EXPECT_EQ(parse("COW t\n{ x = anon; }\nP0() {\n\tREAD_ONCE(*x); /* \u00e4 */ WRITE_ONE(*x, 2); }\n", "a/t.litmus")
                .to_text(),
            "a/t.litmus:4:25: error: no statement is called 'WRITE_ONE'; did you mean 'WRITE_ONCE'?\n"
            "  \tREAD_ONCE(*x); /* \u00e4 */ WRITE_ONE(*x, 2); }\n"
            "  \t                       ^~~~~~~~~\n");
}

TEST(ParserErrors, ALongLineIsCutAroundTheCaret) {
  const std::string text = "COW t { } P0() { " + std::string(5000, ' ') + "nonsense(); " + std::string(5000, ' ') + "}";
  const std::string shown = parse(text, "t").to_text();
  EXPECT_LT(shown.size(), 400u);
  const std::size_t line = shown.find('\n') + 1;
  const std::size_t caret_line = shown.find('\n', line) + 1;
  EXPECT_EQ(shown.find("nonsense()", line) - line, shown.find('^', caret_line) - caret_line);
}

TEST(ParserErrors, TextsCutAnywhereAndWithAnyByteChangedAreSurvived) {
  for (std::size_t i = 0; i < kEverything.size(); i += 11) {
    static_cast<void>(parse(kEverything.substr(0, i), "t"));
    std::string changed(kEverything);
    for (const char c : {'\0', '(', '}', ';', '*', '9', '"', '\xff'}) {
      changed[i] = c;
      const ParseResult result = parse(changed, "t");
      EXPECT_EQ(result.ok(), result.diagnostics.empty());
    }
  }
}

TEST(ClosestName, FindsSlipsOnly) {
  const std::vector<std::string_view> names{"READ_ONCE", "WRITE_ONCE", "pin", "unpin", "x"};
  EXPECT_EQ(closest_name("READ_ONEC", names), "READ_ONCE");
  EXPECT_EQ(closest_name("write_once", names), "WRITE_ONCE");
  EXPECT_EQ(closest_name("pni", names), "pin");
  EXPECT_EQ(closest_name("unpinn", names), "unpin");
  EXPECT_EQ(closest_name("q", names), "");
  EXPECT_EQ(closest_name("frobnicate", names), "");
  EXPECT_EQ(closest_name(std::string(10000, 'x'), names), "");
}

}  // namespace
}  // namespace cowherd::litmus
