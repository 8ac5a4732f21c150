#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "cowherd/rules.hpp"

namespace cowherd {

/// One value that a decision can take.
struct DecisionValue {
  /// As written in `decision=value`.
  std::string_view name;
  /// One sentence without a full stop: what the value does, and what follows for whoever holds the page.
  std::string_view meaning;
};

/// One decision of Rules: parsing, printing, documents and explanations all read this.
struct DecisionInfo {
  Decision id;
  /// As written in `decision=value`.
  std::string_view name;
  /// The question that the decision answers, in one line.
  std::string_view question;
  /// When and why kernels changed their answer, in one sentence.
  std::string_view provenance;
  /// In the order of the enumerators: the index of a value is its number.
  std::span<const DecisionValue> values;
  /// The number of the value that a rule set holds.
  std::uint8_t (*get)(const Rules&);
  /// Precondition: the number is below values.size().
  void (*set)(Rules&, std::uint8_t);
};

/// All decisions, in the order of the members of Rules; element i describes Decision{i}.
std::span<const DecisionInfo> decision_table();

const DecisionInfo& info_of(Decision decision);

/// Nothing if no decision has this name.
std::optional<Decision> find_decision(std::string_view name);

/// "reuse", "fork-pinned"…
std::string_view decision_name(Decision decision);

/// The value that `rules` holds: "count", "has-pinned"…
std::string_view value_name(Decision decision, const Rules& rules);

/// The sentence behind that value.
std::string_view value_meaning(Decision decision, const Rules& rules);

}  // namespace cowherd
