#include "measure/child.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace cowherd::measure {
namespace {

TEST(Child, BringsBackWhatWasMeasured) {
  const Figure figure = in_child([] { return Figure::measured(12.5); });
  ASSERT_TRUE(figure.ok());
  EXPECT_EQ(figure.value(), 12.5);
}

TEST(Child, BringsBackTheReason) {
  const Figure missing = in_child([] { return Figure::unavailable("no such call"); });
  EXPECT_EQ(missing.state(), Figure::State::kUnavailable);
  EXPECT_EQ(missing.text(), "no such call");
  const Figure wrong = in_child([] { return Figure::wrong("page 7 is gone"); });
  EXPECT_EQ(wrong.state(), Figure::State::kWrong);
  EXPECT_EQ(wrong.text(), "page 7 is gone");
}

TEST(Child, OneThatDiesIsNoFigure) {
  EXPECT_EQ(in_child([]() -> Figure { ::_exit(3); }).state(), Figure::State::kWrong);
  EXPECT_EQ(in_child([] {
              ::raise(SIGKILL);
              return Figure::measured(1);
            }).state(),
            Figure::State::kWrong);
}

TEST(Child, LeavesNothingBehind) {
  int kept = 1;
  (void)in_child([&] {
    kept = 2;
    return Figure::measured(1);
  });
  EXPECT_EQ(kept, 1);
}

}  // namespace
}  // namespace cowherd::measure
