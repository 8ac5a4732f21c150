#include "litmus/symbols.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "cowherd/result.hpp"

namespace cowherd::litmus {
namespace {

TEST(Symbols, EveryConstantReadsBack) {
  EXPECT_EQ(constant_names().size(), 15u);
  for (const std::string_view name : constant_names()) {
    const std::optional<std::int64_t> value = parse_constant(name);
    ASSERT_TRUE(value.has_value()) << name;
    EXPECT_EQ(format_value(-*value), "-" + std::string(name));
    EXPECT_EQ(format_value(*value), std::to_string(*value));
    EXPECT_STREQ(name_of(static_cast<Errno>(*value)), std::string(name).c_str());
  }
}

TEST(Symbols, NumbersAreLinuxs) {
  EXPECT_EQ(parse_constant("ENOMEM"), 12);
  EXPECT_EQ(parse_constant("EFAULT"), 14);
  EXPECT_EQ(parse_constant("SIGSEGV"), 1011);
}

TEST(Symbols, UnknownNamesAndValues) {
  EXPECT_EQ(parse_constant("ENOSPC"), std::nullopt);
  EXPECT_EQ(parse_constant(""), std::nullopt);
  // An operation that has to wait never ends with that value.
  EXPECT_EQ(parse_constant("EWOULDBLOCK"), std::nullopt);
  EXPECT_EQ(format_value(0), "0");
  EXPECT_EQ(format_value(-99), "-99");
  EXPECT_EQ(format_value(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_STREQ(name_of(static_cast<Errno>(7777)), "E?");
}

}  // namespace
}  // namespace cowherd::litmus
