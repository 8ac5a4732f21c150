#include "base/failure_injector.hpp"

#include <gtest/gtest.h>

namespace cowherd {
namespace {

TEST(FailureInjector, FailsTheNthAllocationAndNoOther) {
  for (std::uint32_t nth = 1; nth <= 5; ++nth) {
    FailureInjector injector;
    injector.arm(nth);
    for (std::uint32_t i = 1; i <= 8; ++i) {
      EXPECT_FALSE(injector.fired() && i <= nth);
      EXPECT_EQ(injector.should_fail(), i == nth) << "allocation " << i << ", armed for " << nth;
      EXPECT_EQ(injector.seen(), i);
    }
    EXPECT_TRUE(injector.fired());
  }
}

TEST(FailureInjector, CountingFailsNothing) {
  FailureInjector injector;
  EXPECT_FALSE(injector.should_fail());
  EXPECT_EQ(injector.seen(), 0u);
  injector.arm(FailureInjector::kCountOnly);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(injector.should_fail());
  }
  EXPECT_FALSE(injector.fired());
  EXPECT_EQ(injector.seen(), 10u);
}

TEST(FailureInjector, AChooserFailsOneAllocationAtMost) {
  FailureInjector injector;
  int asked = 0;
  injector.arm([](void* count) { return ++*static_cast<int*>(count) == 2; }, &asked);
  EXPECT_FALSE(injector.should_fail());
  EXPECT_TRUE(injector.should_fail());
  EXPECT_TRUE(injector.fired());
  EXPECT_FALSE(injector.should_fail());
  EXPECT_EQ(asked, 2);
  injector.arm(0);
  EXPECT_FALSE(injector.should_fail());
  EXPECT_EQ(asked, 2);
}

TEST(FailureInjector, ArmingForgetsWhatWas) {
  FailureInjector injector;
  injector.arm(1);
  EXPECT_TRUE(injector.should_fail());
  injector.arm(2);
  EXPECT_FALSE(injector.fired());
  EXPECT_EQ(injector.seen(), 0u);
  EXPECT_FALSE(injector.should_fail());
  EXPECT_TRUE(injector.should_fail());
}

}  // namespace
}  // namespace cowherd
