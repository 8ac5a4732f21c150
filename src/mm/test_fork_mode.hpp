#pragma once

#include <cstdlib>
#include <string_view>

#include "cowherd/flags.hpp"

namespace cowherd::mm {

/// How the tests of a run fork: the environment variable COWHERD_FORK_MODE, classic, leaves, subtrees, or mixed: each
/// in turn.
inline ForkMode fork_mode_of_tests() {
  static unsigned forks = 0;
  const char* word = std::getenv("COWHERD_FORK_MODE");
  const std::string_view mode = word != nullptr ? word : "classic";
  if (mode == "mixed") return static_cast<ForkMode>(++forks % 3);
  if (mode == "subtrees") return ForkMode::kSharedSubtrees;
  return mode == "leaves" ? ForkMode::kSharedLeaves : ForkMode::kClassic;
}

}  // namespace cowherd::mm
