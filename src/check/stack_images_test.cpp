#include "check/stack_images.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace cowherd::check {
namespace {

TEST(StackImages, KeepsEachOnce) {
  StackImages images;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i)
    texts.push_back(std::string(static_cast<std::size_t>(i % 700), 'x') + std::to_string(i));
  std::vector<StackImages::Number> numbers;
  for (const std::string& text : texts) numbers.push_back(images.intern(std::as_bytes(std::span(text))));
  EXPECT_EQ(images.count(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto bytes = std::as_bytes(std::span(texts[i]));
    EXPECT_EQ(images.intern(bytes), numbers[i]);
    EXPECT_TRUE(std::ranges::equal(images[numbers[i]], bytes)) << i;
  }
  EXPECT_EQ(images.count(), texts.size());
  images.clear();
  EXPECT_EQ(images.count(), 0u);
  EXPECT_EQ(images.intern(std::as_bytes(std::span(texts[9]))), 0u);
}

TEST(StackImages, TakesOneLargerThanASlab) {
  StackImages images;
  const std::vector<std::byte> large(std::size_t{1} << 20, std::byte{7});
  EXPECT_TRUE(std::ranges::equal(images[images.intern(large)], large));
}

}  // namespace
}  // namespace cowherd::check
