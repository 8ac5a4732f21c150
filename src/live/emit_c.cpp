#include "live/emit_c.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "litmus/resolve.hpp"
#include "litmus/spelling.hpp"
#include "litmus/symbols.hpp"
#include "live/c_runtime.hpp"
#include "live/host.hpp"
#include "live/layout.hpp"
#include "live/spelling.hpp"

namespace cowherd::live {
namespace {

using litmus::BlockStart;
using litmus::OpCode;
using litmus::Operation;

/// As it stands in a comment of C.
std::string in_comment(std::string text) {
  for (std::size_t at = 0; (at = text.find("*/", at)) != std::string::npos;) text.replace(at, 2, "* /");
  for (std::size_t at = 0; (at = text.find("/*", at)) != std::string::npos;) text.replace(at, 2, "/ *");
  return text;
}

/// As it stands in a string of C.
std::string in_quotes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// How a device gets hold of pages in C. What plan() would give to another one is not written.
std::string_view way_of(PinFlags flags, PinBy pin_by) {
  if (has(flags, PinFlags::kGet)) return "BY_PIPE";
  if (pin_by == PinBy::kRdma) return "BY_RDMA";
  return has(flags, PinFlags::kWrite) ? "BY_RING" : "BY_GUP_TEST";
}

class Writer {
 public:
  Writer(const EmittedTest& test, std::size_t number)
      : program_(*test.program), layout_(*test.program, 0), number_(number), pin_by_(test.pin_by) {}

  std::string write() {
    std::string text = "\n/*\n";
    for (const std::string_view line : lines(litmus::print(program_)))
      text += fmt::format(" * {}\n", in_comment(std::string(line)));
    text += " */\n";
    build();
    for (std::uint8_t b = 0; b < program_.blocks.size(); ++b) block(b);
    condition();
    return text + out_;
  }

 private:
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> lines;
    std::size_t from = 0;
    for (std::size_t at = 0; (at = text.find('\n', from)) != std::string::npos; from = at + 1) {
      lines.push_back(text.substr(from, at - from));
    }
    return lines;
  }

  [[nodiscard]] std::string address(const litmus::Place& place) const {
    const std::string text = fmt::format("BASE + {} * PAGE", layout_.address_of(place) / kPageBytes);
    return place.word == 0 ? text : fmt::format("{} + {}", text, place.word * sizeof(std::int64_t));
  }
  [[nodiscard]] std::string length(const litmus::Place& place) const {
    return fmt::format("{} * PAGE", place.pages * layout_.page_bytes() / kPageBytes);
  }
  /// Where a word of a file lies in it.
  static std::string offset(const litmus::Place& place) {
    const std::string text = fmt::format("{} * PAGE", place.page);
    return place.word == 0 ? text : fmt::format("{} + {}", text, place.word * sizeof(std::int64_t));
  }
  /// mmap of these pages of a variable; `placed` is how the place is asked for.
  [[nodiscard]] std::string mapping(const litmus::Place& place, std::string_view protection,
                                    std::string_view placed) const {
    const litmus::Variable& variable = program_.variables[place.variable];
    const bool of_file = variable.kind == litmus::VariableKind::kFile;
    const std::string flags = fmt::format("{}{} | {}", variable.shared ? "MAP_SHARED" : "MAP_PRIVATE",
                                          of_file ? "" : " | MAP_ANONYMOUS", placed);
    if (!of_file) return fmt::format("map({}, {}, {}, {})", address(place), length(place), protection, flags);
    return fmt::format("map_file({}, {}, {}, {}, s->file[{}], {} * PAGE)", address(place), length(place), protection,
                       flags, variable.file, variable.file_page + place.page);
  }

