#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cowherd/rules.hpp"

namespace cowherd {

/// How well a statement about a kernel is known.
enum class Evidence : std::uint8_t {
  /// The source tree, the commit's text or the mail was read.
  kConfirmed,
  /// From memory; nobody has read it again.
  kFromMemory,
  /// The known rule applied to the case.
  kDerived,
};

/// "C", "M" or "D".
std::string_view mark_of(Evidence evidence);

struct RowNote {
  Evidence evidence;
  std::string_view text;
};

/// One kernel, draft or peer: its decisions and what is known about them.
struct RuleRow {
  std::string_view id;
  std::string_view title;
  Rules rules;
  /// Which kernels behave so, for people: "2.6.13-2.6.28".
  std::string_view kernels;
  /// The linux_versions() name that stands for the row in a range of versions: its first release with two numbers
  /// (three in the days of 2.6) or, where the row has none, its first version of any kind. Empty where no Linux is
  /// meant.
  std::string_view representative;
  /// The commits that made the row, 12 digits each, separated by blanks.
  std::string_view commits;
  /// Sources, and what else differs for which there is no page kind or step here.
  std::span<const RowNote> notes;
  /// The row that this one differs from by a decision or two: set where one point release or peer needs its own
  /// decisions. Such a variant can be found by name and is not among all_rows().
  std::string_view variant_of;
};

/// A name of a kernel, and the row (or variant) that it stands for.
struct KernelAlias {
  std::string_view name;
  std::string_view row;
};

/// The row of that id, or that the kernel of that name stands for ("R7", "linux-5.10", "haiku"). Its rules are exactly
/// the rules of the name. Null if there is none.
const RuleRow* find_rules(std::string_view name);

/// Linux from old to new, then the sketch and the drafts, then the peers, then cowherd. No variants.
std::span<const RuleRow> all_rows();

/// The rows that all_rows() leaves out.
std::span<const RuleRow> variant_rows();

/// Every named Linux version from old to new: release candidates before, point releases after their version.
std::span<const KernelAlias> linux_versions();

/// Kernels and user-space kernels that are not Linux.
std::span<const KernelAlias> peers();

/// Whether a text like "linux-5.9", "A..B", "A..", "..B", "R7" or several of these separated by commas speaks of `row`.
/// A name speaks of a row if it stands for exactly that row. A range speaks of the row whose representative lies in it,
/// bounds included; a row id as a bound means the first version of the row at the left and the last one at the right.
/// False for a malformed part; problem_in_range() tells.
bool matches(std::string_view range, const RuleRow& row);

/// The same for one version: a range speaks of the version if it lies in it, a name if both stand for the same row.
bool matches(std::string_view range, const KernelAlias& version);

/// Why `range` is not what matches() reads, with a suggestion for a wrong name; nothing if it is.
std::optional<std::string> problem_in_range(std::string_view range);

/// The name of a rule set that looks most like `name`: a row, a variant, a version or a peer. Empty if none is near.
std::string_view nearest_rules_name(std::string_view name);

}  // namespace cowherd
