#include "base/racing_bytes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace cowherd {
namespace {

TEST(RacingBytes, CopiesAnySizeFromAnyPlace) {
  for (std::size_t offset : {0u, 1u, 4u, 7u, 8u}) {
    for (std::size_t size : {0u, 1u, 2u, 4u, 7u, 8u, 9u, 16u, 100u}) {
      std::vector<std::byte> from(128);
      std::vector<std::byte> to(128, std::byte{0xEE});
      for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i);
      copy_racing(to.data() + offset, from.data() + offset, size);
      for (std::size_t i = 0; i < to.size(); ++i) {
        const bool copied = i >= offset && i < offset + size;
        ASSERT_EQ(to[i], copied ? from[i] : std::byte{0xEE}) << offset << " " << size << " " << i;
      }
    }
  }
}

TEST(RacingBytes, ClearsWhatItIsToldTo) {
  constexpr std::size_t kPage = 256;
  alignas(16) std::array<std::byte, 3 * kPage> memory;
  memory.fill(std::byte{0xEE});
  clear_past_caches(memory.data() + kPage, kPage);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    ASSERT_EQ(memory[i], i / kPage == 1 ? std::byte{0} : std::byte{0xEE}) << i;
  }
}

/// Every word that a writer ever stores has equal halves; so has every word that a reader or a copy of the whole finds.
TEST(RacingBytes, WordsAreOldOrNew) {
  constexpr std::size_t kWords = 8;
  constexpr unsigned kRounds = 50'000;
  alignas(64) std::array<std::uint64_t, kWords> page{};
  std::atomic<bool> over{false};
  std::thread writer([&] {
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t value = round << 32 | round;
      auto* word = reinterpret_cast<std::byte*>(&page[round % kWords]);
      copy_racing(word, reinterpret_cast<const std::byte*>(&value), sizeof value);
    }
    over = true;
  });
  unsigned torn = 0;
  do {
    alignas(64) std::array<std::uint64_t, kWords> copy;
    copy_racing(reinterpret_cast<std::byte*>(copy.data()), reinterpret_cast<const std::byte*>(page.data()),
                sizeof copy);
    for (const std::uint64_t word : copy) torn += word >> 32 == (word & 0xFFFFFFFF) ? 0 : 1;
  } while (!over);
  writer.join();
  EXPECT_EQ(torn, 0u);
}

}  // namespace
}  // namespace cowherd
