#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cowherd {

/// How many letters have to be added, dropped, exchanged or swapped with their neighbour to make `b` of `a`. Where that
/// is `limit` or more, the answer is some number that is `limit` or more, which is found sooner.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit = SIZE_MAX);

/// Collects the candidate that looks most like a misspelt name. The first one wins a tie.
class Nearest {
 public:
  explicit Nearest(std::string_view wanted);

  void offer(std::string_view candidate);

  /// Empty if nothing was near: more than a third of the letters, and more than one, would have to change.
  [[nodiscard]] std::string_view best() const { return best_; }

 private:
  std::string_view wanted_;
  std::string_view best_;
  std::size_t limit_;
};

}  // namespace cowherd
