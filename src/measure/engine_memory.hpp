#pragma once

#include <cstddef>
#include <span>

namespace cowherd::measure {

/// At least `bytes` of memory for machines and floors, in huge host pages where the host gives them. It has been
/// touched, so that no fault of the host is timed; it is the same memory at every call, so that nobody may hold on to
/// it; and child processes do not get it, so that no fork of theirs copies its entries. Empty where there is none.
/// Not thread-safe.
std::span<std::byte> engine_memory(std::size_t bytes);

}  // namespace cowherd::measure
