#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "litmus/program.hpp"

namespace cowherd::litmus {

/// What a `(* Key: value *)` comment says; `value` has single spaces and no decoration.
struct KeyedComment {
  std::string_view key;
  std::string value;
  /// Set where the word before the colon is only nearly a key: that key.
  std::string_view meant;
};

/// Nothing for a comment that is not of that form, or whose first word is far from every key.
std::optional<KeyedComment> read_keyed_comment(std::string_view comment);

std::optional<Verdict> find_verdict(std::string_view name);
std::optional<Grain> find_grain(std::string_view name);

/// Reads the value of `Rules:`. Returns false and says why in `error` (and what was meant in `suggestion`) if it is
/// malformed.
bool parse_rules_line(std::string_view value, std::vector<Expectation>& out, std::string& error,
                      std::string& suggestion);

/// The value of `Rules:` as the printer writes it: neighbours with the same verdict share one.
std::string format_rules_line(const std::vector<Expectation>& expectations);

}  // namespace cowherd::litmus