  void build() {
    out_ += fmt::format("static void build_{}(void)\n{{\n", number_);
    for (const litmus::Variable& variable : program_.variables) {
      if (variable.kind == litmus::VariableKind::kUnmapped) continue;
      litmus::Place place;
      place.variable = static_cast<std::uint8_t>(&variable - program_.variables.data());
      place.pages = static_cast<std::uint8_t>(variable.pages);
      const bool secret = variable.kind == litmus::VariableKind::kSecret;
      if (secret) {
        out_ += fmt::format("\tmap_secret({}, {});\n", address(place), length(place));
      } else {
        out_ += fmt::format("\tif ({})\n\t\tlose(\"mmap\");\n",
                            mapping(place, "PROT_READ | PROT_WRITE", "MAP_FIXED_NOREPLACE"));
      }
      if (litmus::is_huge(variable.kind)) {
        out_ += fmt::format("\tmadvise((void *)({}), {}, MADV_HUGEPAGE);\n", address(place), length(place));
      }
      const bool is_read = variable.kind == litmus::VariableKind::kZeroPage;
      for (std::uint32_t page = 0; page < variable.pages && (is_read || litmus::is_written(variable.kind)); ++page) {
        place.page = static_cast<std::uint8_t>(page);
        out_ += fmt::format("\taccess_word({}, {}, {}L);\n", address(place), is_read ? 0 : 1, variable.value);
      }
      place.page = 0;
      if (variable.protection != Protection::kReadWrite) {
        out_ += fmt::format("\tmprotect((void *)({}), {}, {});\n", address(place), length(place),
                            litmus::text_of(variable.protection));
      }
    }
    out_ += "}\n\n";
  }

  void block(std::uint8_t b) {
    const litmus::Block& block = program_.blocks[b];
    out_ += fmt::format("static void block_{}_{}(int at)\n{{\n\tswitch (at) {{\n", number_, b);
    for (std::size_t i = 0; i < block.operations.size(); ++i) {
      const Operation& op = block.operations[i];
      out_ += fmt::format("\tcase {}:\t/* {}: {} */\n\t\tbegin({});\n", i, block.name,
                          in_comment(litmus::print_operation(program_, b, op)), b);
      statement(b, i, op);
      if (i + 1 < block.operations.size()) out_ += "\t\t/* fall through */\n";
    }
    out_ += "\t}\n";
    // A child of vfork leaves its parent's memory at its end.
    out_ += block.start == BlockStart::kVfork ? std::string("\tif (!own_memory)\n\t\t_exit(0);\n") : std::string();
    out_ += fmt::format("\trest({});\n", b);
    out_ += "}\n\n";
  }

