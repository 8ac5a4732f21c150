#pragma once

namespace cowherd::races {

/// Whether the detector sees what it has to in this build: with a lock of the memory system left out a race, with it
/// none. Says on standard output what it looked at.
bool self_test();

}  // namespace cowherd::races
