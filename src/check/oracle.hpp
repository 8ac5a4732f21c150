#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "check/result.hpp"
#include "check/step.hpp"
#include "mm/violation.hpp"
#include "spec/promise.hpp"

namespace cowherd::check {

/// What makes two findings of one test the same finding.
struct FindingKey {
  enum class Source : std::uint8_t {
    /// A promise of the reference semantics.
    kPromise,
    /// An invariant of the machine.
    kInvariant,
    /// Blocks that have not ended, and none can go on.
    kDeadlock,
    /// Blocks that can go on for ever without any operation's ending.
    kLivelock,
  };
  Source source = Source::kPromise;
  spec::Clause clause = spec::Clause::kNone;
  spec::Harm harm = spec::Harm::kNone;
  mm::Violation violation = mm::Violation::kCount;
  /// Apart from the rest, so that the documented weakness of ordinary references hides no other one.
  bool by_get = false;

  auto operator<=>(const FindingKey&) const = default;
};

/// Precondition: the judgement is not ok().
FindingKey key_of(const spec::Judgement& judgement);
FindingKey key_of(mm::Violation violation);
FindingKey deadlock_key();
FindingKey livelock_key();

FindingKind kind_of(const FindingKey& key);

/// The remark on a finding that Linux documents: nobody promises anything to an ordinary reference.
inline constexpr std::string_view kGetResidual = "documented residual: an ordinary reference (get) is not protected";

/// Fills in the words of a finding; program and trace stay empty.
Finding describe(const FindingKey& key);

/// Whether `finding(LABEL)` is true of a run that broke what `control` says: the name of a violation, a clause or a
/// harm.
bool broke(const Control& control, const std::string& label);

/// Calls visit(violation) for every element.
template <class Visit>
void for_each(mm::Violations violations, Visit&& visit) {
  for (unsigned i = 0; i < static_cast<unsigned>(mm::Violation::kCount); ++i) {
    if (violations.has(static_cast<mm::Violation>(i))) visit(static_cast<mm::Violation>(i));
  }
}

}  // namespace cowherd::check