  void statement(std::uint8_t b, std::size_t index, const Operation& op) {
    const std::string result = op.result ? fmt::format("s->reg[{}][{}] = ", b, *op.result) : std::string("(void)");
    const std::string value =
        op.value.is_register ? fmt::format("s->reg[{}][{}]", b, op.value.reg) : fmt::format("{}L", op.value.literal);
    const auto target = op.target.value_or(litmus::process_of(program_, b));
    std::string call;
    switch (op.code) {
      case OpCode::kRead:
        call = fmt::format("counted({}, access_word({}, 0, 0))", b, address(op.place));
        break;
      case OpCode::kWrite:
        call = fmt::format("counted({}, access_word({}, 1, {}))", b, address(op.place), value);
        break;
      case OpCode::kMmap:
        call = mapping(op.place, litmus::text_of(op.protection), placing_text(op.map_flags));
        break;
      case OpCode::kMunmap:
        call = fmt::format("result_of(munmap((void *)({}), {}))", address(op.place), length(op.place));
        break;
      case OpCode::kMremap:
        call = fmt::format("move({}, {}, {}, {}, {})", address(op.place), length(op.place), address(op.to),
                           length(op.to), litmus::text_of(op.remap_flags));
        break;
      case OpCode::kMprotect:
        call = fmt::format("result_of(mprotect((void *)({}), {}, {}))", address(op.place), length(op.place),
                           litmus::text_of(op.protection));
        break;
      case OpCode::kMadvise:
        call = fmt::format("result_of(madvise((void *)({}), {}, {}))", address(op.place), length(op.place),
                           litmus::name_of(op.advice));
        break;
      case OpCode::kMlock:
      case OpCode::kMunlock:
        call = fmt::format("result_of({}((void *)({}), {}))", op.code == OpCode::kMlock ? "mlock" : "munlock",
                           address(op.place), length(op.place));
        break;
      case OpCode::kSwapOut:
      case OpCode::kSwapIn:
        call = fmt::format("{}({})", op.code == OpCode::kSwapOut ? "swap_out" : "swap_in", address(op.place));
        break;
      case OpCode::kKsmMerge:
        call = fmt::format("ksm_merge({}, {})", address(op.place), address(op.to));
        break;
      case OpCode::kKsmUnmerge:
        call = fmt::format("ksm_unmerge({}, {})", address(op.place), length(op.place));
        break;
      case OpCode::kMsync:
        call = fmt::format("result_of(msync((void *)({}), {}, MS_SYNC))", address(op.place), length(op.place));
        break;
      case OpCode::kFileRead:
        call = fmt::format("read_file({}, {})", op.file, offset(op.place));
        break;
      case OpCode::kFileWrite:
        call = fmt::format("write_file({}, {}, {})", op.file, offset(op.place), value);
        break;
      case OpCode::kTruncate:
        call = fmt::format("result_of(ftruncate(s->file[{}], {} * PAGE))", op.file, op.place.page);
        break;
      case OpCode::kPunch:
        call = fmt::format("punch({}, {} * PAGE, {} * PAGE)", op.file, op.place.page, op.place.pages);
        break;
      case OpCode::kWriteback:
        call = fmt::format("result_of(fsync(s->file[{}]))", op.file);
        break;
      case OpCode::kCollapse:
        call = fmt::format("collapse({})", address(op.place));
        break;
      case OpCode::kSplit:
        call = fmt::format("split({})", address(op.place));
        break;
      case OpCode::kFork:
        call = fmt::format("do_fork({})", op.block);
        break;
      case OpCode::kVfork:
        // The step is done when the child runs, which says so itself.
        out_ += fmt::format("\t\t{}do_vfork({});\n", result, op.block);
        return;
      case OpCode::kThread:
        call = fmt::format("do_thread({})", op.block);
        break;
      case OpCode::kExec:
        out_ += fmt::format("\t\tdo_exec({}, {});\n", b, index + 1);
        return;
      case OpCode::kExit:
        out_ += fmt::format("\t\tdo_exit({});\n", b);
        return;
      case OpCode::kWait:
        call = program_.blocks[op.block].start == BlockStart::kThread ? "0" : fmt::format("do_wait({})", op.block);
        break;
      case OpCode::kPin:
        call = fmt::format("take({}, {}, {}, {}, {}, {})", op.device, address(op.place), op.place.pages, op.times,
                           has(op.pin_flags, PinFlags::kWrite) ? 1 : 0, way_of(op.pin_flags, pin_by_));
        break;
      case OpCode::kUnpin:
      case OpCode::kUnpinDirty:
        call = fmt::format("release({})", op.device);
        break;
      case OpCode::kDmaRead:
        call = fmt::format("dma_read({}, {}, {})", op.device, op.place.page, op.place.word);
        break;
      case OpCode::kDmaWrite:
        call = fmt::format("dma_write({}, {}, {}, {})", op.device, op.place.page, op.place.word, value);
        break;
      case OpCode::kPtraceRead:
        call = fmt::format("debug({}, {}, 0, 0)", target, address(op.place));
        break;
      case OpCode::kPtraceWrite:
        call = fmt::format("debug({}, {}, 1, {})", target, address(op.place), value);
        break;
      case OpCode::kClearRefs:
        call = fmt::format("clear_refs({})", target);
        break;
      default:
        // Not in known.cpp as written in C, so refused by problem_in_c().
        return;
    }
    out_ += fmt::format("\t\t{}{};\n\t\tdone();\n", result, call);
  }

  [[nodiscard]] std::string term(const litmus::Term& term) const {
    switch (term.kind) {
      case litmus::Term::Kind::kRegister:
        return fmt::format("s->reg[{}][{}]", term.block, term.reg);
      case litmus::Term::Kind::kMemory:
        return fmt::format("look({}, {})", litmus::process_of(program_, term.block), address(term.place));
      case litmus::Term::Kind::kFaults:
        return fmt::format("(long)s->faults[{}]", term.block);
      case litmus::Term::Kind::kFileWord:
        return fmt::format("read_file({}, {})", term.file, offset(term.place));
      case litmus::Term::Kind::kHuge:
        return fmt::format("is_huge(s->pid[{}], {})", litmus::process_of(program_, term.block), address(term.place));
      default:
        return fmt::format("{}L", term.literal);
    }
  }

