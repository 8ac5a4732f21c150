#include "base/lock_ranks.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace cowherd {
namespace {

constexpr LockRank rank_of(std::size_t index) { return static_cast<LockRank>(index); }

TEST(HeldLocks, OuterBeforeInnerOnly) {
  for (std::size_t first = 0; first < kLockRanks.size(); ++first) {
    for (std::size_t second = 0; second < kLockRanks.size(); ++second) {
      HeldLocks held;
      EXPECT_TRUE(held.push(rank_of(first)));
      const bool allowed = first < second || (first == second && kLockRanks[first].nests);
      EXPECT_EQ(held.push(rank_of(second)), allowed)
          << kLockRanks[second].name << " while holding " << kLockRanks[first].name;
    }
  }
}

TEST(HeldLocks, AnOuterLockMayBeTakenOnceTheInnerOneIsFree) {
  HeldLocks held;
  EXPECT_TRUE(held.push(LockRank::kPageTableLock));
  held.pop(LockRank::kPageTableLock);
  EXPECT_TRUE(held.push(LockRank::kMmapLock));
  EXPECT_TRUE(held.any());
  held.pop(LockRank::kMmapLock);
  EXPECT_FALSE(held.any());
}

TEST(HeldLocks, RemembersEveryNestedLock) {
  HeldLocks held;
  EXPECT_TRUE(held.push(LockRank::kPageTableLock));
  EXPECT_TRUE(held.push(LockRank::kPageTableLock));
  held.pop(LockRank::kPageTableLock);
  EXPECT_TRUE(held.atomic()) << "one of the two is still held";
  held.pop(LockRank::kPageTableLock);
  EXPECT_FALSE(held.atomic());
}

TEST(HeldLocks, ALockTakenOutOfOrderIsHeldAllTheSame) {
  HeldLocks held;
  EXPECT_TRUE(held.push(LockRank::kPageTableLock));
  EXPECT_FALSE(held.push(LockRank::kMmapLock));
  held.pop(LockRank::kPageTableLock);
  EXPECT_TRUE(held.any());
  held.clear();
  EXPECT_FALSE(held.any());
}

TEST(HeldLocks, AtomicUnderALockThatForbidsSleeping) {
  for (std::size_t rank = 0; rank < kLockRanks.size(); ++rank) {
    HeldLocks held;
    EXPECT_FALSE(held.atomic());
    EXPECT_TRUE(held.push(rank_of(rank)));
    EXPECT_EQ(held.atomic(), !kLockRanks[rank].may_sleep) << kLockRanks[rank].name;
  }
}

std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

/// docs/locks.md, from the table of ranks.
std::string locks_document() {
  std::ostringstream text;
  text << "# Locks\n"
          "\n"
          "Outermost first. Whoever holds a lock may take only locks further down, or a second one of the same rank\n"
          "where the table says so. Every operation checks this as it runs; a breach is the finding `lock-order`. An\n"
          "allocation that may sleep under a lock whose holder may not is the finding `sleep-in-atomic`, and a lock\n"
          "that outlives its operation is `lock-held`.\n"
          "\n"
          "This page is made from `src/base/lock_ranks.hpp`; `UPDATE_DOCS=1` in the environment of\n"
          "`cowherd_base_test` writes it anew.\n"
          "\n"
          "| rank | lock | holder may sleep | may nest | what it guards |\n"
          "|---|---|---|---|---|\n";
  for (std::size_t rank = 0; rank < kLockRanks.size(); ++rank) {
    const LockRankInfo& info = kLockRanks[rank];
    text << "| " << rank << " | " << info.name << " | " << yes_or_no(info.may_sleep) << " | " << yes_or_no(info.nests)
         << " | " << info.guards << " |\n";
  }
  return text.str();
}

TEST(LockRanks, TheDocumentSaysWhatTheTableSays) {
  const std::string path = std::string(COWHERD_SOURCE_DIR) + "/docs/locks.md";
  if (std::getenv("UPDATE_DOCS") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(path) << locks_document();
  }
  std::ifstream file(path);
  std::ostringstream found;
  found << file.rdbuf();
  EXPECT_EQ(found.str(), locks_document());
}

}  // namespace
}  // namespace cowherd
