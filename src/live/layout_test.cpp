#include "live/layout.hpp"

#include <gtest/gtest.h>

#include "live/program_test.hpp"

namespace cowherd::live {
namespace {

constexpr std::uint64_t kBase = 0x200000000000;

litmus::Place at(std::uint8_t variable, std::uint8_t page, std::uint8_t word = 0) {
  litmus::Place place;
  place.variable = variable;
  place.page = page;
  place.word = word;
  return place;
}

TEST(Layout, WithoutHugePagesEachPageIsOneOfTheMachines) {
  const Layout layout(program("P0() { r0 = READ_ONCE(*x); }", "x = anon[2](1); y = anon[4]; d = device;"), kBase);
  EXPECT_FALSE(layout.huge());
  EXPECT_EQ(layout.page_bytes(), 4096u);
  EXPECT_EQ(layout.address_of(at(0, 1, 2)) - layout.address_of(at(0, 0)), 4096u + 16);
  EXPECT_GE(layout.address_of(at(1, 0)), layout.address_of(at(0, 1)) + 2 * 4096) << "a gap before each variable";
}

TEST(Layout, FourPagesOfATestAreAHugePageWhereOneCanLie) {
  const Layout layout(program("P0() { r0 = READ_ONCE(*x); }", "a = anon(1); x = thp(1); y = thp[3]; z = thp[8];"),
                      kBase);
  EXPECT_TRUE(layout.huge());
  EXPECT_EQ(layout.page_bytes() * litmus::kHugePages, kHugeBytes);
  EXPECT_EQ(layout.address_of(at(1, 0)) % kHugeBytes, 0u);
  EXPECT_EQ(layout.address_of(at(3, 4)) % kHugeBytes, 0u);
  EXPECT_EQ(layout.address_of(at(1, 3)) % kHugeBytes, 3 * kHugeBytes / 4);
  EXPECT_GT(layout.address_of(at(2, 0)), layout.address_of(at(1, 3)) + layout.page_bytes());
}

TEST(Layout, WhateverNamesHugePagesIsKnown) {
  const auto names = [](const char* statements, const char* memory = "x = anon[4](1);") {
    return names_huge_pages(program(std::string("P0() { ") + statements + " }", memory));
  };
  EXPECT_FALSE(names("madvise(x, MADV_COLD);"));
  EXPECT_TRUE(names("madvise(x, MADV_COLLAPSE);"));
  EXPECT_TRUE(names("madvise(x, MADV_HUGEPAGE);"));
  EXPECT_TRUE(names("collapse(x[0]);"));
  EXPECT_TRUE(names("split(x[0]);"));
  EXPECT_TRUE(names("r0 = READ_ONCE(*x); }\nexists (huge(0:x)) //"));
  EXPECT_TRUE(names("r0 = READ_ONCE(*x);", "x = thp;"));
}

}  // namespace
}  // namespace cowherd::live
