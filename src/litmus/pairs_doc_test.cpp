#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "litmus/parser.hpp"

// docs/concurrency.md says of every two operations what orders them and which test has them side by side. Here: that it
// says so of all of them, once, and that the tests do.

namespace cowherd::litmus {
namespace {

const std::vector<std::string> kOperations{
    "load, store", "read fault", "write fault", "fork",        "slow pin", "fast pin",   "unpin",
    "DMA",         "mmap",       "munmap",      "mprotect",    "DONTNEED", "exit, exec", "ptrace",
    "clear_refs",  "try_share",  "restore",     "swap-out",    "migrate",  "collapse",   "split",
    "poison",      "mremap",     "KSM",         "userfaultfd", "device",   "file",       "writeback"};

bool is(const Operation& op, const std::string& name) {
  switch (op.code) {
    case OpCode::kRead:
      return name == "load, store" || name == "read fault";
    case OpCode::kWrite:
      return name == "load, store" || name == "write fault";
    case OpCode::kFork:
    case OpCode::kSnapshot:
      return name == "fork";
    case OpCode::kRestore:
      return name == "restore";
    case OpCode::kPin:
      return name == (has(op.pin_flags, PinFlags::kFast) ? "fast pin" : "slow pin");
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
      return name == "unpin";
    case OpCode::kDmaRead:
    case OpCode::kDmaWrite:
      return name == "DMA";
    case OpCode::kMmap:
      return name == "mmap";
    case OpCode::kMunmap:
      return name == "munmap";
    case OpCode::kMprotect:
      return name == "mprotect";
    case OpCode::kMadvise:
      return name == "DONTNEED" && op.advice == Advice::kDontNeed;
    case OpCode::kExec:
    case OpCode::kExit:
    case OpCode::kWait:  // It ends a process that has run off its end.
      return name == "exit, exec";
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
      return name == "ptrace";
    case OpCode::kClearRefs:
      return name == "clear_refs";
    case OpCode::kTryShare:
      return name == "try_share";
    case OpCode::kSwapOut:
      return name == "swap-out";
    case OpCode::kMigrate:
    case OpCode::kCompact:
    case OpCode::kOffline:
      return name == "migrate";
    case OpCode::kCollapse:
      return name == "collapse";
    case OpCode::kSplit:
      return name == "split";
    case OpCode::kPoison:
      return name == "poison";
    case OpCode::kMremap:
      return name == "mremap";
    case OpCode::kKsmMerge:
    case OpCode::kKsmUnmerge:
    case OpCode::kKsmZero:
      return name == "KSM";
    case OpCode::kUffdCopy:
    case OpCode::kUffdZeropage:
    case OpCode::kUffdPoison:
    case OpCode::kUffdContinue:
    case OpCode::kUffdWp:
    case OpCode::kUffdUnwp:
    case OpCode::kUffdMove:
      return name == "userfaultfd";
    case OpCode::kMakeExclusive:
    case OpCode::kDeviceRead:
    case OpCode::kDeviceWrite:
    case OpCode::kDeviceAdd:
      return name == "device";
    case OpCode::kFileRead:
    case OpCode::kFileWrite:
    case OpCode::kTruncate:
    case OpCode::kPunch:
      return name == "file";
    case OpCode::kWriteback:
    case OpCode::kMsync:
    case OpCode::kDropCache:
      return name == "writeback";
    default:
      return false;
  }
}

bool does(const Block& block, const std::string& name) {
  return std::any_of(block.operations.begin(), block.operations.end(),
                     [&](const Operation& op) { return is(op, name); });
}

/// Whether two blocks have the two operations.
bool has_both(const Program& program, const std::string& one, const std::string& other) {
  for (const Block& a : program.blocks) {
    for (const Block& b : program.blocks) {
      if (&a != &b && does(a, one) && does(b, other)) return true;
    }
  }
  return false;
}

struct Row {
  std::string one, other, ordered_by, shown_by;
};

std::vector<Row> rows_of_document() {
  std::ifstream file(COWHERD_SOURCE_DIR "/docs/concurrency.md");
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.find("<!-- pairs: ") != std::string::npos) inside = line.find("begin") != std::string::npos;
    if (!inside || !line.starts_with("| ")) continue;
    std::vector<std::string> cells;
    std::istringstream text(line);
    for (std::string cell; std::getline(text, cell, '|');) {
      const auto from = cell.find_first_not_of(' ');
      cells.push_back(from == std::string::npos ? "" : cell.substr(from, cell.find_last_not_of(' ') - from + 1));
    }
    if (cells.size() == 5 && cells[1] != "operation") rows.push_back({cells[1], cells[2], cells[3], cells[4]});
  }
  return rows;
}

/// "[races/two-forks](../litmus/races/two-forks.litmus)" gives the path from docs/.
std::string path_in(const std::string& link) {
  const auto from = link.find("](");
  return from == std::string::npos ? "" : link.substr(from + 2, link.find(')', from) - from - 2);
}

TEST(PairsOfOperations, EachIsInTheDocumentOnce) {
  std::multiset<std::pair<std::string, std::string>> found;
  for (const Row& row : rows_of_document()) {
    found.emplace(row.one, row.other);
    EXPECT_FALSE(row.ordered_by.empty()) << row.one << " and " << row.other;
  }
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < kOperations.size(); ++i) {
    for (std::size_t j = i; j < kOperations.size(); ++j, ++wanted) {
      EXPECT_EQ(found.count({kOperations[i], kOperations[j]}), 1u) << kOperations[i] << " and " << kOperations[j];
    }
  }
  EXPECT_EQ(found.size(), wanted);
}

TEST(PairsOfOperations, TheTestNamedHasThemSideBySide) {
  for (const Row& row : rows_of_document()) {
    const std::string path = COWHERD_SOURCE_DIR "/docs/" + path_in(row.shown_by);
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    const ParseResult parsed = parse(text.str(), path);
    ASSERT_TRUE(parsed.ok()) << path << "\n" << parsed.to_text();
    EXPECT_TRUE(has_both(*parsed.program, row.one, row.other)) << path << ": " << row.one << " and " << row.other;
  }
}

}  // namespace
}  // namespace cowherd::litmus
