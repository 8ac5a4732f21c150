#include <cstddef>

#include "cow/nearest.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

// Old to new: ranges go by the position in this table.
constexpr KernelAlias kVersions[] = {
    {"linux-2.6.12", "R0"},
    {"linux-2.6.13-rc5", "R1-rc5"},
    {"linux-2.6.13", "R1"},
    {"linux-2.6.14", "R1"},
    {"linux-2.6.15", "R1"},
    {"linux-2.6.16", "R1"},
    {"linux-2.6.17", "R1"},
    {"linux-2.6.18", "R1"},
    {"linux-2.6.19", "R1"},
    {"linux-2.6.20", "R1"},
    {"linux-2.6.21", "R1"},
    {"linux-2.6.22", "R1"},
    {"linux-2.6.23", "R1"},
    {"linux-2.6.24", "R1"},
    {"linux-2.6.25", "R1"},
    {"linux-2.6.26", "R1"},
    {"linux-2.6.27", "R1"},
    {"linux-2.6.28", "R1"},
    {"linux-2.6.29", "R2"},
    {"linux-2.6.30", "R2"},
    {"linux-2.6.31", "R2"},
    {"linux-2.6.32", "R2"},
    {"linux-2.6.33", "R2"},
    {"linux-2.6.34", "R2"},
    {"linux-2.6.35", "R2"},
    {"linux-2.6.36", "R2"},
    {"linux-2.6.37", "R2"},
    {"linux-2.6.38", "R2"},
    {"linux-2.6.39", "R2"},
    {"linux-3.0", "R2"},
    {"linux-3.1", "R2"},
    {"linux-3.2", "linux-3.2"},
    {"linux-3.3", "linux-3.2"},
    {"linux-3.4", "linux-3.2"},
    {"linux-3.5", "linux-3.2"},
    {"linux-3.6", "linux-3.2"},
    {"linux-3.7", "linux-3.2"},
    {"linux-3.8", "linux-3.2"},
    {"linux-3.9", "linux-3.2"},
    {"linux-3.10", "linux-3.2"},
    {"linux-3.11", "linux-3.2"},
    {"linux-3.12", "linux-3.2"},
    {"linux-3.13", "linux-3.2"},
    {"linux-3.14", "linux-3.2"},
    {"linux-3.15", "linux-3.2"},
    {"linux-3.16", "linux-3.2"},
    {"linux-3.17", "linux-3.2"},
    {"linux-3.18", "linux-3.2"},
    {"linux-3.19", "linux-3.2"},
    {"linux-4.0", "linux-3.2"},
    {"linux-4.1", "linux-3.2"},
    {"linux-4.2", "linux-3.2"},
    {"linux-4.3", "linux-3.2"},
    {"linux-4.4", "linux-3.2"},
    {"linux-4.5", "linux-3.2"},
    {"linux-4.6", "linux-3.2"},
    {"linux-4.7", "linux-3.2"},
    {"linux-4.8", "linux-3.2"},
    {"linux-4.8.2", "linux-3.2"},
    {"linux-4.8.3", "R3"},
    {"linux-4.9-rc1", "linux-3.2"},
    {"linux-4.9-rc2", "R3"},
    {"linux-4.9", "R3"},
    {"linux-4.10", "R3"},
    {"linux-4.11", "R3"},
    {"linux-4.12", "R3"},
    {"linux-4.13", "R3"},
    {"linux-4.14", "R3"},
    {"linux-4.15", "linux-4.15"},
    {"linux-4.16", "linux-4.15"},
    {"linux-4.17", "linux-4.15"},
    {"linux-4.18", "linux-4.15"},
    {"linux-4.19", "linux-4.19"},
    {"linux-4.20", "linux-4.19"},
    {"linux-5.0", "linux-4.19"},
    {"linux-5.1-rc4", "linux-4.19"},
    {"linux-5.1-rc5", "R3b"},
    {"linux-5.1", "R3b"},
    {"linux-5.2", "R3b"},
    {"linux-5.3", "R3b"},
    {"linux-5.4", "R3b"},
    {"linux-5.5", "R3b"},
    {"linux-5.6", "R3b"},
    {"linux-5.6.18", "R3b"},
    {"linux-5.6.19", "linux-5.6.19"},
    {"linux-5.7", "R3c"},
    {"linux-5.7.2", "R3c"},
    {"linux-5.7.3", "R4"},
    {"linux-5.7.14", "R4"},
    {"linux-5.8-rc1", "R4"},
    {"linux-5.8", "R4"},
    {"linux-5.8.1", "R4"},
    {"linux-5.9-rc1", "R4"},
    {"linux-5.9-rc2", "R4"},
    {"linux-5.9-rc3", "R4"},
    {"linux-5.9-rc4", "R4"},
    {"linux-5.9-rc5", "R5"},
    {"linux-5.9-rc6", "R5"},
    {"linux-5.9-rc7", "R5"},
    {"linux-5.9-rc8", "R6"},
    {"linux-5.9", "R7"},
    {"linux-5.9.1", "R7"},
    {"linux-5.10", "R7"},
    {"linux-5.10.7", "linux-5.10.7"},
    {"linux-5.11", "R8"},
    {"linux-5.12", "linux-5.12"},
    {"linux-5.13", "R9"},
    {"linux-5.14", "linux-5.14"},
    {"linux-5.15", "linux-5.14"},
    {"linux-5.16", "linux-5.16"},
    {"linux-5.17", "linux-5.17"},
    {"linux-5.18", "R10"},
    {"linux-5.19", "R11"},
    {"linux-5.19.5", "R11"},
    {"linux-5.19.6", "linux-5.19.6"},
    {"linux-6.0-rc1", "linux-6.0-rc1"},
    {"linux-6.0-rc2", "linux-6.0-rc1"},
    {"linux-6.0-rc3", "R12"},
    {"linux-6.0", "R12"},
    {"linux-6.1", "linux-6.1"},
    {"linux-6.2", "R13"},
    {"linux-6.3", "R13"},
    {"linux-6.4", "linux-6.4"},
    {"linux-6.5", "R14"},
    {"linux-6.6", "R14"},
    {"linux-6.7", "R14"},
    {"linux-6.8", "R14"},
    {"linux-6.9", "R15"},
    {"linux-6.10", "linux-6.10"},
    {"linux-6.11", "linux-6.10"},
    {"linux-6.12", "linux-6.10"},
    {"linux-6.13", "linux-6.13"},
    {"linux-6.14", "linux-6.13"},
    {"linux-6.15", "R16"},
    {"linux-6.16", "R16"},
    {"linux-6.17", "R16"},
    {"linux-6.18", "R16"},
    {"linux-6.19", "R16"},
    {"linux-7.0", "linux-7.0"},
    {"linux-7.1", "linux-7.0"},
    {"linux-7.1.5", "linux-7.0"},
};

