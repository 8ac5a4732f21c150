#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "litmus/program.hpp"

namespace cowherd::litmus {

/// Something that a program may not do, and the statement that does it.
struct Problem {
  Position position;
  std::string message;
};

/// Works out how every block is started (Block::start, Block::starter), replaces the targets of operations by the
/// process that they belong to (none where it is the own one), and checks everything that needs the whole program:
/// limits, places within their variables, statements where they may stand, blocks started once and not by each other,
/// waits for own children only, registers assigned before they are read. Empty if the program is sound; conditions are
/// checked by the parser.
std::vector<Problem> resolve(Program& program);

/// The block that runs a process's first thread, for any block of that process. Precondition: the program is resolved.
std::uint8_t process_of(const Program& program, std::uint8_t block);

}  // namespace cowherd::litmus
