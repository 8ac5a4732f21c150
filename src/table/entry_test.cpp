#include "table/entry.hpp"

#include <gtest/gtest.h>

namespace cowherd {
namespace {

TEST(Entry, ZeroIsNone) {
  EXPECT_TRUE(Entry{}.none());
  EXPECT_FALSE(Entry{}.present());
  EXPECT_FALSE(Entry::of(FrameNumber{0}).none()) << "the zero page is a page";
}

TEST(Entry, ANewEntryIsReadableAndYoungAndNoMore) {
  const Entry entry = Entry::of(FrameNumber{5});
  EXPECT_TRUE(entry.present() && entry.user() && entry.young());
  EXPECT_FALSE(entry.writable() || entry.dirty());
}

TEST(Entry, KeepsTheFrameWhateverTheBits) {
  for (const std::uint32_t frame : {0u, 1u, 0x12345u, 0xFFFFFFFFu}) {
    const Entry entry = Entry::of(FrameNumber{frame});
    EXPECT_EQ(entry.frame(), FrameNumber{frame});
    EXPECT_EQ(entry.with_writable(true).with_dirty(true).with_young(false).with_user(false).frame(),
              FrameNumber{frame});
  }
}

TEST(Entry, EachBitIsItsOwn) {
  const Entry plain = Entry::of(FrameNumber{7});
  struct Bit {
    const char* name;
    Entry (Entry::*set)(bool) const;
    bool (Entry::*get)() const;
  };
  const Bit bits[] = {{"writable", &Entry::with_writable, &Entry::writable},
                      {"dirty", &Entry::with_dirty, &Entry::dirty},
                      {"young", &Entry::with_young, &Entry::young},
                      {"user", &Entry::with_user, &Entry::user}};
  for (const Bit& bit : bits) {
    for (const Bit& other : bits) {
      for (const bool on : {false, true}) {
        const Entry changed = (plain.*bit.set)(on);
        EXPECT_EQ((changed.*other.get)(), bit.name == other.name ? on : (plain.*other.get)())
            << bit.name << " changed " << other.name;
      }
    }
  }
}

TEST(Entry, IsWhatAnX86ProcessorReads) {
  // Present, writable, user, accessed, dirty; the frame from bit 12 on.
  const Entry entry = Entry::of(FrameNumber{0xABCDE}).with_writable(true).with_dirty(true);
  EXPECT_EQ(entry.bits(), (std::uint64_t{0xABCDE} << 12) | 0b110'0111);
}

TEST(Entry, OfASwappedPageIsNeitherNoneNorPresent) {
  const Entry none;
  EXPECT_EQ(none.kind(), EntryKind::kNone);
  EXPECT_EQ(Entry::of(FrameNumber{1}).kind(), EntryKind::kPresent);
  for (const std::uint32_t slot : {0u, 1u, 0xFFFFFFFFu}) {
    for (const bool exclusive : {false, true}) {
      const Entry entry = Entry::swapped(BlockNumber{slot}, exclusive);
      EXPECT_EQ(entry.kind(), EntryKind::kSwap);
      EXPECT_TRUE(entry.swap());
      EXPECT_FALSE(entry.none());
      EXPECT_FALSE(entry.present());
      EXPECT_EQ(entry.slot(), BlockNumber{slot});
      EXPECT_EQ(entry.swap_exclusive(), exclusive);
      EXPECT_EQ(entry.with_swap_exclusive(false), Entry::swapped(BlockNumber{slot}, false));
      // Who only asks for a permission gets none.
      EXPECT_FALSE(entry.writable() || entry.dirty() || entry.young() || entry.user());
    }
  }
}

}  // namespace
}  // namespace cowherd