  [[nodiscard]] std::string expression(const litmus::Condition& condition) const {
    using Kind = litmus::Condition::Kind;
    static constexpr std::string_view kSigns[] = {"==", "!=", "<", "<=", ">", ">="};
    switch (condition.kind) {
      case Kind::kTrue:
        return "1";
      case Kind::kCompare:
        return fmt::format("{} {} {}", of_values(condition.left), kSigns[static_cast<std::size_t>(condition.compare)],
                           of_values(condition.right));
      case Kind::kNot:
        return fmt::format("!({})", expression(condition.children.front()));
      case Kind::kAnd:
      case Kind::kOr:
        break;
    }
    std::string text;
    for (const litmus::Condition& child : condition.children) {
      text += fmt::format("{}({})",
                          text.empty()                   ? ""
                          : condition.kind == Kind::kAnd ? " && "
                                                         : " || ",
                          expression(child));
    }
    return text;
  }

  /// The place of a term among the values that were looked at once.
  [[nodiscard]] std::string of_values(const litmus::Term& wanted) const {
    const auto at = std::find(terms_.begin(), terms_.end(), wanted);
    return at == terms_.end() ? term(wanted) : fmt::format("values[{}]", at - terms_.begin());
  }

  void condition() {
    terms_ = litmus::observed_terms(program_);
    out_ += fmt::format("static int look_{}(void)\n{{\n\tlong values[{}];\n\n", number_, terms_.size() + 1);
    for (std::size_t i = 0; i < terms_.size(); ++i) out_ += fmt::format("\tvalues[{}] = {};\n", i, term(terms_[i]));
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      out_ += fmt::format("\tprintf(\"# {} = %ld\\n\", values[{}]);\n",
                          in_quotes(litmus::print_term(program_, terms_[i])), i);
    }
    out_ += "\t(void)values;\n";
    if (program_.filter) out_ += fmt::format("\tif (!({}))\n\t\treturn -1;\n", expression(*program_.filter));
    out_ += fmt::format("\treturn {};\n}}\n\n", expression(program_.condition));
  }

  const litmus::Program& program_;
  /// From 0 on.
  Layout layout_;
  std::size_t number_;
  PinBy pin_by_;
  std::vector<litmus::Term> terms_;
  std::string out_;
};

std::string order_of(const EmittedCase& one) {
  std::string text;
  for (const std::uint8_t block : one.order) text += static_cast<char>('0' + block);
  return text;
}

std::string write_start(const EmittedTest& test, std::size_t number) {
  std::string text = fmt::format("static void start_{}(void)\n{{\n", number);
  const litmus::Program& program = *test.program;
  std::vector<std::string_view> ways(program.devices.size(), "BY_RING");
  for (const litmus::Block& block : program.blocks) {
    for (const Operation& op : block.operations) {
      if (op.code == OpCode::kPin) ways[op.device] = way_of(op.pin_flags, test.pin_by);
    }
  }
  text += names_huge_pages(program) ? "\twant_huge_pages();\n" : "\ts->page = PAGE;\n";
  for (std::size_t f = 0; f < program.files.size(); ++f) {
    const litmus::FileVariable& file = program.files[f];
    text += fmt::format("\topen_file({}, {}, {}, {}L);\t/* {} */\n", f, file.kind == litmus::FileKind::kDisk ? 1 : 0,
                        file.pages, file.value, file.name);
  }
  for (std::size_t d = 0; d < ways.size(); ++d) text += fmt::format("\topen_device({}, {});\n", d, ways[d]);
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    if (program.blocks[b].start == BlockStart::kAtTimeZero)
      text += fmt::format("\tstart_at_time_zero({}, build_{});\n", b, number);
  }
  return text + "}\n\n";
}

/// As the kernel indents: by tabs, where the texts above have four spaces.
std::string with_tabs(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (at_start && text.substr(i, 4) == "    ") {
      out += '\t';
      i += 3;
      continue;
    }
    out += text[i];
    at_start = text[i] == '\n';
  }
  return out;
}

