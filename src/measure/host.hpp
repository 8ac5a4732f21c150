#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cowherd::measure {

/// Processors that this process may use.
unsigned processors();

/// The calling thread stays on its `number`th processor; modulo their number. Best effort.
void stay_on_processor(unsigned number);

/// Writes over more memory than the caches of any processor we know hold. Works in child processes too.
void evict_caches();

/// The kernel that the figures are of: release, processor, mitigations, what pages it uses by itself. One line.
std::string kernel_line();

/// Bytes that programs can still have. 0: unknown.
std::size_t available_memory();

/// The part of this machine's processors that is in use, 0 to 1. Looks for a quarter of a second, in which the caller
/// uses none.
double busy_share();
/// Above this, others are using the processors too.
inline constexpr double kQuiet = 0.05;

/// Memory that the host has given the guest and that stays with it.
///
/// A hypervisor that takes back free memory makes the first touch of a page cost what it needs to find one anew:
/// several times what the guest's kernel needs. The pool is touched once and then given back but for one page in 64, so
/// that what is free in between never makes up a block that would be taken back.
class WarmPool {
 public:
  /// `bytes`: as much as any side that takes memory from the kernel uses at one time. Best effort.
  explicit WarmPool(std::size_t bytes);
  ~WarmPool();
  WarmPool(const WarmPool&) = delete;
  WarmPool& operator=(const WarmPool&) = delete;

 private:
  void* memory_;
  std::size_t bytes_;
};

}  // namespace cowherd::measure