constexpr std::string_view kRangeMark = "..";

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Positions in kVersions, bounds included.
struct Positions {
  std::size_t first;
  std::size_t last;
};

std::optional<std::size_t> position_of(std::string_view version) {
  for (std::size_t i = 0; i < std::size(kVersions); ++i) {
    if (kVersions[i].name == version) return i;
  }
  return std::nullopt;
}

/// From the first to the last version that a bound stands for: one for a version, several for a row.
std::optional<Positions> positions_of_bound(std::string_view name) {
  if (const auto version = position_of(name)) return Positions{*version, *version};
  std::optional<Positions> positions;
  for (std::size_t i = 0; i < std::size(kVersions); ++i) {
    if (kVersions[i].row != name) continue;
    positions = Positions{positions ? positions->first : i, i};
  }
  return positions;
}

struct Part {
  std::string_view left;
  std::string_view right;
  bool range;
};

Part split(std::string_view part) {
  const std::size_t mark = part.find(kRangeMark);
  if (mark == std::string_view::npos) return {part, part, false};
  return {trim(part.substr(0, mark)), trim(part.substr(mark + kRangeMark.size())), true};
}

std::optional<Positions> positions_of_range(const Part& part) {
  Positions positions{0, std::size(kVersions) - 1};
  if (!part.left.empty()) {
    const auto left = positions_of_bound(part.left);
    if (!left) return std::nullopt;
    positions.first = left->first;
  }
  if (!part.right.empty()) {
    const auto right = positions_of_bound(part.right);
    if (!right) return std::nullopt;
    positions.last = right->last;
  }
  return positions;
}

