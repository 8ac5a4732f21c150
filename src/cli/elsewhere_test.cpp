#include "cli/elsewhere.hpp"

#include <gtest/gtest.h>

namespace cowherd::cli {
namespace {

using Words = std::vector<std::string>;

TEST(Elsewhere, TheGuestIsNotToldWhereItRunsNorWhereResultsGo) {
  EXPECT_EQ(words_for_guest({"live", "--vm", "bzImage", "--judge", "litmus", "-o", "file"}),
            (Words{"live", "--judge", "litmus"}));
  EXPECT_EQ(words_for_guest({"probe", "--uml=linux.uml", "--json", "--output=file", "-ofile"}),
            (Words{"probe", "--json"}));
  EXPECT_EQ(words_for_guest({"live", "--vmx", "x-o"}), (Words{"live", "--vmx", "x-o"}));
}

TEST(Elsewhere, WhatIsToOverlapHasTwoProcessors) {
  EXPECT_EQ(processors_for_guest({"live", "--free", "10", "a"}), 2u);
  EXPECT_EQ(processors_for_guest({"live", "-free=10", "a"}), 2u);
  EXPECT_EQ(processors_for_guest({"live", "--random", "10", "free", "a"}), 1u);
}

}  // namespace
}  // namespace cowherd::cli
