#pragma once

#include <cstdint>
#include <string>

#include "litmus/program.hpp"

namespace cowherd::live {

/// Whether an exec() of the process that has a transfer under way waits for its end, as for O_DIRECT, or goes on.
enum class AtExec : bool { kGoesOn, kWaits };

/// What `device` does in the program that one transfer under way at a time cannot stand for, in words: the transfer
/// holds a page, moves it whole, once and in one direction, and ends. Empty: nothing. Precondition: the program is
/// resolved.
std::string beyond_one_transfer(const litmus::Program& program, std::uint8_t device, AtExec at_exec = AtExec::kWaits);

}  // namespace cowherd::live