/// Whether any part of `range` is a name of `row`, or a range of versions that holds `position`.
bool any_part_matches(std::string_view range, const RuleRow* row, std::optional<std::size_t> position) {
  while (true) {
    const std::size_t comma = range.find(',');
    const Part part = split(trim(range.substr(0, comma)));
    if (!part.range) {
      if (row != nullptr && find_rules(part.left) == row) return true;
    } else if (position) {
      const auto positions = positions_of_range(part);
      if (positions && positions->first <= *position && *position <= positions->last) return true;
    }
    if (comma == std::string_view::npos) return false;
    range.remove_prefix(comma + 1);
  }
}

std::string unknown_name(std::string_view name) {
  std::string message = "unknown rule set '" + std::string(name) + "'";
  const std::string_view nearest = nearest_rules_name(name);
  if (!nearest.empty()) message += "; did you mean " + std::string(nearest) + "?";
  return message;
}

std::optional<std::string> problem_in_bound(std::string_view name) {
  if (name.empty() || positions_of_bound(name)) return std::nullopt;
  if (find_rules(name) == nullptr) return unknown_name(name);
  return "'" + std::string(name) + "' is not a Linux version and cannot bound a range";
}

std::optional<std::string> problem_in_part(std::string_view text) {
  const Part part = split(text);
  if (!part.range) {
    if (text.empty()) return "a rule set is missing";
    if (find_rules(text) == nullptr) return unknown_name(text);
    return std::nullopt;
  }
  if (part.left.empty() && part.right.empty()) return "a range needs a version on at least one side of '..'";
  if (auto problem = problem_in_bound(part.left)) return problem;
  if (auto problem = problem_in_bound(part.right)) return problem;
  const auto positions = positions_of_range(part);
  if (positions && positions->first > positions->last) return "the range '" + std::string(text) + "' is empty";
  return std::nullopt;
}

}  // namespace

std::span<const KernelAlias> linux_versions() { return kVersions; }

bool matches(std::string_view range, const RuleRow& row) {
  return any_part_matches(range, find_rules(row.id), position_of(row.representative));
}

bool matches(std::string_view range, const KernelAlias& version) {
  return any_part_matches(range, find_rules(version.name), position_of(version.name));
}

std::optional<std::string> problem_in_range(std::string_view range) {
  while (true) {
    const std::size_t comma = range.find(',');
    if (auto problem = problem_in_part(trim(range.substr(0, comma)))) return problem;
    if (comma == std::string_view::npos) return std::nullopt;
    range.remove_prefix(comma + 1);
  }
}

std::string_view nearest_rules_name(std::string_view name) {
  Nearest nearest(name);
  // A bare version number is the likeliest slip, and too short for its distance to the full name.
  for (const KernelAlias& version : kVersions) {
    if (version.name.substr(version.name.find('-') + 1) == name) return version.name;
  }
  for (const RuleRow& row : all_rows()) nearest.offer(row.id);
  for (const KernelAlias& version : kVersions) nearest.offer(version.name);
  for (const KernelAlias& peer : peers()) nearest.offer(peer.name);
  return nearest.best();
}

}  // namespace cowherd
