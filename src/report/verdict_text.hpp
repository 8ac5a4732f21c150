#pragma once

#include <string>

#include "report/judged.hpp"

namespace cowherd::report {

/// The whole verdict of one run, in herd7's lines and ours: Test, Rules, States and the states, Ok or No, Witnesses,
/// Positive, Condition, Observation, Reference, Coverage, Expected, and with `times` Time, then Hash.
std::string verdict_text(const Judged& judged, bool times);

/// The Observation line of a batch, with how it was judged behind it.
std::string observation_line(const Judged& judged);

/// "Time NAME 0.19"
std::string time_line(const check::CheckResult& result);

/// "exhaustive states=12 …", "partial states: …"
std::string coverage_text(const check::CheckResult& result);

/// "Allowed", "Forbidden", "Required": herd7's word for what the quantifier says of the condition. Without one,
/// breaking the reference semantics is what is forbidden.
const char* kind_of(litmus::Quantifier quantifier);

/// The condition as the test writes it, or words for the lack of one.
std::string condition_text(const litmus::Program& program);

}  // namespace cowherd::report
