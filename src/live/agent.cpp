#include "live/agent.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <string_view>
#include <vector>

#include "cowherd/result.hpp"
#include "live/card.hpp"
#include "live/gup_pins.hpp"
#include "live/host.hpp"
#include "live/rdma_queue.hpp"
#include "live/userfault.hpp"

namespace cowherd::live {

void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t seen, unsigned milliseconds) {
  const timespec limit{static_cast<time_t>(milliseconds / 1000), static_cast<long>(milliseconds % 1000) * 1000000};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &limit, nullptr, 0);
}

void wake(const std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

namespace {

constexpr unsigned kLifelineMilliseconds = 250;
constexpr std::size_t kVforkStackBytes = 64 * 1024;

/// Where an access that faults goes on. A child of vfork has its parent's, which does not run meanwhile. Volatile,
/// since only a signal handler reads what is stored before the access.
thread_local sigjmp_buf* volatile t_resume = nullptr;

void on_fault(int signal) {
  if (t_resume != nullptr) siglongjmp(*t_resume, signal);
  ::_exit(128 + signal);
}

/// An access that waits for userfaultfd's handler is given up.
void on_call_off(int signal) {
  if (t_resume != nullptr) siglongjmp(*t_resume, signal);
}

void catch_faults() {
  struct sigaction action {};
  action.sa_handler = on_fault;
  action.sa_flags = static_cast<int>(SA_NODEFER);
  ::sigaction(SIGSEGV, &action, nullptr);
  ::sigaction(SIGBUS, &action, nullptr);
  action.sa_handler = on_call_off;
  ::sigaction(kCallOff, &action, nullptr);
}

Errno error_of_signal(int signal) {
  if (signal == kCallOff) return Errno::kAgain;
  return signal == SIGBUS ? Errno::kSigBus : Errno::kSigSegv;
}

Reply reply_of(long result) { return result < 0 ? Reply{0, errno} : Reply{result, 0}; }

/// Loads or stores, unless that faults.
Reply access(const Request& request) {
  sigjmp_buf resume;
  const int signal = sigsetjmp(resume, 1);
  if (signal != 0) {
    t_resume = nullptr;
    return {0, static_cast<std::int32_t>(error_of_signal(signal))};
  }
  t_resume = &resume;
  auto* const word = reinterpret_cast<volatile std::int64_t*>(request.address);
  std::int64_t value = 0;
  if (request.ask == Ask::kLoad) {
    value = *word;
  } else {
    *word = request.value;
  }
  t_resume = nullptr;
  return {value, 0};
}

struct Service {
  Region* region;
  int region_fd;
  std::uint32_t block;
};

/// What a thread or a child of vfork is told; no two of a run serve the same block.
std::array<Service, kChannels> g_services;

[[noreturn]] void serve_as_told(void* service) {
  const Service mine = *static_cast<const Service*>(service);
  serve(*mine.region, mine.region_fd, mine.block);
}

void* serve_as_thread(void* service) { serve_as_told(service); }
int serve_as_vfork_child(void* service) {
  const Service mine = *static_cast<const Service*>(service);
  serve(*mine.region, mine.region_fd, mine.block, Memory::kParents);
}

class Agent {
 public:
  Agent(Region& region, int region_fd, std::uint32_t block, Memory memory)
      : region_(region), region_fd_(region_fd), block_(block), memory_(memory), channel_(region.channels[block]) {}

  [[noreturn]] void run() {
    channel_.thread.store(static_cast<std::int32_t>(::syscall(SYS_gettid)));
    // Before anybody hears of this process.
    if (region_.has_seconds != 0 && is_first_thread()) start_second();
    // Whoever comes out of an exec answers for the image that asked for it.
    std::uint32_t done = channel_.answered.load();
    if (channel_.process.exchange(::getpid()) != 0 && channel_.asked.load() != done) {
      channel_.reply = {};
      answer(++done);
    } else {
      wake(channel_.answered);
    }
    while (true) {
      while (channel_.asked.load() == done) {
        sleep_while(channel_.asked, done, kLifelineMilliseconds);
        if (channel_.asked.load() == done) end_without_controller();
      }
      wait_until(channel_.request.not_before);
      const Reply reply = perform(channel_.request);
      channel_.reply = reply;
      answer(++done);
    }
  }

 private:
  void answer(std::uint32_t number) {
    channel_.answered.store(number);
    wake(channel_.answered);
  }

  [[nodiscard]] bool is_first_thread() const {
    return block_ < litmus::kMaxBlocks && memory_ == Memory::kOwn && ::getpid() == channel_.thread.load();
  }

  /// One that is not waited for: it is there when somebody asks it something.
  void start_second() {
    Request request;
    request.block = channel_of_second(block_);
    (void)thread(request);
  }

  static void wait_until(std::int64_t nanoseconds) {
    timespec now{};
    do {
      if (nanoseconds == 0) return;
      ::clock_gettime(CLOCK_MONOTONIC, &now);
    } while (std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec < nanoseconds);
  }

  void end_without_controller() const {
    pollfd line{region_.lifeline, POLLIN, 0};
    if (::poll(&line, 1, 0) > 0 && (line.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) ::_exit(1);
  }

  Reply perform(const Request& request) {
    auto* const at = reinterpret_cast<void*>(request.address);
    switch (request.ask) {
      case Ask::kLoad:
      case Ask::kStore:
        return access(request);
      case Ask::kMap: {
        void* const got = ::mmap(at, request.length, request.first, request.second, request.file, request.value);
        return got == MAP_FAILED ? Reply{0, errno} : Reply{0, got == at ? 0 : EINVAL};
      }
      case Ask::kUnmap:
        return reply_of(::munmap(at, request.length));
      case Ask::kRemap: {
        auto* const to = reinterpret_cast<void*>(request.value);
        void* const got = ::mremap(at, request.length, static_cast<std::size_t>(request.second), request.first, to);
        return got == MAP_FAILED ? Reply{0, errno} : Reply{0, got == to ? 0 : EINVAL};
      }
      case Ask::kProtect:
        return reply_of(::mprotect(at, request.length, request.first));
      case Ask::kAdvise:
        return reply_of(::madvise(at, request.length, request.first));
      case Ask::kMapSecret:
        return map_secret(request);
      case Ask::kLock:
        // Not by the library: a sanitizer's does nothing.
        return reply_of(::syscall(SYS_mlock, at, request.length));
      case Ask::kUnlock:
        return reply_of(::syscall(SYS_munlock, at, request.length));
      case Ask::kInCore: {
        unsigned char page = 0;
        return ::mincore(at, 1, &page) == 0 ? Reply{page & 1, 0} : Reply{0, errno};
      }
      case Ask::kSync:
        return reply_of(::msync(at, request.length, MS_SYNC));
      case Ask::kReadFile: {
        // Behind the end there is nothing to read.
        std::int64_t word = 0;
        const ssize_t read = ::pread(request.file, &word, sizeof word, static_cast<off_t>(request.address));
        return read < 0 ? Reply{0, errno} : Reply{word, 0};
      }
      case Ask::kWriteFile: {
        const ssize_t wrote =
            ::pwrite(request.file, &request.value, sizeof request.value, static_cast<off_t>(request.address));
        return wrote == sizeof request.value ? Reply{} : Reply{0, wrote < 0 ? errno : EIO};
      }
      case Ask::kTruncate:
        return reply_of(::ftruncate(request.file, static_cast<off_t>(request.length)));
      case Ask::kPunch:
        return reply_of(::fallocate(request.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    static_cast<off_t>(request.address), static_cast<off_t>(request.length)));
      case Ask::kFork:
        return fork(request);
      case Ask::kVfork:
        return vfork(request);
      case Ask::kThread:
        return thread(request);
      case Ask::kExec:
        return exec();
      case Ask::kExit:
        ::_exit(0);
      case Ask::kReap:
        return reap(request.first);
      case Ask::kRegister:
        return give_to_ring(request);
      case Ask::kSplice:
        return splice(request);
      case Ask::kSubmit:
        return reply_of(::syscall(SYS_io_uring_enter, request.first, 1, 0, 0, nullptr, 0));
      case Ask::kGupTest:
        return {0, gup_test_pin(request.first, request.address, request.length,
                                static_cast<std::uint32_t>(request.second))};
      case Ask::kRdmaRegister:
        return register_with_rdma(request);
      case Ask::kCardHold:
        return hold_by_card(request);
      case Ask::kCardRelease:
        return said_by_card(Card::of_this_process().release(device_number()));
      case Ask::kCardRead: {
        std::int64_t word = 0;
        const Reply read = said_by_card(Card::of_this_process().read(device_number(), request.address, word));
        return read.error == 0 ? Reply{word, 0} : read;
      }
      case Ask::kCardWrite:
        return said_by_card(Card::of_this_process().write(device_number(), request.address, request.value));
      case Ask::kUserfault: {
        const int file = open_userfault(static_cast<std::uint64_t>(request.value));
        return file < 0 ? Reply{0, errno} : Reply{file, 0};
      }
      case Ask::kTakeFile: {
        const int file = take_file(request.second, request.first);
        return file < 0 ? Reply{0, errno} : Reply{file, 0};
      }
      case Ask::kMovePages:
        return move_pages_here(request.first, request.address, static_cast<std::uint64_t>(request.value),
                               request.length);
    }
    return {0, ENOSYS};
  }

  static Reply map_secret(const Request& request) {
    const int file = static_cast<int>(::syscall(kMemfdSecret, O_CLOEXEC));
    if (file < 0) return {0, errno};
    void* const at = reinterpret_cast<void*>(request.address);
    const bool sized = ::ftruncate(file, static_cast<off_t>(request.length)) == 0;
    void* const got =
        sized ? ::mmap(at, request.length, request.first, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0) : MAP_FAILED;
    const int error = errno;
    ::close(file);
    return got == MAP_FAILED ? Reply{0, error} : Reply{0, got == at ? 0 : EINVAL};
  }

  Reply fork(const Request& request) {
    const pid_t child = ::_Fork();
    if (child == 0) serve(region_, region_fd_, request.block);
    return child < 0 ? Reply{0, errno} : Reply{};
  }

  /// Ends when the child has exited or gone to another image.
  Reply vfork(const Request& request) {
    void* const stack = ::mmap(nullptr, kVforkStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return {0, errno};
    Service& service = g_services[request.block];
    service = {&region_, region_fd_, request.block};
    const int child = ::clone(serve_as_vfork_child, static_cast<char*>(stack) + kVforkStackBytes,
                              CLONE_VM | CLONE_VFORK | SIGCHLD, &service);
    return child < 0 ? Reply{0, errno} : Reply{};
  }

  Reply thread(const Request& request) {
    Service& service = g_services[request.block];
    service = {&region_, region_fd_, request.block};
    pthread_t thread{};
    const int error = ::pthread_create(&thread, nullptr, serve_as_thread, &service);
    return {0, error};
  }

  Reply exec() const {
    std::array<char, 16> fd{};
    std::array<char, 16> block{};
    std::to_chars(fd.data(), fd.data() + fd.size() - 1, region_fd_);
    std::to_chars(block.data(), block.data() + block.size() - 1, block_);
    std::array<char, 32> name{};
    std::strncpy(name.data(), kAgentName, name.size() - 1);
    char* const words[] = {name.data(), fd.data(), block.data(), nullptr};
    ::execve("/proc/self/exe", words, environ);
    return {0, errno};
  }

  static Reply reap(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
      if (errno != EINTR) return {0, errno};
    }
    return {};
  }

  static Reply give_to_ring(const Request& request) {
    const std::vector<iovec> buffers(request.times, {reinterpret_cast<void*>(request.address), request.length});
    return reply_of(
        ::syscall(SYS_io_uring_register, request.first, IORING_REGISTER_BUFFERS, buffers.data(), request.times));
  }

  /// The bytes that went in, at once or in parts.
  static Reply splice(const Request& request) {
    std::vector<iovec> pages;
    for (std::uint64_t at = 0; at < request.length / kPageBytes; ++at) {
      pages.push_back({reinterpret_cast<void*>(request.address + at * request.stride), kPageBytes});
    }
    std::int64_t bytes = 0;
    for (std::uint32_t i = 0; i < request.times; ++i) {
      const ssize_t part = ::vmsplice(request.first, pages.data(), pages.size(), SPLICE_F_NONBLOCK);
      if (part < 0) return bytes == 0 ? Reply{0, errno} : Reply{bytes, 0};
      bytes += part;
    }
    return {bytes, 0};
  }

  /// How many there are of them, be it that not all could be made.
  Reply register_with_rdma(const Request& request) const {
    auto& made = region_.registrations[request.block - channel_of_device(0)];
    for (std::uint32_t i = 0; i < request.times; ++i) {
      const int error = rdma_register(request.first, static_cast<std::uint32_t>(request.second), request.address,
                                      request.length, request.value != 0, made[i]);
      if (error != 0) return {i, error};
    }
    return {request.times, 0};
  }

  [[nodiscard]] std::uint8_t device_number() const { return static_cast<std::uint8_t>(block_ - channel_of_device(0)); }

  Reply said_by_card(const CardTrouble& trouble) const {
    if (trouble.ok()) return {};
    channel_.words = {};
    trouble.words.copy(channel_.words.data(), channel_.words.size() - 1);
    return {trouble.code, kCardSays};
  }

  /// The device is served by a thread of its own: others may be suspended, or in the middle of something.
  Reply hold_by_card(const Request& request) {
    Card& card = Card::of_this_process();
    if (const std::string problem = card.problem(); !problem.empty()) return said_by_card({-1, problem});
    const auto device = static_cast<std::uint8_t>(request.block - channel_of_device(0));
    const CardTrouble trouble = card.hold(device, request.address, request.length, request.first != 0);
    if (!trouble.ok()) return said_by_card(trouble);
    return region_.channels[request.block].process.load() == ::getpid() ? Reply{} : thread(request);
  }

  Region& region_;
  int region_fd_;
  std::uint32_t block_;
  Memory memory_;
  Channel& channel_;
};

int number_in(const char* text) {
  int number = -1;
  std::from_chars(text, text + std::strlen(text), number);
  return number;
}

/// Where the program was started by a test's exec(), it is that process's new image and nothing else, before any of its
/// main() runs. In this place, since every program that can say exec() has this object, be it the command or a test.
__attribute__((constructor)) void enter_as_agent(int count, char** words, char** /*environment*/) {
  if (count != 3 || std::string_view(words[0]) != kAgentName) return;
  const int fd = number_in(words[1]);
  const int block = number_in(words[2]);
  void* const memory = ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED || block < 0 || block >= static_cast<int>(litmus::kMaxBlocks)) ::_exit(1);
  serve(*static_cast<Region*>(memory), fd, static_cast<std::uint32_t>(block));
}

}  // namespace

void serve(Region& region, int region_fd, std::uint32_t block, Memory memory) {
  catch_faults();
  Agent(region, region_fd, block, memory).run();
}

}  // namespace cowherd::live
