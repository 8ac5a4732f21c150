#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cowherd::check {

/// The hash that states and tests are told apart by: XXH3, 64 bits. The same on every machine.
std::uint64_t hash_of(std::span<const std::byte> bytes);

inline constexpr std::size_t kHashDigits = 16;

/// kHashDigits hexadecimal digits.
std::string format_hash(std::uint64_t hash);

}  // namespace cowherd::check
