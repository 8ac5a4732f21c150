#pragma once

#include <cstdint>
#include <string>

#include "litmus/program.hpp"

namespace cowherd::live {

/// What `device` does in the program that one O_DIRECT transfer under way at a time cannot stand for, in words: the
/// transfer holds a page, moves it whole, once and in one direction, and ends. Empty: nothing.
/// Precondition: the program is resolved.
std::string beyond_one_transfer(const litmus::Program& program, std::uint8_t device);

}  // namespace cowherd::live
