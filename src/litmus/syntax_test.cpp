#include "litmus/syntax.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "litmus/generator.hpp"
#include "litmus/spelling.hpp"
#include "litmus/symbols.hpp"

namespace cowherd::litmus {
namespace {

std::set<std::string, std::less<>> words() {
  std::set<std::string, std::less<>> found;
  std::string word;
  for (const char c : syntax_reference()) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += c;
    } else {
      found.insert(word);
      word.clear();
    }
  }
  return found;
}

TEST(Syntax, NamesEverythingThatTheLanguageHas) {
  const auto found = words();
  for (const StatementWord& word : statement_words()) EXPECT_TRUE(found.contains(word.name)) << word.name;
  for (const std::string_view name : names_of(protection_words())) EXPECT_TRUE(found.contains(name)) << name;
  for (const std::string_view name : names_of(map_flag_words())) EXPECT_TRUE(found.contains(name)) << name;
  for (const std::string_view name : names_of(pin_flag_words())) EXPECT_TRUE(found.contains(name)) << name;
  for (const std::string_view name : names_of(advice_words())) EXPECT_TRUE(found.contains(name)) << name;
  for (const std::string_view name : names_of(verdict_words())) EXPECT_TRUE(found.contains(name)) << name;
  for (const std::string_view name : names_of(term_words())) EXPECT_TRUE(found.contains(name)) << name;
  for (const std::string_view name : constant_names()) EXPECT_TRUE(found.contains(name)) << name;
  for (const char* word : {"anon", "zeropage", "unmapped", "device", "kernel", "times", "fail_nth", "any", "Grain",
                           "filter", "locations", "exists", "forall", "memfd", "file", "private", "shared"}) {
    EXPECT_TRUE(found.contains(word)) << word;
  }
}

TEST(Syntax, EveryOpCodeHasAStatement) {
  for (std::size_t code = 0; code < kOpCodes; ++code) {
    const auto all = statement_words();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const StatementWord& word) {
      return word.code == static_cast<OpCode>(code);
    })) << code;
  }
}

TEST(Syntax, FitsOnAPage) {
  const std::string_view text = syntax_reference();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 110);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    ASSERT_NE(end, std::string_view::npos);
    EXPECT_LE(end - begin, 110u) << text.substr(begin, end - begin);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace cowherd::litmus
