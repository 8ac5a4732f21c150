#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "stress/oracle.hpp"
#include "stress/record.hpp"

namespace cowherd::stress {

/// What the threads did to the page of `finding` around it, as a litmus test at step grain: the last few operations of
/// each thread become a block. It has no condition, so that checking it asks whether any interleaving of them breaks a
/// promise. A guess: an operation from longer ago may have had its part in it.
std::string litmus_text(const Finding& finding, std::optional<Oracle::Birth> birth, std::span<const Log> round,
                        std::string_view name, std::string_view rules);

}  // namespace cowherd::stress
