#pragma once

#include "check/races.hpp"

namespace cowherd::races {

/// Whom the calls that the compiler has put before every access report to. Null: nobody.
void watch_with(check::RaceDetector* detector);

/// How many accesses the detector has been told of: none would mean that this build is not instrumented.
std::uint64_t accesses_seen();

}  // namespace cowherd::races
