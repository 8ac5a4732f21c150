#include "measure/linux_memory.hpp"

#include <fmt/format.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "measure/arrangement.hpp"
#include "measure/load.hpp"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace cowherd::measure::on_linux {

Mapping::Mapping(std::uint64_t pages, bool huge) : bytes_(nullptr), pages_(pages) {
  constexpr std::size_t kRun = kRunPages * kPage;
  const std::size_t room = pages * kPage + (huge ? kRun : 0);
  void* mapped = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  bytes_ = static_cast<std::uint8_t*>(mapped);
  if (huge) {
    const std::size_t skipped = (kRun - reinterpret_cast<std::uintptr_t>(mapped) % kRun) % kRun;
    if (skipped != 0) ::munmap(bytes_, skipped);
    ::munmap(bytes_ + skipped + pages * kPage, kRun - skipped);
    bytes_ += skipped;
  }
  ::madvise(bytes_, pages * kPage, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

Mapping::~Mapping() {
  if (bytes_ != nullptr) ::munmap(bytes_, pages_ * kPage);
}

void Mapping::fill(bool shuffled) const {
  for (const std::uint64_t number : order_of(pages_, shuffled)) byte(number) = stamp(number);
}

bool Mapping::populate_write(std::uint64_t number, std::uint64_t parts) const {
  const std::uint64_t part = pages_ / parts;
  return ::madvise(page(number * part), part * kPage, MADV_POPULATE_WRITE) == 0;
}

bool Mapping::populate_read() const { return ::madvise(bytes_, pages_ * kPage, MADV_POPULATE_READ) == 0; }

bool Mapping::stamped() const {
  for (std::uint64_t number = 0; number < pages_; number += kCheckEvery) {
    if (byte(number) != stamp(number)) return false;
  }
  return true;
}

RegisteredBuffers::RegisteredBuffers() : ring_(-1) {
  io_uring_params parameters{};
  const long made = ::syscall(SYS_io_uring_setup, 1, &parameters);
  if (made < 0) {
    error_ = fmt::format("io_uring: {}", std::generic_category().message(errno));
    return;
  }
  ring_ = static_cast<int>(made);
}

RegisteredBuffers::~RegisteredBuffers() {
  if (ring_ >= 0) ::close(ring_);
}

bool RegisteredBuffers::register_all(const std::vector<Buffer>& buffers) {
  if (ring_ < 0) return false;
  std::vector<iovec> vectors;
  for (const Buffer& buffer : buffers) vectors.push_back({buffer.begin, buffer.bytes});
  if (::syscall(SYS_io_uring_register, ring_, IORING_REGISTER_BUFFERS, vectors.data(), vectors.size()) == 0) {
    return true;
  }
  error_ = fmt::format("io_uring registers no buffers: {}", std::generic_category().message(errno));
  return false;
}

bool RegisteredBuffers::unregister() {
  return ::syscall(SYS_io_uring_register, ring_, IORING_UNREGISTER_BUFFERS, nullptr, 0) == 0;
}

bool RegisteredBuffers::pin_all(const Mapping& mapping) {
  constexpr std::uint64_t kPagesToABuffer = (std::uint64_t{1} << 30) / kPage;
  std::vector<Buffer> buffers;
  for (std::uint64_t first = 0; first < mapping.pages(); first += kPagesToABuffer) {
    buffers.push_back({mapping.page(first), std::min(kPagesToABuffer, mapping.pages() - first) * kPage});
  }
  return register_all(buffers);
}

bool RegisteredBuffers::pin_pages(const Mapping& mapping, const std::vector<std::uint64_t>& pages) {
  std::vector<Buffer> buffers;
  for (const std::uint64_t page : pages) buffers.push_back({mapping.page(page), kPage});
  return register_all(buffers);
}

}  // namespace cowherd::measure::on_linux
