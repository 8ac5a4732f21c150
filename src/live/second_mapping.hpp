#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "live/page_facts.hpp"

namespace cowherd::live {

/// How long whoever has a page in the swap cache is waited for: who only writes it to swap has it for a moment.
inline constexpr unsigned kMillisecondsToLeave = 20;

/// One page of a file that a mapping of another process's shows, mapped here too, without being touched. For pages of
/// shared memory, which the kernel shows in no page table when they are in swap. Not thread-safe.
class SecondMapping {
 public:
  SecondMapping(pid_t process, std::uint64_t address);
  SecondMapping(const SecondMapping&) = delete;
  SecondMapping& operator=(const SecondMapping&) = delete;
  ~SecondMapping();

  /// Whether the process has a mapping there.
  [[nodiscard]] bool found() const { return found_; }
  [[nodiscard]] bool mapped() const { return page_ != MAP_FAILED; }
  /// Whether the file has a page there, in memory or in swap. Precondition, of this and all below: mapped().
  [[nodiscard]] bool has_page() const;
  [[nodiscard]] bool in_core() const;
  /// Reads it by number, for which nobody maps it. False: it cannot be had.
  [[nodiscard]] bool bring_in() const;
  /// The frame, which is mapped here from now on; nothing where that cannot be.
  [[nodiscard]] std::optional<std::uint64_t> show() const;
  /// Asks that it leave, after show(). False: it stays.
  [[nodiscard]] bool page_out() const;

 private:
  [[nodiscard]] PageEntry entry() const;

  bool found_ = false;
  int file_ = -1;
  off_t offset_ = 0;
  void* page_ = MAP_FAILED;
};

}  // namespace cowherd::live
