#pragma once

#include <cstddef>
#include <string>

#include "check/result.hpp"

namespace cowherd::check {

/// A trace by steps, as commit messages draw races: time flows down, every block has a column, and what a block does
/// without a switch stands together. Of each operation: how it went on, what it changed, and before what it was left.
/// The runs are numbered from 1. Lines are at most `width` long where words are short enough.
std::string write_columns(const Trace& trace, std::size_t width);

/// The number by which the text shows a step, from 1: of its run in a trace by steps, else its own.
std::size_t shown_number(const Trace& trace, std::size_t step);

}  // namespace cowherd::check
