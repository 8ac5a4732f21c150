#pragma once

#include <cstdint>

namespace cowherd {

/// The kinds of kernel object, each with a slab cache of its own.
enum class SlabKind : std::uint8_t { kMm, kProcess, kVma, kAnonVma, kAnonVmaChain, kPin, kFile, kFileMapping, kCount };

}  // namespace cowherd
