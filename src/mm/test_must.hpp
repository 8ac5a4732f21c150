#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cowherd/flags.hpp"
#include "cowherd/result.hpp"

namespace cowherd {

/// How a device takes hold of the memory that it is registered with.
inline constexpr PinFlags kDma = PinFlags::kWrite | PinFlags::kLongTerm;

/// What `result` holds, or the end of the program: nothing more could be said or timed then.
template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", name_of(result.error()));
    std::abort();
  }
  return *std::move(result);
}

}  // namespace cowherd