constexpr std::string_view kMain = R"c(static void map_shared(void)
{
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
    if (s == MAP_FAILED)
        exit(1);
}

/* 1: as wanted, 0: not, -1: it could not be run. */
static int run_case(const struct one_case *c)
{
    int holds;

    memset(s, 0, sizeof *s);
    strcpy(s->order, c->order);
    s->test = c->test;
    s->look_block = -1;
    tests[c->test].start();
    play();
    holds = s->lost ? -1 : tests[c->test].look();
    if (s->lost)
        printf("# %s\n", s->why);
    end_all();
    if (holds < 0)
        return -1;
    return tests[c->test].wanted < 0 || tests[c->test].wanted == holds;
}

int main(int argc, char **argv)
{
    unsigned i, passed = 0, failed = 0, skipped = 0;

    if (argc == 4 && !strcmp(argv[0], "block-of-a-test")) {
        struct sigaction action;

        shared_fd = atoi(argv[1]);
        map_shared();
        memset(&action, 0, sizeof action);
        action.sa_handler = on_fault;
        action.sa_flags = SA_NODEFER;
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGBUS, &action, NULL);
        own_memory = 1;
        done();
        run_block(atoi(argv[2]), atoi(argv[3]));
        return 0;
    }
    shared_fd = syscall(SYS_memfd_create, "test", 0);
    if (shared_fd < 0 || ftruncate(shared_fd, sizeof *s))
        return 1;
    map_shared();
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("KTAP version 1\n1..%u\n", CASES);
    for (i = 0; i < CASES; i++) {
        int verdict = run_case(&cases[i]);

        passed += verdict == 1;
        failed += verdict == 0;
        skipped += verdict < 0;
        printf("%s %u %s order %s%s\n", verdict ? "ok" : "not ok", i + 1, tests[cases[i].test].name,
               cases[i].order, verdict < 0 ? " # SKIP cannot be run here" : "");
    }
    printf("# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:0\n", passed, failed, skipped);
    return failed ? 1 : passed ? 0 : 4;
}
)c";

}  // namespace

std::string emit_c(const std::vector<EmittedTest>& tests) {
  std::string text =
      "/*\n * Written by `cowherd live --emit-c`. Compile it with `cc test.c`, run it, and read KTAP.\n */\n";
  text += kCRuntime;
  const bool has_rdma =
      std::any_of(tests.begin(), tests.end(), [](const EmittedTest& test) { return test.pin_by == PinBy::kRdma; });
  text += has_rdma ? kCRdma : kCNoRdma;
  for (std::size_t i = 0; i < tests.size(); ++i) {
    text += Writer(tests[i], i).write();
    text += write_start(tests[i], i);
  }
  text +=
      "static const struct {\n\tconst char *name;\n\tvoid (*start)(void);\n\tint (*look)(void);\n"
      "\tint wanted;\t/* of the condition: 1 true, 0 false, -1 either */\n\tvoid (*blocks[BLOCKS])(int);\n} tests[] = "
      "{\n";
  for (std::size_t i = 0; i < tests.size(); ++i) {
    const int wanted = tests[i].wanted ? (*tests[i].wanted ? 1 : 0) : -1;
    text += fmt::format("\t{{ \"{}\", start_{}, look_{}, {}, {{ ", in_quotes(tests[i].program->name), i, i, wanted);
    for (std::size_t b = 0; b < tests[i].program->blocks.size(); ++b) text += fmt::format("block_{}_{}, ", i, b);
    text += "} },\n";
  }
  text += "};\n\nstatic const struct one_case {\n\tint test;\n\tconst char *order;\n} cases[] = {\n";
  std::size_t count = 0;
  for (std::size_t i = 0; i < tests.size(); ++i) {
    for (const EmittedCase& one : tests[i].cases) {
      text += fmt::format("\t{{ {}, \"{}\" }},\n", i, order_of(one));
      ++count;
    }
  }
  text += fmt::format(
      "}};\n#define CASES {}u\n\nstatic void run_block(int block, int at)\n{{\n"
      "\ttests[s->test].blocks[block](at);\n}}\n\n",
      count);
  text += kMain;
  return with_tabs(text);
}

}  // namespace cowherd::live
