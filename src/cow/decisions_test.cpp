#include "cow/decisions.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace cowherd {
namespace {

constexpr std::array kBools = {false, true};

std::string show(const FrameState& f) {
  return "refs " + std::to_string(f.references) + " pins " + std::to_string(f.pins) + " maps " +
         std::to_string(f.mapcount) + (f.exclusive ? " exclusive" : "") + (f.anon ? " anon" : "") +
         (f.zero_page ? " zero" : "") + (f.gup_mark ? " mark" : "");
}

/// Every state that a decision could tell apart, impossible ones included: a decision has an answer for each.
std::vector<FrameState> every_frame() {
  std::vector<FrameState> frames;
  for (const std::uint32_t references : {1U, 2U, 3U, 1023U, 1024U}) {
    for (const std::uint32_t pins : {0U, 1U, 2U}) {
      for (const std::uint32_t mapcount : {1U, 2U}) {
        for (unsigned bits = 0; bits < 16; ++bits) {
          frames.push_back({references, pins, mapcount, (bits & 1) != 0, (bits & 2) != 0, (bits & 7) == 0, false,
                            (bits & 4) != 0, (bits & 8) != 0});
        }
      }
    }
  }
  return frames;
}

FrameState anon_page(std::uint32_t references, std::uint32_t pins, std::uint32_t mapcount, bool exclusive) {
  return {references, pins, mapcount, exclusive, true, false, false, false};
}

// The write fault.

struct WriteCase {
  const char* name;
  Reuse reuse;
  PageLock page_lock;
  FrameState frame;
  bool locked;
  bool first_owner;
  WriteFault want;
};

TEST(OnWriteFault, FollowsTheTable) {
  constexpr auto kTry = PageLock::kTryElseCopy;
  constexpr auto kSleep = PageLock::kSleep;
  const FrameState alone = anon_page(1, 0, 1, true);
  const FrameState pinned_alone = anon_page(2, 1, 1, true);
  const FrameState left_over = anon_page(1, 0, 1, false);
  const FrameState left_over_held = anon_page(2, 0, 1, false);
  const FrameState shared = anon_page(2, 0, 2, false);
  const WriteCase cases[] = {
      {"never keeps nothing", Reuse::kNever, kTry, alone, false, true, WriteFault::kCopy},
      {"count, nobody else", Reuse::kCount, kTry, alone, false, true, WriteFault::kReuse},
      {"count, a pin", Reuse::kCount, kTry, pinned_alone, false, true, WriteFault::kCopy},
      {"count, child gone", Reuse::kCount, kTry, left_over, false, true, WriteFault::kReuse},
      {"count, child gone, held", Reuse::kCount, kTry, left_over_held, false, true, WriteFault::kCopy},
      {"count, child alive", Reuse::kCount, kTry, shared, false, true, WriteFault::kCopy},
      {"count, lock busy", Reuse::kCount, kTry, alone, true, true, WriteFault::kCopy},
      {"count, lock busy, sleep", Reuse::kCount, kSleep, alone, true, true, WriteFault::kWaitForPageLock},
      {"count, held: no need of the lock", Reuse::kCount, kSleep, left_over_held, true, true, WriteFault::kCopy},
      {"mapcount, nobody else", Reuse::kMapcount, kSleep, alone, false, true, WriteFault::kReuse},
      {"mapcount, a pin", Reuse::kMapcount, kSleep, pinned_alone, false, true, WriteFault::kReuse},
      {"mapcount, held after the child", Reuse::kMapcount, kTry, left_over_held, false, true, WriteFault::kReuse},
      {"mapcount, child alive", Reuse::kMapcount, kSleep, shared, false, true, WriteFault::kCopy},
      {"mapcount, lock busy", Reuse::kMapcount, kTry, alone, true, true, WriteFault::kCopy},
      {"mapcount, lock busy, sleep", Reuse::kMapcount, kSleep, alone, true, true, WriteFault::kWaitForPageLock},
      {"mapcount, shared, lock busy, sleep", Reuse::kMapcount, kSleep, shared, true, true,
       WriteFault::kWaitForPageLock},
      {"exclusive, a pin", Reuse::kExclusive, kTry, pinned_alone, false, true, WriteFault::kReuse},
      {"exclusive, lock busy", Reuse::kExclusive, kTry, pinned_alone, true, true, WriteFault::kReuse},
      {"exclusive, lock busy, sleep", Reuse::kExclusive, kSleep, pinned_alone, true, true, WriteFault::kReuse},
      {"exclusive, child gone", Reuse::kExclusive, kTry, left_over, false, true, WriteFault::kReuse},
      {"exclusive, child gone, lock busy", Reuse::kExclusive, kTry, left_over, true, true, WriteFault::kCopy},
      {"exclusive, child gone, held", Reuse::kExclusive, kTry, left_over_held, false, true, WriteFault::kCopy},
      {"directed, nobody else", Reuse::kDirected, kSleep, alone, false, false, WriteFault::kReuse},
      {"directed, first owner", Reuse::kDirected, kSleep, shared, false, true, WriteFault::kCopyToOthers},
      {"directed, the child", Reuse::kDirected, kSleep, shared, false, false, WriteFault::kCopy},
      {"directed, lock busy", Reuse::kDirected, kSleep, shared, true, true, WriteFault::kWaitForPageLock},
  };
  for (const WriteCase& c : cases) {
    Rules rules;
    rules.reuse = c.reuse;
    rules.page_lock = c.page_lock;
    EXPECT_EQ(on_write_fault(rules, c.frame, c.locked, c.first_owner, false), c.want) << c.name;
  }
}

/// Calls `check(rules, frame, locked, first_owner, read_pinned)` for every combination that the decision may look at.
template <class Check>
void for_every_write_fault(Check check) {
  for (const Reuse reuse : {Reuse::kNever, Reuse::kCount, Reuse::kMapcount, Reuse::kExclusive, Reuse::kDirected}) {
    for (const PageLock page_lock : {PageLock::kTryElseCopy, PageLock::kSleep}) {
      for (const GupRead gup_read : {GupRead::kPlain, GupRead::kUnshareAny, GupRead::kBlockWriter}) {
        Rules rules;
        rules.reuse = reuse;
        rules.page_lock = page_lock;
        rules.gup_read = gup_read;
        for (const FrameState& frame : every_frame()) {
          for (unsigned bits = 0; bits < 16; ++bits) {
            check(rules, frame, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0);
          }
        }
      }
    }
  }
}

TEST(OnWriteFault, AMergedPageIsCopiedUnlessTheLastOwnerMayKeepIt) {
  for_every_write_fault([](Rules rules, FrameState frame, bool locked, bool first, bool read_pinned) {
    if (!frame.anon || frame.zero_page || frame.exclusive) return;
    frame.merged = true;
    for (const KsmReuse reuse : {KsmReuse::kNever, KsmReuse::kCount}) {
      rules.ksm_reuse = reuse;
      const bool last = reuse == KsmReuse::kCount && frame.references == 1 && !locked;
      const bool waits = rules.gup_read == GupRead::kBlockWriter && read_pinned;
      const WriteFault want = last ? WriteFault::kReuse : waits ? WriteFault::kWaitForReader : WriteFault::kCopy;
      EXPECT_EQ(on_write_fault(rules, frame, locked, first, read_pinned), want) << show(frame);
    }
  });
}

TEST(OnWriteFault, EveryAnswerHasItsReason) {
  for_every_write_fault([](const Rules& rules, const FrameState& frame, bool locked, bool first, bool read_pinned) {
    const WriteFault answer = on_write_fault(rules, frame, locked, first, read_pinned);
    SCOPED_TRACE(show(frame));
    const bool own_anon = frame.anon && !frame.zero_page;
    switch (answer) {
      case WriteFault::kReuse:
        EXPECT_TRUE(own_anon);
        EXPECT_TRUE(frame.references == 1 || frame.mapcount == 1 || frame.exclusive);
        if (locked) {
          EXPECT_TRUE(rules.reuse == Reuse::kExclusive && frame.exclusive);
        }
        break;
      case WriteFault::kCopy:
        if (own_anon && rules.gup_read == GupRead::kBlockWriter) {
          EXPECT_FALSE(read_pinned);
        }
        if (own_anon && rules.reuse == Reuse::kExclusive) {
          EXPECT_FALSE(frame.exclusive);
        }
        break;
      case WriteFault::kCopyToOthers:
        EXPECT_TRUE(own_anon && rules.reuse == Reuse::kDirected && first && frame.mapcount > 1);
        break;
      case WriteFault::kWaitForPageLock:
        EXPECT_TRUE(own_anon && locked && rules.page_lock == PageLock::kSleep);
        break;
      case WriteFault::kWaitForReader:
        EXPECT_TRUE(!frame.zero_page && read_pinned && rules.gup_read == GupRead::kBlockWriter);
        break;
    }
  });
}

TEST(OnWriteFault, AReaderBlocksExactlyTheCopies) {
  for_every_write_fault([](Rules rules, const FrameState& frame, bool locked, bool first, bool read_pinned) {
    const WriteFault answer = on_write_fault(rules, frame, locked, first, read_pinned);
    const bool blocking = rules.gup_read == GupRead::kBlockWriter && read_pinned && !frame.zero_page;
    rules.gup_read = GupRead::kPlain;
    const WriteFault unblocked = on_write_fault(rules, frame, locked, first, read_pinned);
    const bool replaces = unblocked == WriteFault::kCopy || unblocked == WriteFault::kCopyToOthers;
    EXPECT_EQ(answer, blocking && replaces ? WriteFault::kWaitForReader : unblocked) << show(frame);
  });
}

TEST(OnWriteFault, TheZeroPageAndFilePagesAreCopied) {
  for_every_write_fault([](const Rules& rules, const FrameState& frame, bool locked, bool first, bool read_pinned) {
    if (frame.anon && !frame.zero_page) return;
    const bool waits = !frame.zero_page && read_pinned && rules.gup_read == GupRead::kBlockWriter;
    const WriteFault answer = waits ? WriteFault::kWaitForReader : WriteFault::kCopy;
    EXPECT_EQ(on_write_fault(rules, frame, locked, first, read_pinned), answer) << show(frame);
  });
}

// What counts as pinned.

TEST(MaybePinned, AgreesWithAnIndependentCount) {
  for (const FrameState& frame : every_frame()) {
    Rules rules;
    rules.pinned = PinnedTest::kNever;
    EXPECT_FALSE(maybe_pinned(rules, frame));
    rules.pinned = PinnedTest::kExact;
    EXPECT_EQ(maybe_pinned(rules, frame), frame.pins == 1 || frame.pins == 2) << show(frame);
    rules.pinned = PinnedTest::kGupMark;
    EXPECT_EQ(maybe_pinned(rules, frame), frame.gup_mark ? frame.references > frame.mapcount : false) << show(frame);

    // Linux's own count: 1 for an ordinary reference, 1024 for one that is a pin.
    std::uint64_t linux_count = frame.references;
    for (std::uint32_t i = 0; i < frame.pins; ++i) linux_count = linux_count - 1 + 1024;
    rules.pinned = PinnedTest::kBiased;
    EXPECT_EQ(maybe_pinned(rules, frame), linux_count > 1023) << show(frame);
  }
}

TEST(MaybePinned, BiasedCountsDoNotOverflow) {
  Rules rules;
  rules.pinned = PinnedTest::kBiased;
  EXPECT_TRUE(maybe_pinned(rules, anon_page(4'200'000, 4'199'999, 1, true)));
  EXPECT_TRUE(maybe_pinned(rules, anon_page(0xffff'ffff, 0xffff'ffff, 1, true)));
}

TEST(CountsAsPin, GetsOnlyWhereTheRulesSaySo) {
  Rules rules;
  rules.pin_count = PinCount::kPin;
  EXPECT_TRUE(counts_as_pin(rules, PinFlags::kNone));
  EXPECT_TRUE(counts_as_pin(rules, PinFlags::kWrite | PinFlags::kLongTerm));
  EXPECT_FALSE(counts_as_pin(rules, PinFlags::kGet));
  EXPECT_FALSE(counts_as_pin(rules, PinFlags::kGet | PinFlags::kWrite));
  rules.pin_count = PinCount::kPinAndGet;
  EXPECT_TRUE(counts_as_pin(rules, PinFlags::kGet));
  EXPECT_TRUE(counts_as_pin(rules, PinFlags::kNone));
}

// Fork.

constexpr std::array kForkPinned = {ForkPinned::kShare,     ForkPinned::kCopy,    ForkPinned::kCopyExclusive,
                                    ForkPinned::kCopyEntry, ForkPinned::kCopyAll, ForkPinned::kRefuse,
                                    ForkPinned::kWait};

TEST(OnFork, CopiesExactlyWhatItsWordsSay) {
  for (const ForkPinned fork_pinned : kForkPinned) {
    for (const ForkGate gate : {ForkGate::kAlways, ForkGate::kHasPinned}) {
      for (const CopyOnlyIf only : {CopyOnlyIf::kAlways, CopyOnlyIf::kMappedOnceAndDirty, CopyOnlyIf::kWritableEntry}) {
        for (const FrameState& frame : every_frame()) {
          for (unsigned bits = 0; bits < 16; ++bits) {
            Rules rules;
            rules.fork_pinned = fork_pinned;
            rules.fork_gate = gate;
            rules.copy_only_if = only;
            const bool has_pinned = (bits & 1) != 0;
            const bool dirty = (bits & 2) != 0;
            const bool entry_pinned = (bits & 4) != 0;
            const bool writable = (bits & 8) != 0;

            // Reasons to share, one after another, and what is left is copied.
            bool share = frame.zero_page || !frame.anon;
            if (fork_pinned == ForkPinned::kShare || fork_pinned == ForkPinned::kRefuse) share = true;
            if (fork_pinned == ForkPinned::kWait) share = true;
            if (fork_pinned != ForkPinned::kCopyAll) {
              if (gate == ForkGate::kHasPinned && !has_pinned) share = true;
              if (fork_pinned == ForkPinned::kCopyEntry) {
                if (!entry_pinned) share = true;
              } else {
                if (frame.pins == 0) share = true;
                if (fork_pinned == ForkPinned::kCopyExclusive && !frame.exclusive) share = true;
                if (only == CopyOnlyIf::kMappedOnceAndDirty && (frame.mapcount > 1 || !dirty)) share = true;
                if (only == CopyOnlyIf::kWritableEntry && !writable) share = true;
              }
            }
            EXPECT_EQ(on_fork(rules, frame, {.writable = writable, .dirty = dirty}, has_pinned, entry_pinned),
                      share ? ForkPage::kShare : ForkPage::kCopy)
                << show(frame) << " bits " << bits;
          }
        }
      }
    }
  }
}

TEST(OnForkStart, StopsOnlyForAPinAndOnlyWhereTheRulesStop) {
  for (const ForkPinned fork_pinned : kForkPinned) {
    for (const ForkGate gate : {ForkGate::kAlways, ForkGate::kHasPinned}) {
      for (const bool has_pinned : kBools) {
        for (const bool any : kBools) {
          Rules rules;
          rules.fork_pinned = fork_pinned;
          rules.fork_gate = gate;
          ForkStart want = ForkStart::kGo;
          if (any && (gate == ForkGate::kAlways || has_pinned)) {
            if (fork_pinned == ForkPinned::kRefuse) want = ForkStart::kRefuse;
            if (fork_pinned == ForkPinned::kWait) want = ForkStart::kWait;
          }
          EXPECT_EQ(on_fork_start(rules, has_pinned, any), want);
        }
      }
    }
  }
}

TEST(ForkChecksPins, NotWhereNoAnswerCouldMatter) {
  Rules rules;
  rules.fork_gate = ForkGate::kHasPinned;
  EXPECT_FALSE(fork_checks_pins(rules, false));
  EXPECT_TRUE(fork_checks_pins(rules, true));
  rules.fork_gate = ForkGate::kAlways;
  EXPECT_TRUE(fork_checks_pins(rules, false));
  rules.fork_pinned = ForkPinned::kShare;
  EXPECT_FALSE(fork_checks_pins(rules, true));
  rules.fork_pinned = ForkPinned::kCopyAll;
  EXPECT_FALSE(fork_checks_pins(rules, true));
}

TEST(OnFork, SharesEveryPageWithoutPinsWhereTheRulesSaySo) {
  for (int fork_pinned = 0; fork_pinned <= static_cast<int>(ForkPinned::kWait); ++fork_pinned) {
    for (int pinned = 0; pinned <= static_cast<int>(PinnedTest::kGupMark); ++pinned) {
      Rules rules;
      rules.fork_pinned = static_cast<ForkPinned>(fork_pinned);
      rules.pinned = static_cast<PinnedTest>(pinned);
      rules.fork_gate = ForkGate::kAlways;
      bool shares_all = true;
      for (const FrameState& frame : every_frame()) {
        if (frame.pins != 0) continue;
        for (const bool holds_pin : kBools) {
          shares_all = shares_all && on_fork(rules, frame, {true, true}, true, holds_pin) == ForkPage::kShare;
        }
      }
      EXPECT_EQ(shares_unpinned(rules), shares_all) << fork_pinned << " " << pinned;
    }
  }
}

}  // namespace
}  // namespace cowherd
