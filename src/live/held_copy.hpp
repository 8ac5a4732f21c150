#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>

#include "live/channel.hpp"

namespace cowherd::live {

/// A copy between a process's memory and ours, by process_vm_readv() or process_vm_writev(), that stays under way until
/// it is told to go on: our side is memory whose pages are missing, so that it waits in a page fault, after it has
/// taken hold of the pages of the other side (pin_user_pages_remote(); before Linux 5.6 get_user_pages_remote()). It
/// moves its data once. Not thread-safe.
class HeldCopy {
 public:
  HeldCopy() = default;
  HeldCopy(const HeldCopy&) = delete;
  HeldCopy& operator=(const HeldCopy&) = delete;
  ~HeldCopy();

  /// With room for `bytes`. Empty, or why it cannot be had.
  std::string open(std::size_t bytes);
  /// Begins. `into_memory`: it will write the process's memory, not read it. An errno where it cannot: it has ended.
  Reply start(pid_t process, std::uint64_t address, std::uint64_t length, bool into_memory,
              std::chrono::milliseconds patience);
  /// Moves the data and ends: `bytes` into the process's memory, or from there to `bytes`. Precondition: it is under
  /// way in that direction, with as many bytes.
  Reply write(std::span<const std::byte> bytes);
  Reply read(std::span<std::byte> bytes);
  /// Ends it where it is, with nothing moved.
  void cancel();

 private:
  std::string map();
  void unmap();
  Reply finish();

  int faults_ = -1;
  std::byte* room_ = nullptr;
  std::size_t bytes_ = 0;
  std::thread copier_;
  std::atomic<bool> ended_{false};
  /// Of the call that has ended: the bytes that it moved, or an errno.
  Reply result_;
};

}  // namespace cowherd::live
