#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>

#include "cow/decisions.hpp"
#include "cow/rule_rows.hpp"

// Published bugs played through the decisions alone, and which rows the history says they strike.

namespace cowherd {
namespace {

constexpr PinFlags kPinWrite = PinFlags::kWrite | PinFlags::kLongTerm;
constexpr PinFlags kGetWrite = PinFlags::kWrite | PinFlags::kGet;
constexpr PinFlags kPinForReading = PinFlags::kNone;

/// One page of a parent, by hand: what the memory system would keep for it.
struct Page {
  FrameState frame{1, 0, 1, true, true, false, false, false};
  bool mm_has_pinned = false;

  void take(const Rules& rules, PinFlags flags) {
    ++frame.references;
    if (has(flags, PinFlags::kWrite)) frame.gup_mark = true;
    if (!counts_as_pin(rules, flags)) return;
    ++frame.pins;
    mm_has_pinned = true;
  }
  /// True if the child maps the page too.
  bool fork(const Rules& rules) {
    if (on_fork(rules, frame, {.writable = true, .dirty = true}, mm_has_pinned, frame.pins != 0) == ForkPage::kCopy)
      return false;
    ++frame.references;
    ++frame.mapcount;
    frame.exclusive = false;
    return true;
  }
  void child_unmaps() {
    --frame.references;
    --frame.mapcount;
  }
  /// True if the parent's write goes to another page.
  [[nodiscard]] bool write_moves_away(const Rules& rules, bool page_locked = false) const {
    return on_write_fault(rules, frame, page_locked, /*first_owner=*/true, false) == WriteFault::kCopy;
  }
};

bool pin_fork_exec_write(const Rules& rules) {
  Page page;
  page.take(rules, kPinWrite);
  if (on_fork_start(rules, page.mm_has_pinned, maybe_pinned(rules, page.frame)) != ForkStart::kGo) return false;
  if (!page.fork(rules)) return false;
  page.child_unmaps();
  return page.write_moves_away(rules);
}

bool take_fork_write(const Rules& rules, PinFlags flags) {
  Page page;
  page.take(rules, flags);
  if (on_fork_start(rules, page.mm_has_pinned, maybe_pinned(rules, page.frame)) != ForkStart::kGo) return false;
  return page.fork(rules) && page.write_moves_away(rules);
}

bool vmsplice_by_child(const Rules& rules) {
  Page page;
  if (!page.fork(rules)) return false;
  const PinFlags flags = PinFlags::kGet;
  if (gup_as_write(rules, flags) || gup_needs_unshare(rules, page.frame, flags, false)) return false;
  page.take(rules, flags);
  page.child_unmaps();
  return on_write_fault(rules, page.frame, false, true, false) == WriteFault::kReuse;
}

bool mprotect_round_trip(const Rules& rules, bool page_locked) {
  if (rules.protect_upgrade == ProtectUpgrade::kMapWritable) return false;
  Page page;
  page.take(rules, kGetWrite);
  return page.write_moves_away(rules, page_locked);
}

bool read_pin_of_shared(const Rules& rules, PinFlags flags) {
  Page page;
  if (!page.fork(rules)) return false;
  if (gup_as_write(rules, flags) || gup_needs_unshare(rules, page.frame, flags, false)) return false;
  page.take(rules, flags);
  return on_write_fault(rules, page.frame, false, true, counts_as_pin(rules, flags)) == WriteFault::kCopy;
}

bool long_read_pin_of_zero(const Rules& rules) {
  const FrameState zero{4, 0, 2, false, false, false, false, true, false};
  const PinFlags flags = PinFlags::kLongTerm;
  return !gup_as_write(rules, flags) && !gup_needs_unshare(rules, zero, flags, false);
}

bool dirty_cow(const Rules& rules) {
  // The own copy was thrown away after the fault, and a read brought the zero page back.
  const FrameState zero{4, 0, 2, false, false, false, false, true, false};
  return can_force_write(rules, zero, /*entry_dirty=*/false, /*faulted_for_write_in_this_call=*/true);
}

bool dirty_is_not_mine(const Rules& rules) {
  const FrameState zero{4, 0, 2, false, false, false, false, true, false};
  return can_force_write(rules, zero, /*entry_dirty=*/true, /*faulted_for_write_in_this_call=*/true);
}

bool force_after_fork(const Rules& rules) {
  Page page;
  return page.fork(rules) && can_force_write(rules, page.frame, /*entry_dirty=*/true, false);
}

bool many_plain_references(const Rules& rules) {
  Page page;
  page.mm_has_pinned = true;
  page.frame.references = 1024;
  return !page.fork(rules);
}

struct Bug {
  const char* name;
  std::function<bool(const Rules&)> strikes;
  /// Rows in order from R0, '!' where it strikes: R0, R1-rc5, R1, R2, R3, R3b, R3c, R4 | R5, R6, R7…R10 | R11…R16.
  std::string_view linux_rows;
};

const Bug kBugs[] = {
    {"pin, fork, child execs, parent writes", pin_fork_exec_write, "!.......|!.....|......"},
    {"pin, fork, parent writes", [](const Rules& r) { return take_fork_write(r, kPinWrite); },
     "!!!!!!!!|!.....|......"},
    {"get, fork, parent writes", [](const Rules& r) { return take_fork_write(r, kGetWrite); },
     "!!!!!!!!|!!!!!!|!!!!!!"},
    {"child reads parent through vmsplice", vmsplice_by_child, ".!!!!!!.|......|......"},
    {"mprotect round trip under a get", [](const Rules& r) { return mprotect_round_trip(r, false); },
     "!.......|!!!!!!|......"},
    {"the same, page lock held", [](const Rules& r) { return mprotect_round_trip(r, true); }, "!!!.....|!!!!!!|......"},
    {"read pin of a shared page", [](const Rules& r) { return read_pin_of_shared(r, kPinForReading); },
     "!!!!!!!.|!!!!!!|......"},
    {"read get of a shared page", [](const Rules& r) { return read_pin_of_shared(r, PinFlags::kGet); },
     "!!!!!!!.|!!!!!!|!!!!!!"},
    {"long-term read pin of the zero page", long_read_pin_of_zero, "!!!!!!!.|!!!!!!|!!...."},
    {"FORCE write and MADV_DONTNEED", dirty_cow, "!.!!....|......|......"},
    {"FORCE write, dirty by another's hand", dirty_is_not_mine, "!!!!!!!!|!!!!!!|!....."},
    {"FORCE write after fork, dirty entry", force_after_fork, ".!......|......|......"},
    {"1024 plain references look pinned", many_plain_references, "........|.!!!!!|!!!!!!"},
};

TEST(History, EveryBugStrikesTheRowsThatItIsKnownFor) {
  for (const Bug& bug : kBugs) {
    std::string got;
    for (const RuleRow& row : all_rows()) {
      if (row.representative.empty()) continue;
      if (row.id == "R5" || row.id == "R11") got += '|';
      got += bug.strikes(row.rules) ? '!' : '.';
    }
    EXPECT_EQ(got, bug.linux_rows) << bug.name;
  }
}

TEST(History, NoneStrikesCowherd) {
  for (const Bug& bug : kBugs) EXPECT_FALSE(bug.strikes(kCowherdRules)) << bug.name;
}

struct OtherCase {
  const char* row;
  /// For the bugs in the order of kBugs.
  const char* strikes;
};

TEST(History, DraftsAndPeersFailWhereTheyAreKnownTo) {
  const OtherCase cases[] = {
      {"sketch", "..!.!!!!!.!.!"}, {"X2", "..!.!!!!!.!.!"},    {"X3", "..!.!!!!!.!.!"},
      {"X4", "...!..!!!!!.."},     {"X5", "...!..!!!!!.."},    {"X6", "...!....!!!.."},
      {"X7", "..!.......!.!"},     {"X8", ".!!!.!!!!!!.."},    {"X9", "............!"},
      {"none", "!!!.!!!!!...."},   {"sv6", "!!!...!!!...."},   {"serenity", "!!!...!!!...."},
      {"refuse", "............."}, {"wait", "...!..!!!...."},  {"entry", "..!!...!....."},
      {"page", "............."},   {"haiku", "...!........."}, {"gvisor", "............."},
  };
  for (const OtherCase& c : cases) {
    const RuleRow* row = find_rules(c.row);
    ASSERT_NE(row, nullptr) << c.row;
    std::string got;
    for (const Bug& bug : kBugs) got += bug.strikes(row->rules) ? '!' : '.';
    EXPECT_EQ(got, c.strikes) << c.row;
  }
}

}  // namespace
}  // namespace cowherd
