#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "litmus/program.hpp"

namespace cowherd::litmus {

enum class TokenKind : std::uint8_t {
  kEnd,
  kIdentifier,
  /// `value` holds it; `overflow` where it does not fit 64 bits.
  kNumber,
  /// `text` is what stands between the quotes.
  kString,
  /// The test's name, after COW.
  kTestName,
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kSemicolon,
  kComma,
  kColon,
  kStar,
  kDot,
  kDotDot,
  kBar,
  kMinus,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kNot,
  kAnd,
  kOr,
};

/// A piece of the text; `text` points into it.
struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;
  Position position;
  /// Bytes from the start of the text, one past the end for `end`.
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint64_t value = 0;
  bool overflow = false;
};

/// A comment of any of the four kinds; `text` includes its marks, not the newline that ends it.
struct Comment {
  std::string_view text;
  Position position;
  std::size_t begin = 0;
  std::size_t end = 0;
};

}  // namespace cowherd::litmus
