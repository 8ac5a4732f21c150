#include "check/snapshots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace cowherd::check {
namespace {

using Bytes = std::vector<std::byte>;

/// A state in three runs, much of it like a given one, much of it zero.
struct Sample {
  Bytes parts[3];

  [[nodiscard]] StateParts view() const { return {std::span(parts[0]), std::span(parts[1]), std::span(parts[2])}; }
  [[nodiscard]] Bytes joined() const {
    Bytes all;
    for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  }
};

Bytes random_bytes(std::mt19937& random, std::size_t size, const Bytes& base) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto choice = random() % 4;
    const std::byte like_base = i < base.size() ? base[i] : std::byte{0};
    bytes[i] = choice == 0 ? static_cast<std::byte>(random() & 0xff) : choice == 1 ? std::byte{0} : like_base;
  }
  return bytes;
}

Sample random_sample(std::mt19937& random, const Sample& base) {
  Sample sample;
  sample.parts[0] = random_bytes(random, 8 * (1 + random() % 200), base.parts[0]);
  sample.parts[1] = random_bytes(random, 8 * (random() % 300), base.parts[1]);
  sample.parts[2] = random_bytes(random, random() % 90, base.parts[2]);
  return sample;
}

TEST(SnapshotStore, GivesBackWhatItWasGiven) {
  std::mt19937 random(1);
  SnapshotStore store;
  for (int round = 0; round < 3; ++round) {
    const Sample base = random_sample(random, {});
    store.reset(base.view());
    std::vector<std::pair<Sample, SnapshotStore::Handle>> stored;
    for (int i = 0; i < 400; ++i) {
      Sample sample = random_sample(random, base);
      const auto handle = store.store(sample.view());
      stored.emplace_back(std::move(sample), handle);
      if (i % 3 == 0) {
        const std::size_t victim = random() % stored.size();
        store.release(stored[victim].second);
        stored.erase(stored.begin() + static_cast<std::ptrdiff_t>(victim));
      }
    }
    for (auto& [sample, handle] : stored) {
      const auto loaded = store.load(handle);
      ASSERT_EQ(Bytes(loaded.begin(), loaded.end()), sample.joined());
      store.release(handle);
    }
    EXPECT_EQ(store.bytes(), 0u);
  }
}

TEST(SnapshotStore, TheBaseItselfTakesNextToNothing) {
  SnapshotStore store;
  Sample base;
  base.parts[0] = Bytes(4096, std::byte{0x5a});
  store.reset(base.view());
  const auto handle = store.store(base.view());
  EXPECT_LE(store.bytes(), 256u);
  EXPECT_EQ(store.load(handle).size(), 4096u);
}

TEST(SnapshotStore, ReleasedRoomIsUsedAgain) {
  SnapshotStore store;
  Sample base;
  base.parts[0] = Bytes(64, std::byte{1});
  store.reset(base.view());
  auto first = store.store(base.view());
  const std::byte* where = first.data;
  store.release(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(store.store(base.view()).data, where);
}

}  // namespace
}  // namespace cowherd::check
