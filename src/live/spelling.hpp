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
/// MAP_HUGETLB, and that its pages are of 2 MiB.
inline constexpr int kHugetlbMapFlags = 0x40000 | 21 << 26;
/// MREMAP_*
int remap_flags_of(RemapFlags flags);
/// MADV_*
int advice_of(Advice advice);
/// What map_flags_of() gives, as it stands in C, but for what is mapped: how it is placed, and filled.
std::string placing_text(MapFlags flags);

}  // namespace cowherd::live
