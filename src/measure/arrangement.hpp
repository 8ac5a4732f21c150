#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "measure/load.hpp"

namespace cowherd::measure {

/// 0 … count - 1: in order, or shuffled, the same way at every call.
std::vector<std::uint64_t> order_of(std::uint64_t count, bool shuffled);

/// `count` different pages of `pages`, sorted and spread at random, the same at every call. Precondition: count <=
/// pages.
std::vector<std::uint64_t> scattered(std::uint64_t count, std::uint64_t pages);

/// What page number `page` holds in each of its first bytes before a test: never zero, and not the same as its
/// neighbour's.
constexpr std::uint8_t stamp(std::uint64_t page) { return static_cast<std::uint8_t>(page % 251 + 1); }

// Where accesses go whose translation is measured.

inline constexpr std::uint64_t kHitPages = 8;
inline constexpr unsigned kHitTurns = 64;
/// Offsets of words within kHitPages pages, in an order that nobody can guess.
std::vector<std::uint64_t> scattered_words();
/// Pages of `pages`, in an order that nobody can guess; some may be there twice.
std::vector<std::uint64_t> scattered_pages(std::uint64_t pages);

/// Every how many pages are looked at by a check that would cost more than what it checks.
inline constexpr std::uint64_t kCheckEvery = 61;

}  // namespace cowherd::measure
