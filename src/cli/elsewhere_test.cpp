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

}  // namespace
}  // namespace cowherd::cli
