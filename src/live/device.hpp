#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "live/channel.hpp"

namespace cowherd::live {

/// How a device of a test gets hold of pages on a running kernel.
enum class Way : std::uint8_t {
  kNone,
  /// Fixed buffers of an io_uring: pin_user_pages() with FOLL_WRITE | FOLL_LONGTERM.
  kRing,
  /// vmsplice() into a pipe: get_user_pages() for reading.
  kPipe,
};

/// "io_uring", "vmsplice"; "none".
const char* name_of(Way way);
/// "io_uring fixed buffers (pin for writing, long-term)"
const char* describe(Way way);

/// One device: an io_uring and a pipe that outlive the processes whose pages they hold. What it holds is taken by a
/// process of the test, by take_request(); all else is done by whoever calls, through no page table of the test. Not
/// thread-safe.
class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  /// Makes what `way` needs, with room for `pages` references by pipe. Empty, or why it cannot.
  std::string open(Way way, std::size_t pages);

  [[nodiscard]] Way way() const { return way_; }
  /// What a process is asked so that the device gets hold of its memory.
  [[nodiscard]] Request take_request(std::uint64_t address, std::uint64_t length, std::uint32_t times) const;
  /// Notes what that came to: `length` bytes from `address`.
  void hold(std::uint64_t address, std::uint64_t length);
  /// Lets go of all. True if it held something.
  bool release();

  /// The word at `offset` of what it holds. Precondition: offset lies in there.
  Reply read(std::uint64_t offset);
  Reply write(std::uint64_t offset, std::int64_t value);

 private:
  Reply transfer(bool into_memory, std::uint64_t offset);

  Way way_ = Way::kNone;
  io_uring ring_{};
  bool ring_open_ = false;
  /// The far side of a ring's transfers; what a pipe device holds lies in the first.
  int pipe_[2] = {-1, -1};
  int copy_[2] = {-1, -1};
  std::uint64_t address_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace cowherd::live
