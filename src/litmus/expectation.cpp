#include "litmus/expectation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "litmus/diagnostic.hpp"
#include "litmus/spelling.hpp"

namespace cowherd::litmus {
namespace {

constexpr std::array<std::string_view, 5> kKeys{"Result", "Rules", "Grain", "Source", "Remark"};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// The words of a comment's inside. A star at the start of a line is decoration.
std::string words_of(std::string_view inside) {
  std::string out;
  bool line_start = false;
  bool gap = false;
  for (const char c : inside) {
    if (c == '\n') line_start = true;
    if (is_space(c)) {
      gap = true;
    } else if (c == '*' && line_start) {
      line_start = false;
      gap = true;
    } else {
      if (gap && !out.empty()) out += ' ';
      out += c;
      gap = false;
      line_start = false;
    }
  }
  return out;
}

bool is_rules_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' || c == '+';
  });
}

/// `decision=value`: belongs to the name before it.
bool is_change(std::string_view text) {
  const std::size_t equals = text.find('=');
  return equals != std::string_view::npos && is_rules_name(text.substr(0, equals)) &&
         is_rules_name(text.substr(equals + 1));
}

bool is_rules_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return is_rules_name(text);
  const std::string_view from = text.substr(0, dots);
  const std::string_view to = text.substr(dots + 2);
  if (from.empty() && to.empty()) return false;
  return (from.empty() || is_rules_name(from)) &&
         (to.empty() || (is_rules_name(to) && to.find("..") == std::string_view::npos));
}

}  // namespace

std::optional<KeyedComment> read_keyed_comment(std::string_view comment) {
  if (!comment.starts_with("(*") || !comment.ends_with("*)") || comment.size() < 4) return std::nullopt;
  // One star of "(**" and "**)" is decoration as well.
  std::string_view inside = trim(comment.substr(2, comment.size() - 4));
  while (inside.starts_with('*')) inside.remove_prefix(1);
  while (inside.ends_with('*')) inside.remove_suffix(1);
  const std::string text = words_of(inside);
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string_view word = std::string_view(text).substr(0, colon);
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  if (word.size() < 4 || !std::all_of(word.begin(), word.end(), letter)) return std::nullopt;

  KeyedComment keyed;
  keyed.value = std::string(trim(std::string_view(text).substr(colon + 1)));
  for (const std::string_view key : kKeys) {
    if (word == key) keyed.key = key;
  }
  if (keyed.key.empty()) {
    keyed.meant = closest_name(word, {kKeys.begin(), kKeys.end()});
    if (keyed.meant.empty()) return std::nullopt;
  }
  return keyed;
}

std::optional<Verdict> find_verdict(std::string_view name) {
  for (const FlagWord<Verdict>& word : verdict_words()) {
    if (word.name == name) return word.flag;
  }
  return std::nullopt;
}

std::optional<Grain> find_grain(std::string_view name) {
  for (const FlagWord<Grain>& word : grain_words()) {
    if (word.name == name) return word.flag;
  }
  return std::nullopt;
}

bool parse_rules_line(std::string_view value, std::vector<Expectation>& out, std::string& error,
                      std::string& suggestion) {
  while (!(value = trim(value)).empty()) {
    const std::size_t end = std::min(value.find(';'), value.size());
    const std::string_view statement = trim(value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));

    const std::size_t space = std::min(statement.find(' '), statement.size());
    const std::string_view word = statement.substr(0, space);
    const std::optional<Verdict> verdict = find_verdict(word);
    if (!verdict.has_value()) {
      error = fmt::format("'{}' is no verdict: Never, Sometimes or Always", word.substr(0, 40));
      suggestion = std::string(closest_name(word, names_of(verdict_words())));
      return false;
    }
    std::string_view list = trim(statement.substr(space));
    bool may_change = false;
    do {
      const std::size_t comma = std::min(list.find(','), list.size());
      const std::string_view rules = trim(list.substr(0, comma));
      list.remove_prefix(std::min(comma + 1, list.size()));
      if (may_change && is_change(rules)) {
        out.back().rules += fmt::format(",{}", rules);
        continue;
      }
      if (!is_rules_range(rules)) {
        error = rules.empty() ? fmt::format("{} for which rules?", word)
                              : fmt::format("'{}' is no rule set and no range of them", rules.substr(0, 60));
        return false;
      }
      out.push_back({*verdict, std::string(rules)});
      may_change = rules.find("..") == std::string_view::npos;
    } while (!list.empty());
  }
  return true;
}

std::string format_rules_line(const std::vector<Expectation>& expectations) {
  std::string out;
  for (std::size_t i = 0; i < expectations.size(); ++i) {
    const Expectation& expectation = expectations[i];
    if (i > 0 && expectations[i - 1].verdict == expectation.verdict) {
      out += fmt::format(", {}", expectation.rules);
    } else {
      out += fmt::format("{}{} {}", i > 0 ? "; " : "", name_of(expectation.verdict), expectation.rules);
    }
  }
  return out;
}

}  // namespace cowherd::litmus
