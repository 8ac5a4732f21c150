#include "check/fiber.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

namespace cowherd::check {
namespace {

/// Counts to five, one suspension at a time, with its count on its own stack only.
struct Counter {
  Fiber fiber;
  std::vector<int> seen;

  static void count(void* self) {
    auto& counter = *static_cast<Counter*>(self);
    std::array<int, 50> values{};
    for (int i = 0; i < 5; ++i) {
      values[static_cast<std::size_t>(i) * 10] = i;
      counter.seen.push_back(values[static_cast<std::size_t>(i) * 10]);
      counter.fiber.suspend();
    }
    counter.seen.push_back(100);
  }
};

class Fibers : public testing::Test {
 protected:
  void SetUp() override {
    if (!kFibersWork) GTEST_SKIP() << "ThreadSanitizer's shadow of a stack does not follow a restored one";
  }
};

TEST_F(Fibers, RunAndSuspend) {
  Counter counter;
  counter.fiber.start(&Counter::count, &counter);
  while (counter.fiber.suspended()) counter.fiber.resume();
  EXPECT_EQ(counter.seen, (std::vector<int>{0, 1, 2, 3, 4, 100}));
}

TEST_F(Fibers, GoOnFromAnyImage) {
  Counter counter;
  std::vector<std::vector<std::byte>> images;
  counter.fiber.start(&Counter::count, &counter);
  for (; counter.fiber.suspended(); counter.fiber.resume()) {
    const auto image = counter.fiber.image();
    images.emplace_back(image.begin(), image.end());
  }
  ASSERT_EQ(images.size(), 5u);
  for (int from : {2, 0, 4, 3, 0}) {
    counter.seen.clear();
    counter.fiber.restore(images[static_cast<std::size_t>(from)]);
    while (counter.fiber.suspended()) counter.fiber.resume();
    std::vector<int> expected;
    for (int i = from + 1; i < 5; ++i) expected.push_back(i);
    expected.push_back(100);
    EXPECT_EQ(counter.seen, expected) << from;
  }
}

// The fuzzer's counters, which grow with each run, would pass over the stack.
#if defined(__clang__)
#define COWHERD_NOT_COUNTED [[clang::no_sanitize("coverage")]]
#else
#define COWHERD_NOT_COUNTED
#endif

/// What earlier code left on the dead part of the stack does not show.
TEST_F(Fibers, ImagesDependOnTheRunAlone) {
  struct Shallow {
    Fiber fiber;
    COWHERD_NOT_COUNTED static void body(void* self) {
      char hole[64];
      hole[0] = 1;
      asm volatile("" : : "r"(hole) : "memory");
      static_cast<Shallow*>(self)->fiber.suspend();
    }
    static void dirty(void* self) {
      char all[4096];
      std::memset(all, 0x5a, sizeof all);
      asm volatile("" : : "r"(all) : "memory");
      static_cast<Shallow*>(self)->fiber.suspend();
    }
  };
  Shallow shallow;
  shallow.fiber.set_scrubbed(Fiber::kStackBytes);
  const auto image_of = [&] {
    shallow.fiber.start(&Shallow::body, &shallow);
    const auto image = shallow.fiber.image();
    return std::vector<std::byte>(image.begin(), image.end());
  };
  const auto clean = image_of();
  shallow.fiber.start(&Shallow::dirty, &shallow);
  EXPECT_EQ(image_of(), clean);
}

}  // namespace
}  // namespace cowherd::check
