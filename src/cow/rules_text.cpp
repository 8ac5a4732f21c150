#include "cow/rules_text.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "cow/decision_table.hpp"
#include "cow/nearest.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

constexpr std::string_view kBlanks = " \t\r";

/// For messages of one line: without control characters, and not much longer than any name.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMostShown = 60;
  std::string shown(text.substr(0, kMostShown));
  for (char& letter : shown) {
    if (static_cast<unsigned char>(letter) < ' ') letter = '?';
  }
  return "'" + shown + (text.size() > kMostShown ? "…'" : "'");
}

std::string suggestion(std::string_view nearest) {
  return nearest.empty() ? std::string() : "; did you mean " + std::string(nearest) + "?";
}

/// A piece of the text that is read, and where it starts, counted from 0.
struct Piece {
  std::string_view text;
  std::size_t at = 0;
};

Piece trim(Piece piece) {
  const std::size_t begin = piece.text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {{}, piece.at};
  return {piece.text.substr(begin, piece.text.find_last_not_of(kBlanks) - begin + 1), piece.at + begin};
}

/// Cuts the text at the first `mark`, which goes away; all of it if there is none.
Piece take_until(Piece& rest, char mark) {
  const std::size_t end = rest.text.find(mark);
  if (end == std::string_view::npos) return std::exchange(rest, {{}, rest.at + rest.text.size()});
  const Piece head{rest.text.substr(0, end), rest.at};
  rest = {rest.text.substr(end + 1), rest.at + end + 1};
  return head;
}

struct Problem {
  std::size_t at;
  std::string message;
};

