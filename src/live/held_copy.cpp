#include "live/held_copy.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

constexpr int kPollMilliseconds = 5;

}  // namespace

HeldCopy::~HeldCopy() {
  cancel();
  unmap();
  if (faults_ >= 0) ::close(faults_);
}

std::string HeldCopy::open(std::size_t bytes) {
  bytes_ = bytes;
  // The kernel's own faults are meant, which not everybody may have wait.
  faults_ = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (faults_ < 0) return "no userfaultfd(): " + in_words(errno);
  uffdio_api api{};
  api.api = UFFD_API;
  if (::ioctl(faults_, UFFDIO_API, &api) != 0) return "no userfaultfd(): " + in_words(errno);
  return map();
}

/// Memory in which every page is missing.
std::string HeldCopy::map() {
  unmap();
  void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return "no memory: " + in_words(errno);
  room_ = static_cast<std::byte*>(at);
  uffdio_register wanted{};
  wanted.range = {reinterpret_cast<std::uint64_t>(at), bytes_};
  wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
  return ::ioctl(faults_, UFFDIO_REGISTER, &wanted) == 0 ? std::string() : "no userfaultfd(): " + in_words(errno);
}

void HeldCopy::unmap() {
  if (room_ != nullptr) ::munmap(room_, bytes_);
  room_ = nullptr;
}

Reply HeldCopy::start(pid_t process, std::uint64_t address, std::uint64_t length, bool into_memory,
                      std::chrono::milliseconds patience) {
  if (length > bytes_ || !map().empty()) return {0, ENOMEM};
  ended_ = false;
  iovec here{room_, length};
  iovec there{reinterpret_cast<void*>(address), length};
  copier_ = std::thread([this, process, into_memory, here, there] {
    const ssize_t moved = into_memory ? ::process_vm_writev(process, &here, 1, &there, 1, 0)
                                      : ::process_vm_readv(process, &here, 1, &there, 1, 0);
    result_ = moved < 0 ? Reply{0, errno} : Reply{moved, 0};
    ended_ = true;
  });
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!ended_) {
    // A page of ours is missing only to who has pages of theirs.
    pollfd missing{faults_, POLLIN, 0};
    uffd_msg message{};
    if (::poll(&missing, 1, kPollMilliseconds) > 0 && ::read(faults_, &message, sizeof message) == sizeof message) {
      return {};
    }
    if (std::chrono::steady_clock::now() > until) {
      cancel();
      return {0, ETIMEDOUT};
    }
  }
  copier_.join();
  return result_.error != 0 ? result_ : Reply{0, EIO};
}

Reply HeldCopy::finish() {
  copier_.join();
  return result_;
}

Reply HeldCopy::write(std::span<const std::byte> bytes) {
  // From pages of its own: whole ones are put in place.
  std::vector<std::byte> pages(bytes_);
  std::copy(bytes.begin(), bytes.end(), pages.begin());
  uffdio_copy copy{};
  copy.dst = reinterpret_cast<std::uint64_t>(room_);
  copy.src = reinterpret_cast<std::uint64_t>(pages.data());
  copy.len = bytes_;
  if (::ioctl(faults_, UFFDIO_COPY, &copy) != 0) return {0, errno};
  return finish();
}

Reply HeldCopy::read(std::span<std::byte> bytes) {
  uffdio_zeropage zeros{};
  zeros.range = {reinterpret_cast<std::uint64_t>(room_), bytes_};
  if (::ioctl(faults_, UFFDIO_ZEROPAGE, &zeros) != 0) return {0, errno};
  const Reply moved = finish();
  if (moved.error == 0) std::copy_n(room_, bytes.size(), bytes.begin());
  return moved;
}

void HeldCopy::cancel() {
  if (!copier_.joinable()) return;
  // Who waits for a page finds that there is no memory at all.
  const uffdio_range range{reinterpret_cast<std::uint64_t>(room_), bytes_};
  unmap();
  ::ioctl(faults_, UFFDIO_WAKE, &range);
  copier_.join();
}

}  // namespace cowherd::live
