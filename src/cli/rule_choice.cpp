#include "cli/rule_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "cow/rules_text.hpp"

namespace cowherd::cli {
namespace {

bool is_path(std::string_view word) { return word.find('/') != std::string_view::npos || word.ends_with(".rules"); }

/// Cuts at commas, except before `decision=value`, which belongs to the name in front of it.
std::vector<std::string> cut(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (word.empty()) continue;
    const bool setting = word.find('=') != std::string_view::npos && !is_path(word);
    if (setting && !words.empty()) {
      words.back() += fmt::format(",{}", word);
    } else {
      words.emplace_back(word);
    }
  }
  return words;
}

RuleChoice choice_of(const RuleRow& row) {
  return {.name = std::string(row.id), .rules = row.rules, .row = &row, .version = nullptr};
}

class Chooser {
 public:
  void take(const std::string& word) {
    if (word == "all") {
      for (const RuleRow& row : all_rows()) add(choice_of(row));
    } else if (word == "stated") {
      out_.stated = true;
    } else if (word == "peers") {
      for (const KernelAlias& peer : peers()) take_name(std::string(peer.name));
    } else if (word.find("..") != std::string::npos && !is_path(word)) {
      take_range(word);
    } else {
      take_name(word);
    }
  }

  RuleChoices result() && { return std::move(out_); }

 private:
  void take_range(const std::string& word) {
    if (const std::optional<std::string> problem = problem_in_range(word)) {
      out_.errors.push_back(fmt::format("--rules {}: {}", word, *problem));
      return;
    }
    const std::size_t before = out_.rules.size();
    for (const RuleRow& row : all_rows()) {
      if (matches(word, row)) add(choice_of(row));
    }
    if (out_.rules.size() == before) {
      out_.errors.push_back(fmt::format("--rules {}: no rule set begins in this range", word));
    }
  }

  void take_name(const std::string& word) {
    const ParsedRules parsed = load_rules(word);
    if (!parsed) {
      out_.errors.push_back(is_path(word) ? parsed.error : fmt::format("--rules {}: {}", word, parsed.error));
      return;
    }
    RuleChoice choice{.name = word, .rules = *parsed.rules, .row = nullptr, .version = nullptr};
    if (parsed.base != nullptr && parsed.base->rules == *parsed.rules) {
      choice.row = parsed.base;
      const auto versions = linux_versions();
      const auto named = std::find_if(versions.begin(), versions.end(),
                                      [&word](const KernelAlias& version) { return version.name == word; });
      if (named != versions.end()) choice.version = &*named;
    }
    add(std::move(choice));
  }

  void add(RuleChoice choice) {
    const auto same = [&choice](const RuleChoice& other) { return other.name == choice.name; };
    if (std::none_of(out_.rules.begin(), out_.rules.end(), same)) out_.rules.push_back(std::move(choice));
  }

  RuleChoices out_;
};

bool speaks_of(const std::string& rules, const RuleChoice& choice) {
  if (rules.find('=') != std::string::npos) return parse_rules(rules).rules == choice.rules;
  if (choice.version != nullptr) return matches(rules, *choice.version);
  return choice.row != nullptr && matches(rules, *choice.row);
}

}  // namespace

RuleChoices choose_rules(const std::vector<std::string>& words) {
  Chooser chooser;
  for (const std::string& word : words) {
    for (const std::string& part : cut(word)) chooser.take(part);
  }
  return std::move(chooser).result();
}

std::vector<RuleChoice> every_row() {
  std::vector<RuleChoice> rows;
  for (const RuleRow& row : all_rows()) rows.push_back(choice_of(row));
  return rows;
}

std::optional<litmus::Verdict> statement_about(const RuleChoice& choice, const litmus::Program& program) {
  std::optional<litmus::Verdict> by_name;
  std::optional<litmus::Verdict> by_range;
  for (const litmus::Expectation& expectation : program.expectations) {
    if (!speaks_of(expectation.rules, choice)) continue;
    const bool range = expectation.rules.find("..") != std::string::npos;
    (range ? by_range : by_name) = expectation.verdict;
  }
  return by_name ? by_name : by_range;
}

}  // namespace cowherd::cli
