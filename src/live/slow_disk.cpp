#include "live/slow_disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fuse.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <utility>

#include "live/host.hpp"
#include "live/loop_device.hpp"

namespace cowherd::live {
namespace {

constexpr std::uint64_t kDiskBytes = 1u << 20;
constexpr std::size_t kBufferBytes = kDiskBytes + kPageBytes;
constexpr std::uint64_t kFileNode = 2;
constexpr int kServeMilliseconds = 20;
/// Answers never grow old.
constexpr std::uint64_t kForever = 1u << 30;

std::string problem(const char* what) { return fmt::format("{}: {}", what, in_words(errno)); }

void close_if_open(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

fuse_attr attributes_of(std::uint64_t node) {
  fuse_attr attributes{};
  attributes.ino = node;
  attributes.nlink = 1;
  attributes.blksize = kPageBytes;
  attributes.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0700u : S_IFREG | 0600u;
  attributes.size = node == FUSE_ROOT_ID ? 0 : kDiskBytes;
  return attributes;
}

}  // namespace

SlowDisk::~SlowDisk() {
  if (fuse_ < 0) return;
  end();
  // Whoever closes the last descriptor of a loop device or of its file may ask the file system once more.
  at_once_ = true;
  serve_in_background();
  close_if_open(disk_);
  close_if_open(backing_);
  close_if_open(mount_);
  stop_background();
  close_if_open(fuse_);
}

std::string SlowDisk::open() {
  buffer_.resize(kBufferBytes);
  if (std::string trouble = mount(); !trouble.empty()) return trouble;
  serve_in_background();
  std::string trouble = attach();
  if (trouble.empty()) trouble = rehearse();
  stop_background();
  at_once_ = false;
  return trouble;
}

std::string SlowDisk::mount() {
  fuse_ = ::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fuse_ < 0) return problem("/dev/fuse");
  const int context = static_cast<int>(::syscall(SYS_fsopen, "fuse", FSOPEN_CLOEXEC));
  if (context < 0) return problem("no FUSE file system");
  const auto set = [context](const char* key, const std::string& value) {
    return ::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
  };
  const bool made = set("fd", std::to_string(fuse_)) && set("rootmode", "40000") && set("user_id", "0") &&
                    set("group_id", "0") && ::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0) == 0;
  std::string trouble = made ? std::string() : problem("no FUSE file system");
  if (made) mount_ = static_cast<int>(::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
  if (made && mount_ < 0) trouble = problem("no FUSE file system");
  ::close(context);
  return trouble;
}

std::string SlowDisk::attach() {
  backing_ = ::openat(mount_, "disk", O_RDWR | O_CLOEXEC);
  if (backing_ < 0) return problem("no file on FUSE");
  // Not closed at exec: what a test's exec() starts takes hold of pages too.
  LoopDevice device = attach_loop_device(backing_, 512, O_RDWR | O_DIRECT, LO_FLAGS_DIRECT_IO);
  number_ = device.number;
  disk_ = device.descriptor;
  return std::move(device.trouble);
}

/// A file system is asked this and that at the first write, and never again once it has said that it does not know.
std::string SlowDisk::rehearse() const {
  void* const page = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return problem("no memory");
  const auto bytes = static_cast<ssize_t>(kPageBytes);
  const bool works = ::pwrite(disk_, page, kPageBytes, 0) == bytes && ::pread(disk_, page, kPageBytes, 0) == bytes &&
                     ::fsync(disk_) == 0 && ::close(::dup(backing_)) == 0;
  std::string trouble = works ? std::string() : problem("the loop device cannot be read and written");
  ::munmap(page, kPageBytes);
  return trouble;
}

void SlowDisk::serve_in_background() {
  stop_ = false;
  server_ = std::thread([this] {
    while (!stop_) serve(kServeMilliseconds);
  });
}

void SlowDisk::stop_background() {
  stop_ = true;
  if (server_.joinable()) server_.join();
}

void SlowDisk::answer(std::uint64_t unique, int error, const void* data, std::size_t bytes) const {
  fuse_out_header header{};
  header.len = static_cast<std::uint32_t>(sizeof header + bytes);
  header.error = -error;
  header.unique = unique;
  iovec parts[] = {{&header, sizeof header}, {const_cast<void*>(data), bytes}};
  // Whoever asked may be gone.
  (void)!::writev(fuse_, parts, bytes == 0 ? 1 : 2);
}

bool SlowDisk::serve(int milliseconds) {
  pollfd arrivals{fuse_, POLLIN, 0};
  if (::poll(&arrivals, 1, milliseconds) <= 0) return false;
  const ssize_t got = ::read(fuse_, buffer_.data(), buffer_.size());
  fuse_in_header header{};
  if (got < static_cast<ssize_t>(sizeof header)) return false;
  std::memcpy(&header, buffer_.data(), sizeof header);
  const std::byte* const body = buffer_.data() + sizeof header;
  const auto say = [&](const auto& out) { answer(header.unique, 0, &out, sizeof out); };
  switch (header.opcode) {
    case FUSE_INIT: {
      fuse_init_in in{};
      std::memcpy(&in, body, std::min(sizeof in, static_cast<std::size_t>(got) - sizeof header));
      fuse_init_out out{};
      out.major = FUSE_KERNEL_VERSION;
      out.minor = std::min<std::uint32_t>(in.minor, FUSE_KERNEL_MINOR_VERSION);
      out.max_readahead = in.max_readahead;
      out.max_background = 8;
      out.congestion_threshold = 6;
      out.max_write = 1u << 17;
      out.max_pages = 32;
      out.time_gran = 1;
      out.flags = in.flags & (FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_BIG_WRITES | FUSE_MAX_PAGES);
      say(out);
      break;
    }
    case FUSE_LOOKUP: {
      fuse_entry_out out{};
      out.nodeid = kFileNode;
      out.entry_valid = out.attr_valid = kForever;
      out.attr = attributes_of(kFileNode);
      say(out);
      break;
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
      fuse_attr_out out{};
      out.attr_valid = kForever;
      out.attr = attributes_of(header.nodeid);
      say(out);
      break;
    }
    case FUSE_OPEN: {
      fuse_open_out out{};
      out.open_flags = FOPEN_DIRECT_IO;
      say(out);
      break;
    }
    case FUSE_STATFS:
      say(fuse_statfs_out{});
      break;
    case FUSE_READ:
    case FUSE_WRITE: {
      // Both begin alike.
      fuse_read_in in{};
      std::memcpy(&in, body, sizeof in);
      pending_ = {header.unique, in.size, header.opcode == FUSE_READ};
      if (at_once_) end();
      break;
    }
    case FUSE_RELEASE:
      answer(header.unique, 0, nullptr, 0);
      break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      break;
    default:
      // FUSE_FLUSH among them: whoever is killed must not wait for an answer that nobody gives any more.
      answer(header.unique, ENOSYS, nullptr, 0);
  }
  return true;
}

void SlowDisk::leave_to_parent() { close_if_open(fuse_); }

bool SlowDisk::look(std::vector<std::byte>& bytes) {
  while (pending_.unique == 0) {
    if (!serve(0)) return false;
  }
  if (pending_.writes_memory) return false;
  const std::byte* const data = buffer_.data() + sizeof(fuse_in_header) + sizeof(fuse_write_in);
  bytes.assign(data, data + pending_.bytes);
  return true;
}

bool SlowDisk::fill(const std::vector<std::byte>& bytes) {
  while (pending_.unique == 0) {
    if (!serve(0)) return false;
  }
  if (!pending_.writes_memory || bytes.size() != pending_.bytes) return false;
  answer(pending_.unique, 0, bytes.data(), bytes.size());
  pending_ = {};
  return true;
}

void SlowDisk::wait_until_idle() const {
  const std::string path = fmt::format("/sys/block/loop{}/inflight", number_);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < until) {
    // Reads and writes that are under way.
    std::ifstream file(path);
    unsigned reads = 0;
    unsigned writes = 0;
    if (!(file >> reads >> writes) || reads + writes == 0) return;
    ::usleep(20);
  }
}

void SlowDisk::end() {
  while (pending_.unique == 0) {
    if (!serve(0)) return;
  }
  if (!pending_.writes_memory) {
    fuse_write_out out{};
    out.size = pending_.bytes;
    answer(pending_.unique, 0, &out, sizeof out);
  } else if (at_once_) {
    const std::vector<std::byte> nothing(pending_.bytes);
    answer(pending_.unique, 0, nothing.data(), nothing.size());
  } else {
    answer(pending_.unique, EIO, nullptr, 0);
  }
  pending_ = {};
}

}  // namespace cowherd::live
