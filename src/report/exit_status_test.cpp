#include "report/exit_status.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace cowherd::report {
namespace {

ExitStatus worst_of(const std::vector<ExitStatus>& statuses) {
  ExitTally tally;
  for (const ExitStatus status : statuses) tally.add(status);
  return tally.worst();
}

TEST(ExitTally, NothingDoneIsAsExpected) { EXPECT_EQ(worst_of({}), ExitStatus::kExpected); }

TEST(ExitTally, SkippedOnlyIfAllAre) {
  EXPECT_EQ(worst_of({ExitStatus::kSkipped, ExitStatus::kSkipped}), ExitStatus::kSkipped);
  EXPECT_EQ(worst_of({ExitStatus::kSkipped, ExitStatus::kExpected}), ExitStatus::kExpected);
  EXPECT_EQ(worst_of({ExitStatus::kExpected, ExitStatus::kSkipped}), ExitStatus::kExpected);
}

TEST(ExitTally, TheWorstWinsWhateverTheOrder) {
  const std::vector<ExitStatus> order = {ExitStatus::kSkipped,     ExitStatus::kExpected, ExitStatus::kInconclusive,
                                         ExitStatus::kTimeLimit,   ExitStatus::kDiffers,  ExitStatus::kInput,
                                         ExitStatus::kInterrupted, ExitStatus::kInternal};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = 0; j < order.size(); ++j) {
      EXPECT_EQ(worst_of({order[i], order[j]}), order[i < j ? j : i]) << i << " and " << j;
    }
  }
}

TEST(ExitStatus, NumbersAreThoseOfTheManual) {
  EXPECT_EQ(static_cast<int>(ExitStatus::kDiffers), 1);
  EXPECT_EQ(static_cast<int>(ExitStatus::kInput), 2);
  EXPECT_EQ(static_cast<int>(ExitStatus::kInternal), 3);
  EXPECT_EQ(static_cast<int>(ExitStatus::kSkipped), 4);
  EXPECT_EQ(static_cast<int>(ExitStatus::kInconclusive), 5);
  EXPECT_EQ(static_cast<int>(ExitStatus::kTimeLimit), 124);
  EXPECT_EQ(static_cast<int>(ExitStatus::kInterrupted), 130);
}

}  // namespace
}  // namespace cowherd::report
