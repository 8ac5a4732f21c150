#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "live/keeper.hpp"

namespace cowherd::live {

/// The machine's pool of hugetlb pages of 2 MiB, as large as a test says for as long as one is run: what others have of
/// it stays theirs and does not count. Not thread-safe.
class HugePool {
 public:
  /// Pages that are free, and of those the ones that are promised to somebody.
  struct Counts {
    std::int64_t free = 0;
    std::int64_t reserved = 0;
  };

  /// `pages` free ones that nobody was promised; where they are not to be `exact`, more will do. Empty, or why not.
  std::string open(Keeper& keeper, std::uint32_t pages, bool exact);
  /// Of this test's; nothing where the kernel does not say.
  [[nodiscard]] std::optional<Counts> counts() const;
  /// Whether all of the pages are free again.
  [[nodiscard]] bool is_whole() const;
  /// Nobody keeps it any more.
  void close() { locked_ = false; }

  /// Why there cannot be one; empty: there can, with one page at the least.
  static std::string try_out();

 private:
  bool locked_ = false;
  std::uint32_t pages_ = 0;
  std::int64_t promised_to_others_ = 0;
};

}  // namespace cowherd::live
