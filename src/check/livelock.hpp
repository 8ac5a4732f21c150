#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "check/moves.hpp"

namespace cowherd::check {

/// A step of the state graph that ended no operation.
struct Circling {
  std::uint32_t from;
  std::uint32_t to;
  Move move;
};

struct Livelock {
  /// A state of the cycle.
  std::uint32_t state;
  /// One round, from that state back to it.
  std::vector<Move> round;
};

/// A set of states that blocks can stay in for ever without any operation's ending, although whoever can go on in all
/// of them does take steps there (weak fairness): the one with the lowest state. `runnable(state)`: who can go on
/// there.
std::optional<Livelock> find_livelock(std::span<const Circling> steps, std::uint32_t states,
                                      const std::function<BlockSet(std::uint32_t)>& runnable);

}  // namespace cowherd::check
