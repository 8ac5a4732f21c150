#include "check/hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>

// The same hash, with the widest vectors that the processor has.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

namespace cowherd::check {

std::uint64_t hash_of(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string format_hash(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace cowherd::check
