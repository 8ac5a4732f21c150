#include <gtest/gtest.h>

#include <string>

#include "cow/decisions.hpp"

namespace cowherd {
namespace {

constexpr FrameState kOwn{1, 0, 1, true, true, false, false, false};
constexpr FrameState kShared{2, 0, 2, false, true, false, false, false};
constexpr FrameState kZero{9, 0, 3, false, false, false, false, true, false};
constexpr FrameState kFile{2, 0, 1, false, false, true, false, false, false};

Rules with(GupRead gup_read, PinCount pin_count) {
  Rules rules;
  rules.gup_read = gup_read;
  rules.pin_count = pin_count;
  return rules;
}

constexpr PinFlags kPinRead = PinFlags::kNone;
constexpr PinFlags kPinReadLong = PinFlags::kLongTerm;
constexpr PinFlags kGetRead = PinFlags::kGet;

// One letter for each kind of read reference of each kind of page: 'u' unshare first, '.' take it as it is.
// Columns: shared page, zero page, page of a file; each: pin, long-term pin, get.
struct ReadCase {
  GupRead gup_read;
  PinCount pin_count;
  const char* shared;
  const char* zero;
  const char* file;
};

constexpr ReadCase kReadCases[] = {
    {GupRead::kPlain, PinCount::kPin, "...", "...", "..."},
    {GupRead::kPlain, PinCount::kPinAndGet, "...", "...", "..."},
    {GupRead::kWriteFault, PinCount::kPin, "...", "...", "..."},
    {GupRead::kWriteFault, PinCount::kPinAndGet, "...", "...", "..."},
    {GupRead::kUnshareAnon, PinCount::kPin, "uu.", "...", "..."},
    {GupRead::kUnshareAnon, PinCount::kPinAndGet, "uuu", "...", "..."},
    {GupRead::kUnshareAny, PinCount::kPin, "uu.", ".u.", ".u."},
    {GupRead::kUnshareAny, PinCount::kPinAndGet, "uuu", ".u.", ".u."},
    {GupRead::kUnshareAlways, PinCount::kPin, "uuu", "uuu", "uuu"},
    {GupRead::kUnshareAlways, PinCount::kPinAndGet, "uuu", "uuu", "uuu"},
    {GupRead::kBlockWriter, PinCount::kPin, "...", "uu.", "..."},
    {GupRead::kBlockWriter, PinCount::kPinAndGet, "...", "uuu", "..."},
};

std::string letters(const Rules& rules, const FrameState& frame) {
  std::string text;
  for (const PinFlags flags : {kPinRead, kPinReadLong, kGetRead}) {
    text += gup_needs_unshare(rules, frame, flags, /*entry_writable=*/false) ? 'u' : '.';
  }
  return text;
}

TEST(GupNeedsUnshare, FollowsTheTable) {
  for (const ReadCase& c : kReadCases) {
    const Rules rules = with(c.gup_read, c.pin_count);
    SCOPED_TRACE(static_cast<int>(c.gup_read));
    EXPECT_EQ(letters(rules, kShared), c.shared);
    EXPECT_EQ(letters(rules, kZero), c.zero);
    EXPECT_EQ(letters(rules, kOwn), "...");
    EXPECT_EQ(letters(rules, kFile), c.file);
  }
}

TEST(GupNeedsUnshare, NeverForWritersNorBehindAWritableEntry) {
  for (const ReadCase& c : kReadCases) {
    const Rules rules = with(c.gup_read, c.pin_count);
    for (const FrameState& frame : {kOwn, kShared, kZero, kFile}) {
      EXPECT_FALSE(gup_needs_unshare(rules, frame, PinFlags::kWrite, false));
      EXPECT_FALSE(gup_needs_unshare(rules, frame, PinFlags::kWrite | PinFlags::kLongTerm, false));
      EXPECT_FALSE(gup_needs_unshare(rules, frame, kPinRead, true));
      EXPECT_FALSE(gup_needs_unshare(rules, frame, kPinReadLong, true));
      EXPECT_FALSE(gup_needs_unshare(rules, frame, kGetRead, true));
    }
  }
}

TEST(GupNeedsUnshare, OtherFlagsDoNotMatter) {
  for (const ReadCase& c : kReadCases) {
    const Rules rules = with(c.gup_read, c.pin_count);
    for (const FrameState& frame : {kOwn, kShared, kZero}) {
      for (const PinFlags base : {kPinRead, kPinReadLong, kGetRead}) {
        const bool plain = gup_needs_unshare(rules, frame, base, false);
        for (const PinFlags extra : {PinFlags::kForce, PinFlags::kNoFault, PinFlags::kRemote}) {
          EXPECT_EQ(gup_needs_unshare(rules, frame, base | extra, false), plain);
        }
      }
    }
  }
}

TEST(GupAsWrite, WritersAlwaysReadersUnderOneRule) {
  for (const ReadCase& c : kReadCases) {
    const Rules rules = with(c.gup_read, c.pin_count);
    const bool forced = c.gup_read == GupRead::kWriteFault;
    EXPECT_EQ(gup_as_write(rules, kPinRead), forced);
    EXPECT_EQ(gup_as_write(rules, kPinReadLong), forced);
    EXPECT_EQ(gup_as_write(rules, kGetRead), forced);
    EXPECT_TRUE(gup_as_write(rules, PinFlags::kWrite));
    EXPECT_TRUE(gup_as_write(rules, PinFlags::kGet | PinFlags::kWrite));
  }
}

// Columns: neither, dirty, faulted in this call, both. 'w' may write.
struct ForceCase {
  GupForce gup_force;
  const char* own;
  const char* not_own;
};

TEST(CanForceWrite, FollowsTheTable) {
  constexpr ForceCase kCases[] = {
      {GupForce::kRetryAsRead, "..ww", "..ww"},
      {GupForce::kDirtyEntry, ".w.w", ".w.w"},
      {GupForce::kDirtyAfterFault, "...w", "...w"},
      {GupForce::kExclusive, "wwww", "...."},
  };
  for (const ForceCase& c : kCases) {
    Rules rules;
    rules.gup_force = c.gup_force;
    const auto letters_of = [&rules](const FrameState& frame) {
      std::string text;
      for (const bool faulted : {false, true}) {
        for (const bool dirty : {false, true}) text += can_force_write(rules, frame, dirty, faulted) ? 'w' : '.';
      }
      return text;
    };
    SCOPED_TRACE(static_cast<int>(c.gup_force));
    EXPECT_EQ(letters_of(kOwn), c.own);
    EXPECT_EQ(letters_of(kShared), c.not_own);
    EXPECT_EQ(letters_of(kZero), c.not_own);
    EXPECT_EQ(letters_of(kFile), c.not_own);
  }
}

TEST(CanForceWrite, AnExclusiveZeroPageIsNoProof) {
  FrameState frame = kZero;
  frame.exclusive = true;
  EXPECT_FALSE(can_force_write(Rules{}, frame, true, true));
}

TEST(FileDecisions, ReadersOfPrivateFilePages) {
  const FrameState page{.references = 2, .mapcount = 1, .file = true};
  for (unsigned bits = 0; bits < 128; ++bits) {
    const auto flags = static_cast<PinFlags>(bits);
    for (const bool writable : {false, true}) {
      for (const bool private_mapping : {false, true}) {
        const bool reads = !has(flags, PinFlags::kWrite) && !writable && private_mapping;
        Rules rules;
        rules.gup_read = GupRead::kUnshareAny;
        EXPECT_EQ(gup_needs_unshare(rules, page, flags, writable, private_mapping),
                  reads && has(flags, PinFlags::kLongTerm));
        rules.gup_read = GupRead::kUnshareAlways;
        EXPECT_EQ(gup_needs_unshare(rules, page, flags, writable, private_mapping), reads);
        for (const GupRead other :
             {GupRead::kPlain, GupRead::kUnshareAnon, GupRead::kWriteFault, GupRead::kBlockWriter}) {
          rules.gup_read = other;
          EXPECT_FALSE(gup_needs_unshare(rules, page, flags, writable, private_mapping));
          EXPECT_EQ(gup_as_write(rules, flags, private_mapping),
                    has(flags, PinFlags::kWrite) || (other == GupRead::kWriteFault && private_mapping));
        }
      }
    }
  }
}

TEST(FileDecisions, LongTermWritersOfADisksFile) {
  for (unsigned bits = 0; bits < 128; ++bits) {
    const auto flags = static_cast<PinFlags>(bits);
    for (const bool tracked : {false, true}) {
      Rules rules;
      rules.longterm_file = LongtermFile::kAllow;
      EXPECT_FALSE(gup_refuses_file(rules, flags, tracked));
      rules.longterm_file = LongtermFile::kRefuse;
      EXPECT_EQ(gup_refuses_file(rules, flags, tracked),
                tracked && has(flags, PinFlags::kWrite) && has(flags, PinFlags::kLongTerm));
    }
  }
}

TEST(GupDecisions, LongTermReferencesLeaveMovableMemory) {
  for (unsigned bits = 0; bits < 128; ++bits) {
    const auto flags = static_cast<PinFlags>(bits);
    Rules rules;
    rules.longterm_movable = LongtermMovable::kInPlace;
    EXPECT_FALSE(gup_leaves_movable(rules, flags));
    rules.longterm_movable = LongtermMovable::kMigrate;
    EXPECT_EQ(gup_leaves_movable(rules, flags), has(flags, PinFlags::kLongTerm));
  }
}

TEST(FileDecisions, AWriteFaultNeverReusesAFilesPage) {
  for (const Reuse reuse : {Reuse::kNever, Reuse::kCount, Reuse::kMapcount, Reuse::kExclusive, Reuse::kDirected}) {
    Rules rules;
    rules.reuse = reuse;
    const FrameState page{.references = 1, .mapcount = 1, .file = true};
    EXPECT_EQ(on_write_fault(rules, page, false, true, false), WriteFault::kCopy);
    rules.gup_read = GupRead::kBlockWriter;
    EXPECT_EQ(on_write_fault(rules, page, false, true, true), WriteFault::kWaitForReader);
  }
}

TEST(FileDecisions, ForkAndWritebackAskForPins) {
  for (const std::uint32_t pins : {0u, 1u}) {
    const FrameState page{.references = 2 + pins, .pins = pins, .mapcount = 1, .file = true};
    for (const bool has_pinned : {false, true}) {
      Rules rules;
      EXPECT_EQ(on_fork(rules, page, {}, has_pinned, false), ForkPage::kShare);
      rules.fork_file = ForkFile::kCopy;
      EXPECT_EQ(on_fork(rules, page, {}, has_pinned, false),
                pins != 0 && has_pinned ? ForkPage::kCopy : ForkPage::kShare);
    }
    Rules rules;
    EXPECT_EQ(stays_dirty(rules, page), pins != 0);
    rules.writeback_pinned = WritebackPinned::kClean;
    EXPECT_FALSE(stays_dirty(rules, page));
  }
}

}  // namespace
}  // namespace cowherd
