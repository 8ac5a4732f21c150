#pragma once

#include <cstdint>
#include <string>

#include "litmus/program.hpp"

namespace cowherd::live {

/// Why a graphics card cannot stand in for the device where the program wants more of it than it has: it holds memory
/// once, for the process that asked, until that one ends or execs, and not for a process and its child. Empty where it
/// can. Precondition: the program is resolved.
std::string beyond_a_card(const litmus::Program& program, std::uint8_t device);

}  // namespace cowherd::live
