#include "cow/nearest.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cowherd {
namespace {

TEST(EditDistance, CountsChangedLetters) {
  struct Case {
    const char* a;
    const char* b;
    std::size_t want;
  };
  const Case cases[] = {
      {"", "", 0},           {"", "abc", 3},        {"abc", "", 3},
      {"reuse", "reuse", 0}, {"reuse", "reus", 1},  {"reuse", "reusee", 1},
      {"reuse", "ruese", 1}, {"reuse", "resue", 1}, {"kitten", "sitting", 3},
      {"ab", "ba", 1},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(edit_distance(c.a, c.b), c.want) << c.a << " " << c.b;
    EXPECT_EQ(edit_distance(c.b, c.a), c.want) << c.b << " " << c.a;
    for (std::size_t limit = 0; limit < 8; ++limit) {
      const std::size_t limited = edit_distance(c.a, c.b, limit);
      EXPECT_EQ(limited >= limit, c.want >= limit) << c.a << " " << c.b << " " << limit;
      if (c.want < limit) {
        EXPECT_EQ(limited, c.want) << c.a << " " << c.b << " " << limit;
      }
    }
  }
}

TEST(EditDistance, LongTextsAreFarFromEverything) {
  const std::string longest(40, 'x');
  EXPECT_EQ(edit_distance(longest, longest), 0U);
  const std::string longer(41, 'x');
  EXPECT_EQ(edit_distance(longer, longer), 41U);
  EXPECT_EQ(edit_distance(longer, ""), 41U);
}

TEST(Nearest, TakesTheFirstOfTheBest) {
  Nearest nearest("exclusiv");
  for (const char* candidate : {"never", "count", "exclusive", "exclusivo"}) nearest.offer(candidate);
  EXPECT_EQ(nearest.best(), "exclusive");
}

TEST(Nearest, SaysNothingWhereNothingIsNear) {
  Nearest nearest("reuse");
  nearest.offer("pinned");
  EXPECT_EQ(nearest.best(), "");
  Nearest one_letter("a");
  one_letter.offer("b");
  EXPECT_EQ(one_letter.best(), "b");
  one_letter.offer("bcd");
  EXPECT_EQ(one_letter.best(), "b");
}

}  // namespace
}  // namespace cowherd
