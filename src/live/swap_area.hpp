#pragma once

#include <string>

#include "live/keeper.hpp"

namespace cowherd::live {

/// A place for pages that leave memory: the machine's swap where it has some, and otherwise one of our own, which is
/// put away by the keeper: compressed memory (zram) or a small file. Not thread-safe.
class SwapArea {
 public:
  /// Empty, or why pages cannot leave memory here. At most once.
  std::string open(Keeper& keeper);
  /// "zram1, our own"
  [[nodiscard]] const std::string& found() const { return found_; }

 private:
  std::string open_zram(Keeper& keeper);
  std::string open_file(Keeper& keeper);

  std::string found_;
};

}  // namespace cowherd::live
