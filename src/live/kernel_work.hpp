#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "live/huge_pool.hpp"
#include "live/keeper.hpp"
#include "live/same_pages.hpp"
#include "live/small_disk.hpp"
#include "live/soft_roce.hpp"
#include "live/swap_area.hpp"

namespace cowherd::live {

/// What a test has the kernel do on the side.
struct KernelUses {
  bool swap = false;
  bool merging = false;
  /// Files on a disk.
  bool disk = false;
  /// Huge pages where they are advised, and nowhere else.
  bool huge = false;
  /// Pages of the hugetlb pool: so many, or, where they need not be `exact_pool`, so many at the least.
  std::uint32_t pool = 0;
  bool exact_pool = false;
  /// A soft-RoCE device.
  bool rdma = false;

  bool operator==(const KernelUses&) const = default;
};

/// The kernel's own work, told when to be done: pages that leave memory, that are merged, or that go to a disk; and
/// what devices of tests need of the machine. What that takes is made when it is first asked for, serves one test after
/// the other, and is put back at the end, however that comes. Not thread-safe.
class KernelWork {
 public:
  /// Empty, or why it cannot be had.
  std::string open(const KernelUses& uses);

  /// As it was before the first open(), which can come again.
  void put_back();

  [[nodiscard]] const SwapArea& swap() const { return swap_; }
  [[nodiscard]] const SamePages& same_pages() const { return same_pages_; }
  [[nodiscard]] const SmallDisk& disk() const { return disk_; }
  [[nodiscard]] const HugePool& pool() const { return pool_; }
  [[nodiscard]] const SoftRoce& soft_roce() const { return soft_roce_; }
  /// Of the last open(): what could not be had is memory that the machine has not free.
  [[nodiscard]] bool lacks_memory() const { return lacks_memory_; }
  /// In a process that has just been forked.
  void leave_to_parent() { keeper_.leave_to_parent(); }

 private:
  SwapArea swap_;
  SamePages same_pages_;
  SmallDisk disk_;
  HugePool pool_;
  SoftRoce soft_roce_;
  bool lacks_memory_ = false;
  /// What opening came to.
  std::optional<std::string> swap_problem_;
  std::optional<std::string> merging_problem_;
  std::optional<std::string> disk_problem_;
  std::optional<std::string> huge_problem_;
  std::optional<std::string> rdma_problem_;
  Keeper keeper_;
};

}  // namespace cowherd::live
