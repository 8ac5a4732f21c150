#pragma once

#include <cstdint>

#include "check/configuration.hpp"

namespace cowherd::check {

/// Ends the operation of `agent` in one past: what of it has not taken effect does so now, and what was seen of it is
/// judged. A thread's access goes through `stale`, a translation of the past's own, where it is not null; where it
/// cannot have gone that way, the judgement is not ok().
spec::Judgement end(Configuration& past, const InFlight& in_flight, std::uint8_t agent, const spec::Observation& seen,
                    const spec::StalePage* stale);

}  // namespace cowherd::check
