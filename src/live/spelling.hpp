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
/// The same as they stand in C.
std::string spell(Protection protection);
std::string spell(MapFlags flags);
std::string spell(RemapFlags flags);
std::string spell(Advice advice);

}  // namespace cowherd::live
