#pragma once

#include <utility>

#include "cowherd/machine.hpp"
#include "mm/operations.hpp"

namespace cowherd {

/// Stands at the beginning of the machine's memory; the simulated computer follows, from the next page on.
struct Machine::Impl {
  explicit Impl(std::byte* machine) : system(machine) {}

  mm::System<ProductionGeometry> system;
};

/// What an operation that would have to wait gives at the library's border.
inline Error at_border(Errno error) { return {error == Errno::kWouldBlock ? Errno::kAgain : error}; }

template <class T>
Result<T> at_border(Result<T> result) {
  return result ? std::move(result) : Result<T>(at_border(result.error()));
}

}  // namespace cowherd
