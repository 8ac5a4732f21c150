#pragma once

#include <cstdint>

#include "check/call.hpp"
#include "spec/spec.hpp"

namespace cowherd::check {

// What userfaultfd's handler does, and who waits for it, as the reference sees it.

/// One of its calls as a whole. Precondition: is_of_handler().
spec::Judgement run_handler_call(spec::Spec& spec, const Pending& pending, const spec::Observation& seen);

/// The errors with which the reference lets it fail now, as a set of bits by is_refused_with(); nothing changes.
std::int64_t possible_refusals(spec::Spec& spec, const Pending& pending);
bool is_refused_with(std::int64_t refusals, Errno error);

/// What was to be said before pages are taken, in a number and back.
std::int64_t value_of(const spec::Removal& removal);
spec::Removal removal_of(std::int64_t value);
/// Of what was said: of so many pages, and whether the handler was told.
inline std::int64_t said_of(std::uint64_t pages, bool told) {
  return static_cast<std::int64_t>(pages) | (told ? std::int64_t{0x100} : std::int64_t{0});
}
/// The judgement of that, where `removal` was to be said.
spec::Judgement judge_said(const spec::Removal& removal, const spec::Observation& seen);

/// The pages that it may touch, as a set of bits.
std::uint16_t pages_of_handler_call(const Call& call);

/// Whether the call, an access of some sort in `space`, may have to wait for the handler now.
bool may_wait_for_handler(const spec::Spec& spec, spec::SpaceId space, const Call& call);

}  // namespace cowherd::check
