#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace cowherd::live {

// What the machine under us is made of.

inline constexpr std::uint64_t kPageBytes = 4096;

/// memfd_secret(), which not every C library names.
inline constexpr long kMemfdSecret = 447;

/// Of a line in /proc/PID/pagemap.
inline constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kSwapped = std::uint64_t{1} << 62;
inline constexpr std::uint64_t kOfFile = std::uint64_t{1} << 61;
inline constexpr std::uint64_t kUffdWp = std::uint64_t{1} << 57;
inline constexpr std::uint64_t kSoftDirty = std::uint64_t{1} << 55;
inline constexpr std::uint64_t kFrameBits = (std::uint64_t{1} << 55) - 1;

/// "Operation not permitted"
inline std::string in_words(int error) { return std::strerror(error); }

}  // namespace cowherd::live