std::optional<std::uint8_t> find_value(const DecisionInfo& info, std::string_view name) {
  for (std::size_t i = 0; i < info.values.size(); ++i) {
    if (info.values[i].name == name) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

/// Rules under construction: a base, then decisions that each may come once.
class Builder {
 public:
  explicit Builder(const RuleRow& base) : base_(&base), rules_(base.rules) {}
  Builder(const RuleRow& base, const Rules& rules) : base_(&base), rules_(rules) {}

  std::optional<Problem> start_from(Piece name) {
    const RuleRow* row = find_rules(name.text);
    if (row == nullptr) {
      return Problem{name.at, "unknown rule set " + quoted(name.text) + suggestion(nearest_rules_name(name.text))};
    }
    base_ = row;
    rules_ = row->rules;
    return std::nullopt;
  }

  /// Reads `decision=value`. Precondition: there is a '=' in it.
  std::optional<Problem> assign(Piece piece) {
    Piece rest = piece;
    const Piece name = trim(take_until(rest, '='));
    const Piece value = trim(rest);
    const std::optional<Decision> decision = find_decision(name.text);
    if (!decision) return unknown_decision(name);
    const DecisionInfo& info = info_of(*decision);
    const std::optional<std::uint8_t> number = find_value(info, value.text);
    if (!number) return unknown_value(info, value);
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(*decision);
    if ((assigned_ & bit) != 0) return Problem{name.at, "decision " + quoted(name.text) + " is given twice"};
    assigned_ |= bit;
    info.set(rules_, *number);
    return std::nullopt;
  }

  [[nodiscard]] ParsedRules done() const { return {rules_, base_, {}}; }

 private:
  static Problem unknown_decision(Piece name) {
    Nearest nearest(name.text);
    for (const DecisionInfo& info : decision_table()) nearest.offer(info.name);
    return {name.at, "unknown decision " + quoted(name.text) + suggestion(nearest.best())};
  }

  static Problem unknown_value(const DecisionInfo& info, Piece value) {
    Nearest nearest(value.text);
    for (const DecisionValue& candidate : info.values) nearest.offer(candidate.name);
    std::string message = "unknown value " + quoted(value.text) + " of " + std::string(info.name);
    if (!nearest.best().empty()) return {value.at, message + suggestion(nearest.best())};
    message += "; it is one of";
    for (const DecisionValue& candidate : info.values) {
      message += (&candidate == info.values.data() ? " " : ", ") + std::string(candidate.name);
    }
    return {value.at, message};
  }

  const RuleRow* base_;
  Rules rules_;
  static_assert(kDecisionCount <= 64);
  std::uint64_t assigned_ = 0;
};

ParsedRules failed(std::string message) { return {std::nullopt, nullptr, std::move(message)}; }

ParsedRules failed(const Problem& problem) {
  return failed("column " + std::to_string(problem.at + 1) + ": " + problem.message);
}

/// One line of a rules file, without its comment. `first`: nothing but blank lines came before.
std::optional<Problem> read_line(Builder& builder, Piece line, bool first) {
  if (line.text.find('=') != std::string_view::npos) return builder.assign(line);
  constexpr std::string_view kBase = "base";
  const std::size_t end = line.text.find_first_of(kBlanks);
  if (line.text.substr(0, end) != kBase) return Problem{line.at, "expected 'base NAME' or 'decision = value'"};
  if (!first) return Problem{line.at, "'base' comes first and once"};
  if (end == std::string_view::npos) return Problem{line.at, "'base' needs the name of a rule set"};
  return builder.start_from(trim({line.text.substr(end), line.at + end}));
}

/// Reads pieces between commas; the first one may be a name if `with_name`.
ParsedRules parse_pieces(Builder builder, Piece rest, bool with_name) {
  for (bool more = true; more; with_name = false) {
    more = rest.text.find(',') != std::string_view::npos;
    const Piece piece = trim(take_until(rest, ','));
    std::optional<Problem> problem;
    if (piece.text.find('=') != std::string_view::npos) {
      problem = builder.assign(piece);
    } else if (with_name && !piece.text.empty()) {
      problem = builder.start_from(piece);
    } else if (piece.text.empty()) {
      problem = Problem{piece.at, with_name ? "a rule set is missing" : "'decision=value' is missing"};
    } else {
      problem = Problem{piece.at, "expected 'decision=value' and found " + quoted(piece.text)};
    }
    if (problem) return failed(*problem);
  }
  return builder.done();
}

bool is_path(std::string_view name) { return name.find('/') != std::string_view::npos || name.ends_with(".rules"); }

}  // namespace

ParsedRules parse_rules(std::string_view text) {
  return parse_pieces(Builder(*find_rules("cowherd")), {text}, /*with_name=*/true);
}

ParsedRules parse_rules_file(std::string_view text, std::string_view file_name) {
  Builder builder(*find_rules("cowherd"));
  Piece rest{text};
  bool first = true;
  for (std::size_t number = 1; !rest.text.empty(); ++number) {
    Piece line = take_until(rest, '\n');
    line.at = 0;
    line = trim(take_until(line, '#'));
    if (line.text.empty()) continue;
    if (const auto problem = read_line(builder, line, first)) {
      return failed(std::string(file_name) + ":" + std::to_string(number) + ":" + std::to_string(problem->at + 1) +
                    ": " + problem->message);
    }
    first = false;
  }
  return builder.done();
}

ParsedRules load_rules(std::string_view text) {
  Piece rest{text};
  const Piece name = trim(take_until(rest, ','));
  if (!is_path(name.text)) return parse_rules(text);
  // Opening a directory succeeds and then reads as an empty file.
  std::error_code ignored;
  std::ifstream file{std::string(name.text), std::ios::binary};
  if (!file || std::filesystem::is_directory(std::filesystem::path(name.text), ignored)) {
    return failed("cannot read the rules file " + quoted(name.text));
  }
  std::stringstream content;
  content << file.rdbuf();
  ParsedRules parsed = parse_rules_file(content.str(), name.text);
  if (!parsed || text.find(',') == std::string_view::npos) return parsed;
  return parse_pieces(Builder(*parsed.base, *parsed.rules), rest, /*with_name=*/false);
}

std::vector<Difference> diff(const Rules& left, const Rules& right) {
  std::vector<Difference> differences;
  for (const DecisionInfo& info : decision_table()) {
    if (info.get(left) == info.get(right)) continue;
    differences.push_back({info.id, value_name(info.id, left), value_name(info.id, right)});
  }
  return differences;
}

std::string print_rules(const Rules& rules) {
  std::string text = "base cowherd\n";
  for (const DecisionInfo& info : decision_table()) {
    text += std::string(info.name) + " = " + std::string(value_name(info.id, rules)) + "\n";
  }
  return text;
}

std::string short_rules(const Rules& rules) {
  const RuleRow* nearest = find_rules("cowherd");
  std::vector<Difference> best = diff(nearest->rules, rules);
  for (const std::span<const RuleRow> rows : {all_rows(), variant_rows()}) {
    for (const RuleRow& row : rows) {
      std::vector<Difference> candidate = diff(row.rules, rules);
      if (candidate.size() >= best.size()) continue;
      nearest = &row;
      best = std::move(candidate);
    }
  }
  std::string text(nearest->id);
  for (const Difference& difference : best) {
    text += "," + std::string(decision_name(difference.decision)) + "=" + std::string(difference.right);
  }
  return text;
}

}  // namespace cowherd
