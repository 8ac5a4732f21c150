#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/schedule.hpp"

namespace cowherd::check {

/// Looks over a path of steps while it is taken: World::watch(). What it knows is of the path and not of the state at
/// its end, so a search that goes back has to take it back too. Agents are numbered from 0.
class Watcher {
 public:
  virtual ~Watcher() = default;

  /// A path begins, in a machine that lies in `machine`.
  virtual void begin(std::span<const std::byte> machine, std::size_t agents) = 0;

  /// `agent` runs until stops(), within operation number `operation` of its block.
  virtual void runs(std::size_t agent, std::uint8_t operation) = 0;
  /// The running agent has come to a point. Until it goes on it is asked whether it can, which is no access of its own.
  virtual void asks() = 0;
  /// The running agent goes on behind `point`.
  virtual void passes(Point point) = 0;
  /// Returns whether the running agent has done what it may not do.
  virtual bool stops() = 0;
  /// The running agent has made every processor forget translations: what went through them is over.
  virtual void flushed() = 0;

  // Orders that no memory of the machine carries.

  /// What `before` has done so far comes before all that `after` will do: it has waited for it.
  virtual void ordered(std::size_t before, std::size_t after) = 0;
  /// `starter` has started `started`.
  virtual void starts(std::size_t starter, std::size_t started) = 0;
  /// `agent` has been told of `other`, and so knows what its starter had done when it started it.
  virtual void meets(std::size_t agent, std::size_t other) = 0;

  /// Where the path has come to.
  [[nodiscard]] virtual std::size_t mark() const = 0;
  /// Back to where a prefix of this path had come to.
  virtual void rewind(std::size_t mark) = 0;
};

}  // namespace cowherd::check
