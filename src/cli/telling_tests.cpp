#include "cli/telling_tests.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "litmus/parser.hpp"

namespace cowherd::cli {
namespace {

constexpr std::string_view kPage = "x = anon(1); d = device;";
constexpr std::string_view kPin = "FOLL_WRITE | FOLL_LONGTERM";

// What is asked of every way to pin. `PIN` stands for the flags of a pin for writing, held for long.
constexpr std::string_view kForkExec = "pin(d, x, PIN); fork(P1); wait(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d);";
constexpr std::string_view kForkAlive = "pin(d, x, PIN); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d);";
constexpr std::string_view kForkDma = "pin(d, x, PIN); fork(P1); dma_write(d, 2); r0 = READ_ONCE(*x);";
constexpr std::string_view kProtectWrite =
    "pin(d, x, PIN); mprotect(x, PROT_READ); mprotect(x, PROT_READ | PROT_WRITE); WRITE_ONCE(*x, 2); r0 = dma_read(d);";
constexpr std::string_view kAfterFork = "fork(P1); pin(d, x, PIN); WRITE_ONCE(*x, 2); r0 = dma_read(d);";

constexpr std::array<TellingTest, 26> kTests = {{
    {"pin-fork-exec", "pin", "After fork and the child's exec, the device sees what the owner writes.", kPage,
     kForkExec, "exec();"},
    {"pin-fork-alive", "pin", "While the child lives, the device sees what the owner writes.", kPage, kForkAlive,
     "r0 = READ_ONCE(*x);"},
    {"pin-fork-dma", "pin", "After fork, the owner sees what the device writes, and the child does not.", kPage,
     kForkDma, "r0 = READ_ONCE(*x);"},
    {"pin-protect-write", "pin", "Taking write permission away and giving it back keeps device and owner together.",
     kPage, kProtectWrite, ""},
    {"pin-clear-refs", "pin", "A round of soft-dirty tracking keeps device and owner together.", kPage,
     "pin(d, x, PIN); clear_refs(x); WRITE_ONCE(*x, 2); r0 = dma_read(d);", ""},
    {"fork-pin", "pin", "A page that is shared with a child is the owner's own before the device gets it.", kPage,
     kAfterFork, "r0 = READ_ONCE(*x);"},
    {"card-fork-exec", "cuda", "After fork and the child's exec, the card sees what the owner writes.", kPage,
     kForkExec, "exec();"},
    {"card-fork-alive", "cuda", "While the child lives, the card sees what the owner writes.", kPage, kForkAlive,
     "r0 = READ_ONCE(*x);"},
    {"card-fork-dma", "cuda", "After fork, the owner sees what the card writes, and the child does not.", kPage,
     kForkDma, "r0 = READ_ONCE(*x);"},
    {"card-protect-write", "cuda", "Taking write permission away and giving it back keeps card and owner together.",
     kPage, kProtectWrite, ""},
    {"card-after-fork", "cuda", "A page that is shared with a child is the owner's own before the card gets it.", kPage,
     kAfterFork, "r0 = READ_ONCE(*x);"},
    {"rdma-fork-exec", "rdma", "After fork and the child's exec, RDMA READ gives what the owner writes.", kPage,
     kForkExec, "exec();"},
    {"rdma-fork-alive", "rdma", "While the child lives, RDMA READ gives what the owner writes.", kPage, kForkAlive,
     "r0 = READ_ONCE(*x);"},
    {"rdma-fork-dma", "rdma", "After fork, what RDMA WRITE brings comes to the owner, and not to the child.", kPage,
     kForkDma, "r0 = READ_ONCE(*x);"},
    {"rdma-protect-write", "rdma",
     "Taking write permission away and giving it back keeps registration and owner together.", kPage, kProtectWrite,
     ""},
    {"rdma-after-fork", "rdma", "A page that is shared with a child is the owner's own before it is registered.", kPage,
     kAfterFork, "r0 = READ_ONCE(*x);"},
    {"rdma-read-only", "rdma",
     "Memory that is registered for reading alone is read as its owner writes it, after fork.", kPage,
     "pin(d, x, FOLL_LONGTERM); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d);", "r0 = READ_ONCE(*x);"},
    {"read-fork-alive", "odirect",
     "While an O_DIRECT read is under way and a child lives, its data comes to the owner.", kPage,
     "pin(d, x, FOLL_WRITE); fork(P1); WRITE_ONCE(*x, 2); dma_write(d, 3); r0 = READ_ONCE(*x);", "r0 = READ_ONCE(*x);"},
    {"write-fork-alive", "odirect",
     "While an O_DIRECT write is under way and a child lives, the owner's data is written.", kPage,
     "pin(d, x, 0); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d);", "r0 = READ_ONCE(*x);"},
    {"write-protect", "odirect", "Taking write permission away and giving it back keeps disk and owner together.",
     kPage,
     "pin(d, x, 0); mprotect(x, PROT_READ); mprotect(x, PROT_READ | PROT_WRITE); WRITE_ONCE(*x, 2); r0 = dma_read(d);",
     ""},
    {"fork-write", "odirect", "Of a page that is shared with a child, the disk gets what its owner writes.", kPage,
     "fork(P1); pin(d, x, 0); WRITE_ONCE(*x, 2); r0 = dma_read(d);", "r0 = READ_ONCE(*x);"},
    {"get-fork-write", "get", "After fork, a reader that holds the page sees what its owner writes.", kPage,
     "get(d, x, 0); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d);", "r0 = READ_ONCE(*x);"},
    {"get-protect-write", "get", "Taking write permission away and giving it back keeps reader and owner together.",
     kPage,
     "get(d, x, 0); mprotect(x, PROT_READ); mprotect(x, PROT_READ | PROT_WRITE); WRITE_ONCE(*x, 2); r0 = dma_read(d);",
     ""},
    {"child-gets-unmaps", "get",
     "A child that holds a page of its parent's and unmaps it does not read what the parent writes.", kPage,
     "fork(P1); wait(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d);", "get(d, x, 0); munmap(x);"},
    {"parent-gets-unmaps", "get", "A parent that holds a page and unmaps it does not read what its child writes.",
     kPage, "get(d, x, 0); fork(P1); munmap(x); wait(P1); r0 = dma_read(d);", "WRITE_ONCE(*x, 2);"},
    {"debugger-write", "debugger", "What a debugger writes into a child is in the child alone.",
     "x = anon(1) PROT_READ;", "fork(P1); ptrace_write(P1:*x, 2); r0 = READ_ONCE(*x); r1 = ptrace_read(P1:*x);",
     "r0 = READ_ONCE(*x);"},
}};

std::string with_flags(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; (at = out.find("PIN)", at)) != std::string::npos;) out.replace(at, 3, kPin);
  return out;
}

}  // namespace

std::span<const TellingTest> telling_tests() { return kTests; }

litmus::Program program_of(const TellingTest& test, bool direct_pins) {
  std::string text = fmt::format("COW {}\n{{ {} }}\nP0() {{ {} }}\n", test.name, test.memory, with_flags(test.parent));
  if (!test.child.empty()) text += fmt::format("P1() {{ {} }}\n", with_flags(test.child));
  if (test.interface == "odirect" && !direct_pins) {
    for (std::size_t at = 0; (at = text.find("pin(", at)) != std::string::npos;) text.replace(at, 3, "get");
  }
  litmus::ParseResult parsed = litmus::parse(text, test.name);
  if (!parsed.ok()) throw std::logic_error(parsed.to_text());
  return std::move(*parsed.program);
}

}  // namespace cowherd::cli
