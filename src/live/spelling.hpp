#pragma once

#include <string>

#include "cowherd/flags.hpp"
#include "litmus/program.hpp"

namespace cowherd::live {

// The numbers that the kernel knows a test's words by.

/// PROT_*
int protection_of(Protection protection);
/// MAP_*: private anonymous memory at this address and no other one.
int map_flags_of(MapFlags flags);
/// MREMAP_*
int remap_flags_of(RemapFlags flags);
/// MADV_*
int advice_of(Advice advice);
/// What map_flags_of() gives, as it stands in C.
std::string map_flags_text(MapFlags flags);

}  // namespace cowherd::live
