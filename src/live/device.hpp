#pragma once

#include <liburing.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cowherd/flags.hpp"
#include "live/channel.hpp"
#include "live/held_copy.hpp"
#include "live/rdma_queue.hpp"
#include "live/slow_disk.hpp"

namespace cowherd::live {

/// How a device of a test gets hold of pages on a running kernel.
enum class Way : std::uint8_t {
  kNone,
  /// Fixed buffers of an io_uring: pin_user_pages() with FOLL_WRITE | FOLL_LONGTERM.
  kRing,
  /// vmsplice() into a pipe: get_user_pages() for reading.
  kPipe,
  /// O_DIRECT on a block device, under way: pin_user_pages(), with FOLL_WRITE for a read from it; before Linux 6.5
  /// get_user_pages(). Whoever asked for it may exit, but an exec waits for its end.
  kDirectRead,
  kDirectWrite,
  /// process_vm_writev() and process_vm_readv(), under way: pin_user_pages_remote(), with FOLL_WRITE for the first.
  /// Whoever has the memory may exec.
  kCopyIn,
  kCopyOut,
  /// The kernel's own test of it: pin_user_pages() with FOLL_LONGTERM, for reading. One device at a time.
  kGupTest,
  /// Memory registered with an RDMA device, as by ibv_reg_mr(): pin_user_pages() with FOLL_LONGTERM and, unless the
  /// device may only read it, FOLL_WRITE. It outlives its process, as a ring's does.
  kRdma,
  /// cuMemHostRegister(): what the driver of the graphics card takes, pin_user_pages() with FOLL_LONGTERM in newer
  /// ones, get_user_pages() in old ones. It is the process's that asked, and ends with it.
  kCard,
};

bool is_direct(Way way);
bool is_copy(Way way);
/// Of what moves its data once, and ends.
inline bool moves_once(Way way) { return is_direct(way) || is_copy(way); }
/// Of a registration, which is a forced pin for writing where it is for reading, before Linux 6.2.
inline bool registers_for_writing(PinFlags flags) {
  return has(flags, PinFlags::kWrite) && !has(flags, PinFlags::kForce);
}
/// "io_uring", "vmsplice", "O_DIRECT", "process_vm", "gup_test", "RDMA", "CUDA"; "none".
const char* name_of(Way way);
/// "io_uring fixed buffers (pin for writing, long-term)"
const char* describe(Way way);

/// One device: an io_uring and a pipe that outlive the processes whose pages they hold. What it holds is taken by a
/// process of the test, by take_request(); all else is done by whoever calls, through no page table of the test. A
/// graphics card is not here but in that process, and told there what to do. Not thread-safe.
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
  [[nodiscard]] Request take_request(std::uint64_t address, std::uint64_t length, std::uint32_t times, PinFlags flags);
  /// Of a copy, which asks for the process: whether the memory is held.
  Reply take_by_copy(pid_t process, std::uint64_t address, std::uint64_t length, std::chrono::milliseconds patience) {
    return held_copy_.start(process, address, length, way_ == Way::kCopyIn, patience);
  }
  /// After the process has said that it asked the kernel: whether the memory is held.
  Reply taken(Reply asked, std::chrono::milliseconds patience);
  /// Of an RDMA device, before hold(): what the process has registered. Where that was not `all` of it, it is taken
  /// back.
  void note_registrations(std::span<const Registration> made, bool all);
  /// Notes what that came to: `length` bytes from `address`.
  void hold(std::uint64_t address, std::uint64_t length);
  /// Lets go of all. True if it held something.
  bool release();
  /// In a process that has just been forked.
  void leave_to_parent() { disk_.leave_to_parent(); }

  /// The word at `offset` of what it holds. Precondition: offset lies in there.
  Reply read(std::uint64_t offset);
  Reply write(std::uint64_t offset, std::int64_t value);

 private:
  /// False: the kernel keeps some of them.
  bool deregister();
  Reply transfer(bool into_memory, std::uint64_t offset);
  void prepare(std::uint64_t address, std::uint64_t length);
  /// What came of the I/O that was asked for last, if that is known: whoever asked is told first, and may be suspended.
  std::optional<int> outcome();
  /// Waits until the I/O has ended and its memory is no longer held; then as outcome().
  std::optional<int> finish();

  Way way_ = Way::kNone;
  io_uring ring_{};
  bool ring_open_ = false;
  SlowDisk disk_;
  HeldCopy held_copy_;
  int gup_test_ = -1;
  RdmaQueue rdma_;
  std::vector<Registration> registrations_;
  bool may_write_ = false;
  /// The far side of a ring's transfers; what a pipe device holds lies in the first.
  int pipe_[2] = {-1, -1};
  int copy_[2] = {-1, -1};
  std::uint64_t address_ = 0;
  std::uint64_t length_ = 0;
  /// Of the I/O that was asked for last.
  std::uint64_t number_ = 0;
};

}  // namespace cowherd::live
