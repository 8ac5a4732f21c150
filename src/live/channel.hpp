#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "litmus/program.hpp"

namespace cowherd::live {

// The words between the controller and the processes of a test. They lie in memory that all of them share; the test's
// own memory lies elsewhere and is private, as it is in the programs that the test stands for.

enum class Ask : std::uint32_t {
  kLoad,
  kStore,
  /// mmap: `first` is PROT_*, `second` MAP_*; of the file `file`, if that is one, from byte `value` on.
  kMap,
  kUnmap,
  /// mremap: `second` is the new length, `first` MREMAP_*, `value` the new address.
  kRemap,
  /// As kMap, of memory to which nobody takes references: memfd_secret(). It is shared with children.
  kMapSecret,
  /// `first` is PROT_*.
  kProtect,
  /// `first` is MADV_*.
  kAdvise,
  /// mlock(), munlock().
  kLock,
  kUnlock,
  /// Whether the page is in memory, mapped or not: mincore().
  kInCore,
  /// msync(MS_SYNC)
  kSync,
  /// The word at byte `address` of `file`, by pread() and pwrite().
  kReadFile,
  kWriteFile,
  /// ftruncate() to `length`; a hole of `length` bytes at byte `address`.
  kTruncate,
  kPunch,
  /// `block` is the one that the new process or thread serves.
  kFork,
  kVfork,
  kThread,
  kExec,
  kExit,
  /// waitpid() for the process number `first`.
  kReap,
  /// The pages are given to an io_uring, whose descriptor is `first`, as fixed buffers: `times` buffers of the same.
  kRegister,
  /// The pages are spliced `times` times into the pipe `first`, `stride` bytes from the one to the next.
  kSplice,
  /// What lies in the io_uring `first` is submitted.
  kSubmit,
  /// The pages are given to gup_test, the file `first`, with its flags in `second`.
  kGupTest,
  /// The pages are registered `times` times with the RDMA device behind the file `first`, in the protection domain
  /// `second`, for the device that the channel `block` is of. `value`: the device may write.
  kRdmaRegister,
  /// A graphics card gets hold of the pages, for the device that the channel `block` is of, which is served from then
  /// on: by a thread of this process. `first`: the card may write.
  kCardHold,
  /// Of the channel of a device alone: lets go, reads the word at `address` of what is held, writes `value` there.
  kCardRelease,
  kCardRead,
  kCardWrite,
  /// A userfaultfd of this process with the features `value`: its number.
  kUserfault,
  /// The file that process `second` has as number `first`: its number here.
  kTakeFile,
  /// UFFDIO_MOVE by the userfaultfd `first`, from `value` to `address`: no other process may.
  kMovePages,
};

struct Request {
  Ask ask = Ask::kLoad;
  std::uint32_t times = 1;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::int64_t value = 0;
  std::int32_t first = 0;
  std::int32_t second = 0;
  std::uint32_t block = 0;
  std::int32_t file = -1;
  std::uint64_t stride = 0;
  /// Not to be done before this time of the monotonic clock, in nanoseconds; 0: at once.
  std::int64_t not_before = 0;
};

/// What came of a request: an errno or, of an access that faulted, a signal in `error` (the numbers of cowherd::Errno).
struct Reply {
  std::int64_t value = 0;
  std::int32_t error = 0;
};

/// Between the controller and what serves one block: `asked` is ahead of `answered` while a request is under way.
struct alignas(64) Channel {
  std::atomic<std::uint32_t> asked;
  std::atomic<std::uint32_t> answered;
  /// Process number of whoever serves it, once it runs, and number of the thread.
  std::atomic<std::int32_t> process;
  std::atomic<std::int32_t> thread;
  Request request;
  Reply reply;
  /// What the card's driver says of a reply whose error is kCardSays.
  std::array<char, 160> words;
};

/// An error of a card's; `value` is the driver's number for it.
inline constexpr std::int32_t kCardSays = 121;  // EREMOTEIO

/// After those of blocks, each device of a test has a channel, where a graphics card's devices are served; and then
/// each process, for a second thread of it, which answers while the first one waits for userfaultfd's handler.
inline constexpr std::size_t kChannels = litmus::kMaxBlocks + litmus::kMaxDevices + litmus::kMaxBlocks;
constexpr std::uint8_t channel_of_device(std::size_t device) {
  return static_cast<std::uint8_t>(litmus::kMaxBlocks + device);
}
constexpr std::uint8_t channel_of_second(std::size_t process) {
  return static_cast<std::uint8_t>(litmus::kMaxBlocks + litmus::kMaxDevices + process);
}
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "shared between processes");

/// Memory that is registered with an RDMA device, as the kernel knows it.
struct Registration {
  std::uint32_t handle;
  std::uint32_t local_key;
  std::uint32_t remote_key;
};
inline constexpr std::uint32_t kMostRegistrations = 4096;

struct Region {
  std::array<Channel, kChannels> channels;
  /// By device, what the last kRdmaRegister came to. Not touched where no device is of that kind.
  std::array<std::array<Registration, kMostRegistrations>, litmus::kMaxDevices> registrations;
  /// Reads as closed once the controller has gone, however it went.
  std::int32_t lifeline = -1;
  /// Not 0: each process has a second thread.
  std::int32_t has_seconds = 0;
};

/// Sleeps while `word` is `seen`, for up to `milliseconds`. Wakes for no reason at times.
void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t seen, unsigned milliseconds);
/// Wakes everybody who sleeps for `word`, in any process.
void wake(const std::atomic<std::uint32_t>& word);

}  // namespace cowherd::live
