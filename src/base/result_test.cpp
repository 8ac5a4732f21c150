#include "cowherd/result.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "base/try.hpp"

namespace cowherd {
namespace {

Result<int> halved(int value) { return value % 2 == 0 ? Result<int>(value / 2) : Result<int>(Errno::kInvalid); }

Result<int> quartered(int value) {
  COWHERD_TRY_ASSIGN(half, halved(value));
  COWHERD_TRY_ASSIGN(quarter, halved(half));
  return quarter;
}

Result<void> must_be_even(int value) {
  COWHERD_TRY(halved(value));
  return {};
}

TEST(Result, HoldsAValueOrAReason) {
  EXPECT_TRUE(halved(4).ok());
  EXPECT_EQ(*halved(4), 2);
  ASSERT_FALSE(halved(3));
  EXPECT_EQ(halved(3).error(), Errno::kInvalid);
}

TEST(Result, TryStopsAtTheFirstError) {
  EXPECT_EQ(quartered(8).value(), 2);
  EXPECT_EQ(quartered(7).error(), Errno::kInvalid);
  EXPECT_EQ(quartered(6).error(), Errno::kInvalid);
  EXPECT_TRUE(must_be_even(2).ok());
  EXPECT_EQ(must_be_even(1).error(), Errno::kInvalid);
}

TEST(Result, AValueCanBeMovedOut) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(7);
  const std::unique_ptr<int> value = *std::move(made);
  EXPECT_EQ(*value, 7);
}

TEST(Errno, EveryNameIsItsOwn) {
  const Errno all[] = {Errno::kPerm,     Errno::kNoProcess, Errno::kNoDevice, Errno::kNoChild,   Errno::kAgain,
                       Errno::kNoMemory, Errno::kAccess,    Errno::kFault,    Errno::kBusy,      Errno::kExist,
                       Errno::kInvalid,  Errno::kSigSegv,   Errno::kSigBus,   Errno::kWouldBlock};
  std::set<std::string> names;
  for (const Errno error : all) {
    EXPECT_TRUE(names.insert(name_of(error)).second) << name_of(error);
    EXPECT_STRNE(name_of(error), "E?");
  }
  EXPECT_STREQ(name_of(Errno{9999}), "E?");
}

}  // namespace
}  // namespace cowherd
