#include "live/userfault.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "live/host.hpp"

// What an older header does not know. Compare Linux include/uapi/linux/userfaultfd.h.
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR (std::uint64_t{1} << 2)
#endif

namespace cowherd::live {
namespace {

// UFFDIO_CONTINUE and UFFDIO_MOVE.
struct ContinueArguments {
  uffdio_range range;
  std::uint64_t mode;
  std::int64_t mapped;
};
struct MoveArguments {
  std::uint64_t dst;
  std::uint64_t src;
  std::uint64_t len;
  std::uint64_t mode;
  std::int64_t move;
};
constexpr unsigned long kContinue = _IOWR(UFFDIO, 0x07, ContinueArguments);
// Its arguments are those of UFFDIO_CONTINUE.
constexpr unsigned long kPoison = _IOWR(UFFDIO, 0x08, ContinueArguments);
constexpr unsigned long kMove = _IOWR(UFFDIO, 0x05, MoveArguments);
constexpr std::uint64_t kDontWake = 1;
/// Of a fork that is under way nobody tells when it has ended.
constexpr unsigned kTries = 2000;
constexpr useconds_t kLookMicroseconds = 500;

/// Calls until all is done or something else than a change of the memory under way is said. `done` is how far the
/// kernel got, or why not further.
template <class Call>
Reply until_done(std::uint64_t length, Call&& call) {
  std::uint64_t done = 0;
  for (unsigned tries = 0; tries < kTries; ++tries) {
    std::int64_t part = 0;
    if (call(done, part) == 0) return {};
    if (errno != EAGAIN) return {0, errno};
    if (part > 0) done += static_cast<std::uint64_t>(part);
    if (done >= length) return {};
    if (part <= 0) ::usleep(kLookMicroseconds);
  }
  return {0, EAGAIN};
}

/// A call that says of a range what is to be there; `part`: how far it came.
template <class Arguments, class Part>
Reply fill_range(int file, unsigned long call, Part Arguments::*part, std::uint64_t address, std::uint64_t length) {
  return until_done(length, [&](std::uint64_t done, std::int64_t& filled) {
    Arguments arguments{};
    arguments.range = {address + done, length - done};
    arguments.mode = kDontWake;
    const int result = ::ioctl(file, call, &arguments);
    filled = arguments.*part;
    return result;
  });
}

}  // namespace

bool is_of_handler(litmus::OpCode code) {
  switch (code) {
    case litmus::OpCode::kUffdRegister:
    case litmus::OpCode::kUffdUnregister:
    case litmus::OpCode::kUffdCopy:
    case litmus::OpCode::kUffdZeropage:
    case litmus::OpCode::kUffdContinue:
    case litmus::OpCode::kUffdWp:
    case litmus::OpCode::kUffdUnwp:
    case litmus::OpCode::kUffdMove:
    case litmus::OpCode::kUffdPoison:
      return true;
    default:
      return false;
  }
}

bool uses_userfault(const litmus::Program& program) {
  return std::any_of(program.blocks.begin(), program.blocks.end(), [](const litmus::Block& block) {
    return std::any_of(block.operations.begin(), block.operations.end(),
                       [](const litmus::Operation& op) { return is_of_handler(op.code); });
  });
}

std::uint64_t userfault_features(UffdFlags flags) {
  std::uint64_t features = UFFD_FEATURE_THREAD_ID;
  if (has(flags, UffdFlags::kEventFork)) features |= UFFD_FEATURE_EVENT_FORK;
  if (has(flags, UffdFlags::kEventRemap)) features |= UFFD_FEATURE_EVENT_REMAP;
  if (has(flags, UffdFlags::kEventUnmap)) features |= UFFD_FEATURE_EVENT_UNMAP;
  if (has(flags, UffdFlags::kEventRemove)) features |= UFFD_FEATURE_EVENT_REMOVE;
  if (has(flags, UffdFlags::kWpUnpopulated)) features |= kUnpopulatedFeature;
  if (has(flags, UffdFlags::kWpAsync)) features |= kAsyncFeature;
  return features;
}

int open_userfault(std::uint64_t features) {
  int file = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (file < 0) file = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
  if (file < 0) return -1;
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = features;
  if (::ioctl(file, UFFDIO_API, &api) == 0) return file;
  const int error = errno;
  ::close(file);
  errno = error;
  return -1;
}

Reply register_memory(int file, std::uint64_t address, std::uint64_t length, UffdFlags flags) {
  uffdio_register wanted{};
  wanted.range = {address, length};
  if (has(flags, UffdFlags::kMissing)) wanted.mode |= UFFDIO_REGISTER_MODE_MISSING;
  if (has(flags, UffdFlags::kWriteProtect)) wanted.mode |= UFFDIO_REGISTER_MODE_WP;
  if (has(flags, UffdFlags::kMinor)) wanted.mode |= UFFDIO_REGISTER_MODE_MINOR;
  return ::ioctl(file, UFFDIO_REGISTER, &wanted) == 0 ? Reply{} : Reply{0, errno};
}

Reply unregister_memory(int file, std::uint64_t address, std::uint64_t length) {
  uffdio_range range{address, length};
  return ::ioctl(file, UFFDIO_UNREGISTER, &range) == 0 ? Reply{} : Reply{0, errno};
}

Reply fill_with_value(int file, std::uint64_t address, std::uint64_t length, std::int64_t value) {
  std::vector<std::byte> pages(length);
  const std::uint64_t first = address / kPageBytes * kPageBytes;
  std::memcpy(pages.data() + (address - first), &value, sizeof value);
  return until_done(length, [&](std::uint64_t done, std::int64_t& part) {
    uffdio_copy copy{};
    copy.dst = first + done;
    copy.src = reinterpret_cast<std::uint64_t>(pages.data()) + done;
    copy.len = length - done;
    copy.mode = kDontWake;
    const int result = ::ioctl(file, UFFDIO_COPY, &copy);
    part = copy.copy;
    return result;
  });
}

Reply fill_with_zeros(int file, std::uint64_t address, std::uint64_t length) {
  return fill_range<uffdio_zeropage>(file, UFFDIO_ZEROPAGE, &uffdio_zeropage::zeropage, address, length);
}

Reply map_from_file(int file, std::uint64_t address, std::uint64_t length) {
  return fill_range<ContinueArguments>(file, kContinue, &ContinueArguments::mapped, address, length);
}

Reply forbid(int file, std::uint64_t address, std::uint64_t length) {
  return fill_range<ContinueArguments>(file, kPoison, &ContinueArguments::mapped, address, length);
}

Reply write_protect(int file, std::uint64_t address, std::uint64_t length, bool protect) {
  return until_done(length, [&](std::uint64_t, std::int64_t&) {
    uffdio_writeprotect wanted{};
    wanted.range = {address, length};
    // The kernel takes no word about waking where it protects.
    wanted.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
    return ::ioctl(file, UFFDIO_WRITEPROTECT, &wanted);
  });
}

Reply move_pages_here(int file, std::uint64_t to, std::uint64_t from, std::uint64_t length) {
  return until_done(length, [&](std::uint64_t done, std::int64_t& part) {
    MoveArguments arguments{};
    arguments.dst = to + done;
    arguments.src = from + done;
    arguments.len = length - done;
    arguments.mode = kDontWake;
    const int result = ::ioctl(file, kMove, &arguments);
    part = arguments.move;
    return result;
  });
}

void wake_waiters(int file, std::uint64_t address, std::uint64_t length) {
  uffdio_range range{address, length};
  ::ioctl(file, UFFDIO_WAKE, &range);
}

std::optional<HandlerMessage> next_message(int file) {
  uffd_msg message{};
  if (::read(file, &message, sizeof message) != static_cast<ssize_t>(sizeof message)) return std::nullopt;
  HandlerMessage told;
  if (message.event == UFFD_EVENT_PAGEFAULT) {
    told.fault = true;
    told.address = message.arg.pagefault.address;
    told.thread = static_cast<std::int32_t>(message.arg.pagefault.feat.ptid);
  } else if (message.event == UFFD_EVENT_FORK) {
    told.child = static_cast<int>(message.arg.fork.ufd);
  }
  return told;
}

int take_file(pid_t process, int file) {
  const int there = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  if (there < 0) return -1;
  const int taken = static_cast<int>(::syscall(SYS_pidfd_getfd, there, file, 0));
  const int error = errno;
  ::close(there);
  errno = error;
  return taken;
}

UserfaultOffer try_userfault() {
  UserfaultOffer offer;
  int file = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
  offer.kernel_faults = file >= 0;
  if (file < 0) file = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  if (file < 0) {
    offer.problem = in_words(errno);
    return offer;
  }
  uffdio_api api{};
  api.api = UFFD_API;
  if (::ioctl(file, UFFDIO_API, &api) != 0) offer.problem = in_words(errno);
  offer.features = api.features;
  ::close(file);
  if (!offer.problem.empty()) return offer;
  file = open_userfault(userfault_features(UffdFlags::kEventFork | UffdFlags::kEventRemap));
  if (file < 0) offer.event_problem = in_words(errno);
  if (file >= 0) ::close(file);
  return offer;
}

}  // namespace cowherd::live
