#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "cowherd/flags.hpp"
#include "litmus/program.hpp"
#include "live/channel.hpp"

namespace cowherd::live {

/// Whether the program says what userfaultfd's handler does.
bool uses_userfault(const litmus::Program& program);
bool is_of_handler(litmus::OpCode code);

// The calls of userfaultfd. `file` is one that open_userfault() made; the errors are those of the kernel, and where it
// did a part it is asked for the rest. Nobody is woken: see wake_waiters().

/// UFFD_FEATURE_* of the events among `flags`, beside what is always asked for.
std::uint64_t userfault_features(UffdFlags flags);

/// A file for the memory of the calling process; -1 and errno. Where the kernel lets this process handle its own
/// accesses only, and not those by the kernel for it, such a one.
int open_userfault(std::uint64_t features);

Reply register_memory(int file, std::uint64_t address, std::uint64_t length, UffdFlags flags);
Reply unregister_memory(int file, std::uint64_t address, std::uint64_t length);
/// Pages whose first one has `value` at `address`, which need not be its begin, and zeros all over else.
Reply fill_with_value(int file, std::uint64_t address, std::uint64_t length, std::int64_t value);
Reply fill_with_zeros(int file, std::uint64_t address, std::uint64_t length);
Reply map_from_file(int file, std::uint64_t address, std::uint64_t length);
/// Nobody gets a page there.
Reply forbid(int file, std::uint64_t address, std::uint64_t length);
Reply write_protect(int file, std::uint64_t address, std::uint64_t length, bool protect);
/// By a thread of the process whose memory it is.
Reply move_pages_here(int file, std::uint64_t to, std::uint64_t from, std::uint64_t length);
/// Whoever waits for a page in this range looks again.
void wake_waiters(int file, std::uint64_t address, std::uint64_t length);

/// What the kernel tells the handler.
struct HandlerMessage {
  /// A thread waits for the page at `address`.
  bool fault = false;
  std::uint64_t address = 0;
  std::int32_t thread = 0;
  /// A child has memory that is registered too: the file for it. Else -1.
  int child = -1;
};
/// The next one that is there; nothing where none is.
std::optional<HandlerMessage> next_message(int file);

/// The file that another process has as number `file`, here; -1 and errno.
int take_file(pid_t process, int file);

// UFFD_FEATURE_PAGEFAULT_FLAG_WP, _MINOR_SHMEM, _MOVE.
inline constexpr std::uint64_t kWpFeature = 1u << 0;
inline constexpr std::uint64_t kMinorFeature = 1u << 10;
inline constexpr std::uint64_t kMoveFeature = 1u << 16;
// UFFD_FEATURE_POISON, _WP_ASYNC.
inline constexpr std::uint64_t kPoisonFeature = 1u << 14;
inline constexpr std::uint64_t kAsyncFeature = 1u << 15;
inline constexpr std::uint64_t kUnpopulatedFeature = 1u << 13;
inline constexpr std::uint64_t kWpFileFeature = 1u << 12;

/// What of it the kernel has.
struct UserfaultOffer {
  /// Not empty: it cannot be had at all, and why.
  std::string problem;
  /// The kernel's own accesses wait too.
  bool kernel_faults = false;
  /// UFFD_FEATURE_*
  std::uint64_t features = 0;
  /// Not empty: the kernel does not give these events to us, and why.
  std::string event_problem;
};
UserfaultOffer try_userfault();

}  // namespace cowherd::live
