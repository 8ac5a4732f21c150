#pragma once

#include <optional>

#include "check/explore.hpp"
#include "check/result.hpp"
#include "check/tracer.hpp"

namespace cowherd::check {

/// The decision at which a pin and its owner's page table went apart; failing that, the one that let somebody go on
/// with a page that a device of another process held. Marks the steps of the trace that had a part in it.
std::optional<Parting> find_parting(Tracer& tracer);

/// Marks the last step of the trace as the one that broke what `key` says, and says how.
void mark_breach(Trace& trace, const FindingKey& key);

/// Between steps of operations a pin and a page table part at one place and for the sake of another: where changing the
/// decision that the parting names would not help, and another one's change does (Finding::remedies), names that.
void correct_parting(Finding& finding, const Rules& rules);

/// Runs `schedule` on the finding's program and fills in trace and parting. False where it cannot be run.
bool explain(Finding& finding, const FindingKey& key, const Schedule& schedule, const CheckOptions& options);

}  // namespace cowherd::check
