#include "live/kernel_work.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

std::string text_of(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(KernelWork, TheMachineIsAsItWas) {
  // What the tests before this one made serves the tests after it.
  (void)shared_offers();
  shared_work().put_back();
  const std::string swaps = text_of("/proc/swaps");
  const std::string run = text_of("/sys/kernel/mm/ksm/run");
  const std::string sleep = text_of("/sys/kernel/mm/ksm/sleep_millisecs");
  {
    KernelWork work;
    if (std::string problem = work.open({.swap = true, .merging = true}); !problem.empty()) GTEST_SKIP() << problem;
    EXPECT_NE(text_of("/proc/swaps"), swaps);
    EXPECT_NE(text_of("/sys/kernel/mm/ksm/sleep_millisecs"), sleep);
  }
  EXPECT_EQ(text_of("/proc/swaps"), swaps);
  EXPECT_EQ(text_of("/sys/kernel/mm/ksm/run"), run);
  EXPECT_EQ(text_of("/sys/kernel/mm/ksm/sleep_millisecs"), sleep);
}

}  // namespace
}  // namespace cowherd::live
