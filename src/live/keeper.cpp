#include "live/keeper.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <vector>

#include "live/host.hpp"
#include "live/rdma_netlink.hpp"

namespace cowherd::live {
namespace {

constexpr char kWrite = 'w';
constexpr char kSwapOff = 's';
constexpr char kRemove = 'r';
constexpr char kRemoveRdma = 'd';
constexpr char kDown = 'n';
/// Half a minute.
constexpr unsigned kLockTries = 3000;
constexpr useconds_t kLockMicroseconds = 10000;

/// Whether all of `text` went into the file.
bool write_into(const std::string& path, std::string_view text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(file);
  errno = error;
  return done;
}

/// One line: what is to be done, a path and a text, each ended by a zero byte.
void undo(std::string_view line) {
  const std::string path(line.substr(1, line.find('\0') - 1));
  switch (line.front()) {
    case kWrite:
      write_into(path, line.substr(path.size() + 2));
      return;
    case kSwapOff:
      ::swapoff(path.c_str());
      return;
    case kRemove:
      ::unlink(path.c_str());
      return;
    case kRemoveRdma:
      remove_rdma_device(path);
      return;
    case kDown:
      set_network_device(path, false);
      return;
    default:
      return;
  }
}

/// Lines are ended by a newline, which is in no path and no text here.
[[noreturn]] void keep(int line) {
  ::setsid();
  if (line != 3) ::dup2(line, 3);
  // Files, rings and disks of whoever started this would stay open as long as it runs.
  ::syscall(SYS_close_range, 4u, ~0u, 0u);
  for (int fd = 0; fd < 3; ++fd) ::close(fd);
  std::string told;
  std::array<char, 4096> part{};
  for (ssize_t got = 1; got > 0 || (got < 0 && errno == EINTR);) {
    got = ::read(3, part.data(), part.size());
    if (got > 0) told.append(part.data(), static_cast<std::size_t>(got));
  }
  std::vector<std::string_view> lines;
  for (std::size_t at = 0, end = 0; (end = told.find('\n', at)) != std::string::npos; at = end + 1) {
    lines.push_back(std::string_view(told).substr(at, end - at));
  }
  for (auto one = lines.rbegin(); one != lines.rend(); ++one) undo(*one);
  ::_exit(0);
}

}  // namespace

std::string Keeper::lock(const char* path) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return fmt::format("{}: {}", path, in_words(errno));
  const unsigned tries = waited_for_.contains(path) ? 1 : kLockTries;
  for (unsigned at = 0; at < tries; ++at) {
    if (at != 0) ::usleep(kLockMicroseconds);
    // A kernel without locks (CONFIG_FILE_LOCKING) has nobody who could hold one.
    if (::flock(file, LOCK_EX | LOCK_NB) == 0 || errno == ENOSYS) {
      locks_.push_back(file);
      return {};
    }
  }
  ::close(file);
  waited_for_.emplace(path);
  return fmt::format("{} is in use by another program of this kind", path);
}

std::string Keeper::set(const std::string& path, std::string_view text) {
  std::ifstream file(path);
  std::string before;
  std::getline(file, before);
  if (!file) return fmt::format("{} cannot be read", path);
  if (before == text) return {};
  if (!later_write(path, before)) return "no process that puts back what is changed";
  return write_into(path, text) ? std::string() : fmt::format("{}: {}", path, in_words(errno));
}

std::string Keeper::hold(const std::string& path) {
  std::ifstream file(path);
  std::string before;
  std::getline(file, before);
  if (!file) return fmt::format("{} cannot be read", path);
  return later_write(path, before) ? std::string() : "no process that puts back what is changed";
}

std::string Keeper::set_choice(const std::string& path, std::string_view text) {
  std::ifstream file(path);
  std::string choices;
  std::getline(file, choices);
  const std::size_t first = choices.find('[');
  const std::size_t last = choices.find(']');
  if (first == std::string::npos || last == std::string::npos) return fmt::format("{} cannot be read", path);
  const std::string before = choices.substr(first + 1, last - first - 1);
  if (before == text) return {};
  if (!later_write(path, before)) return "no process that puts back what is changed";
  return write_into(path, text) ? std::string() : fmt::format("{}: {}", path, in_words(errno));
}

bool Keeper::later_write(const std::string& path, std::string_view text) { return tell(kWrite, path, text); }
bool Keeper::later_swapoff(const std::string& device) { return tell(kSwapOff, device, {}); }
bool Keeper::later_remove(const std::string& path) { return tell(kRemove, path, {}); }
bool Keeper::later_remove_rdma(const std::string& device) { return tell(kRemoveRdma, device, {}); }
bool Keeper::later_down(const std::string& network_device) { return tell(kDown, network_device, {}); }

bool Keeper::start() {
  int line[2];
  if (::pipe2(line, O_CLOEXEC) != 0) return false;
  process_ = ::fork();
  if (process_ == 0) {
    ::close(line[1]);
    keep(line[0]);
  }
  ::close(line[0]);
  line_ = line[1];
  if (process_ > 0) return true;
  ::close(line_);
  line_ = -1;
  return false;
}

bool Keeper::tell(char what, std::string_view path, std::string_view text) {
  if (line_ < 0 && !start()) return false;
  std::string line(1, what);
  line.append(path).append(1, '\0').append(text).append(1, '\n');
  return ::write(line_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

void Keeper::restore() {
  if (line_ >= 0) ::close(line_);
  line_ = -1;
  while (process_ > 0 && ::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  for (const int file : locks_) ::close(file);
  locks_.clear();
}

void Keeper::leave_to_parent() {
  if (line_ >= 0) ::close(line_);
  line_ = -1;
  process_ = -1;
  // The lock is of whoever took it as long as one of the descriptors is open.
  for (const int file : locks_) ::close(file);
  locks_.clear();
}

}  // namespace cowherd::live
