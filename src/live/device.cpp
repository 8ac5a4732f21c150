#include "live/device.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "live/gup_pins.hpp"
#include "live/host.hpp"

namespace cowherd::live {
namespace {

constexpr unsigned kEntries = 4;
constexpr int kTurnMilliseconds = 50;

std::string problem(const char* what, int error) { return std::string(what) + ": " + std::strerror(error); }

void drain(int pipe) {
  std::array<char, 65536> buffer;
  while (::read(pipe, buffer.data(), buffer.size()) > 0) {
  }
}

}  // namespace

bool is_direct(Way way) { return way == Way::kDirectRead || way == Way::kDirectWrite; }

bool is_copy(Way way) { return way == Way::kCopyIn || way == Way::kCopyOut; }

const char* name_of(Way way) {
  switch (way) {
    case Way::kRing:
      return "io_uring";
    case Way::kPipe:
      return "vmsplice";
    case Way::kDirectRead:
    case Way::kDirectWrite:
      return "O_DIRECT";
    case Way::kCopyIn:
    case Way::kCopyOut:
      return "process_vm";
    case Way::kGupTest:
      return "gup_test";
    case Way::kRdma:
      return "RDMA";
    case Way::kCard:
      return "CUDA";
    case Way::kNone:
      break;
  }
  return "none";
}

const char* describe(Way way) {
  switch (way) {
    case Way::kRing:
      return "io_uring fixed buffers (pin for writing, long-term)";
    case Way::kPipe:
      return "vmsplice (get for reading)";
    case Way::kDirectRead:
      return "an O_DIRECT read under way (pin for writing; before Linux 6.5 get)";
    case Way::kDirectWrite:
      return "an O_DIRECT write under way (pin for reading; before Linux 6.5 get)";
    case Way::kCopyIn:
      return "process_vm_writev() under way (pin for writing; before Linux 5.6 get)";
    case Way::kCopyOut:
      return "process_vm_readv() under way (pin for reading; before Linux 5.6 get)";
    case Way::kGupTest:
      return "gup_test (pin for reading, long-term)";
    case Way::kRdma:
      return "memory registered with an RDMA device (pin, long-term)";
    case Way::kCard:
      return "cuMemHostRegister() (pin, long-term; by old drivers get)";
    case Way::kNone:
      break;
  }
  return "nothing";
}

Device::~Device() {
  release();
  if (ring_open_) ::io_uring_queue_exit(&ring_);
  for (const int end : {pipe_[0], pipe_[1], copy_[0], copy_[1], gup_test_}) {
    if (end >= 0) ::close(end);
  }
}

std::string Device::open(Way way, std::size_t pages) {
  way_ = way;
  // A card is opened by the process that asks for it.
  if (way == Way::kNone || way == Way::kCard) return {};
  if (is_copy(way)) return held_copy_.open(pages * kPageBytes);
  if (way == Way::kRdma) {
    const FoundSoftRoce soft_roce = find_soft_roce();
    return soft_roce.device ? rdma_.open(*soft_roce.device) : soft_roce.problem;
  }
  if (way == Way::kGupTest) {
    // Not closed at exec: what a test's exec() starts takes hold of pages too.
    gup_test_ = ::open(kGupTestFile, O_RDWR);
    return gup_test_ >= 0 ? std::string() : problem(kGupTestFile, errno);
  }
  // Ends that close at exec would not be there for a process that takes hold of pages after it.
  if (::pipe2(pipe_, O_NONBLOCK) != 0 || ::pipe2(copy_, O_NONBLOCK) != 0) return problem("no pipe", errno);
  if (way == Way::kPipe) {
    const std::size_t bytes = pages * kPageBytes;
    for (const int end : {pipe_[1], copy_[1]}) {
      const int size = ::fcntl(end, F_GETPIPE_SZ);
      if (static_cast<std::size_t>(size) < bytes && ::fcntl(end, F_SETPIPE_SZ, static_cast<int>(bytes)) < 0) {
        return problem("no pipe with room for so many references", errno);
      }
    }
    return {};
  }
  if (is_direct(way)) {
    if (std::string trouble = disk_.open(); !trouble.empty()) return trouble;
  }
  const int error = ::io_uring_queue_init(kEntries, &ring_, 0);
  if (error < 0) return problem("no io_uring", -error);
  ring_open_ = true;
  ::fcntl(ring_.ring_fd, F_SETFD, 0);
  return {};
}

Request Device::take_request(std::uint64_t address, std::uint64_t length, std::uint32_t times, PinFlags flags) {
  Request request;
  request.address = address;
  request.length = length;
  request.times = times;
  if (way_ == Way::kCard) {
    request.ask = Ask::kCardHold;
    request.first = has(flags, PinFlags::kWrite) ? 1 : 0;
    return request;
  }
  if (way_ == Way::kRdma) {
    may_write_ = registers_for_writing(flags);
    request.ask = Ask::kRdmaRegister;
    request.first = rdma_.verbs();
    request.second = static_cast<std::int32_t>(rdma_.domain());
    request.value = may_write_ ? 1 : 0;
    return request;
  }
  if (way_ == Way::kGupTest) {
    request.ask = Ask::kGupTest;
    request.first = gup_test_;
    request.second = static_cast<std::int32_t>((has(flags, PinFlags::kWrite) ? kGupTestWrite : 0u) |
                                               (has(flags, PinFlags::kFast) ? kGupTestFast : 0u));
    return request;
  }
  if (is_direct(way_)) {
    prepare(address, length);
    request.ask = Ask::kSubmit;
    request.first = ring_.ring_fd;
    return request;
  }
  request.ask = way_ == Way::kRing ? Ask::kRegister : Ask::kSplice;
  request.first = way_ == Way::kRing ? ring_.ring_fd : pipe_[1];
  return request;
}

/// Puts the I/O where whoever enters the ring next submits it, as its own.
void Device::prepare(std::uint64_t address, std::uint64_t length) {
  const unsigned tail = *ring_.sq.ktail;
  const unsigned index = tail & *ring_.sq.kring_mask;
  io_uring_sqe* const entry = &ring_.sq.sqes[index];
  std::memset(entry, 0, sizeof *entry);
  auto* const at = reinterpret_cast<void*>(address);
  if (way_ == Way::kDirectRead) {
    ::io_uring_prep_read(entry, disk_.file(), at, static_cast<unsigned>(length), 0);
  } else {
    ::io_uring_prep_write(entry, disk_.file(), at, static_cast<unsigned>(length), 0);
  }
  entry->user_data = ++number_;
  ring_.sq.array[index] = index;
  io_uring_smp_store_release(ring_.sq.ktail, tail + 1);
}

Reply Device::taken(Reply asked, std::chrono::milliseconds patience) {
  if (!is_direct(way_) || asked.error != 0) return asked;
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    pollfd events[] = {{disk_.arrivals(), POLLIN, 0}, {ring_.ring_fd, POLLIN, 0}};
    if (::poll(events, 2, kTurnMilliseconds) <= 0) continue;
    if ((events[0].revents & POLLIN) != 0) return {};
    if (const std::optional<int> result = outcome(); result) return {0, *result < 0 ? -*result : EIO};
  }
  return {0, ETIMEDOUT};
}

std::optional<int> Device::finish() {
  disk_.wait_until_idle();
  // The block layer gives the memory back after it has said that it is done, and before whoever asked is told. That one
  // hears nothing while a child of vfork suspends it.
  pollfd told{ring_.ring_fd, POLLIN, 0};
  ::poll(&told, 1, kTurnMilliseconds);
  return outcome();
}

std::optional<int> Device::outcome() {
  std::optional<int> result;
  io_uring_cqe* done = nullptr;
  while (::io_uring_peek_cqe(&ring_, &done) == 0) {
    // The end of an older one may be told late.
    if (done->user_data == number_) result = done->res;
    ::io_uring_cqe_seen(&ring_, done);
  }
  return result;
}

void Device::hold(std::uint64_t address, std::uint64_t length) {
  address_ = address;
  length_ = length;
}

bool Device::release() {
  if (length_ == 0) return false;
  length_ = 0;
  if (way_ == Way::kCard) return true;
  if (is_copy(way_)) {
    held_copy_.cancel();
    return true;
  }
  if (way_ == Way::kRing) return ::io_uring_unregister_buffers(&ring_) == 0;
  if (way_ == Way::kRdma) return deregister();
  if (is_direct(way_)) {
    disk_.end();
    finish();
    return true;
  }
  if (way_ == Way::kGupTest) return gup_test_unpin(gup_test_) == 0;
  drain(pipe_[0]);
  return true;
}

void Device::note_registrations(std::span<const Registration> made, bool all) {
  registrations_.assign(made.begin(), made.end());
  if (!all) deregister();
}

bool Device::deregister() {
  bool all = true;
  for (const Registration& one : registrations_) all = rdma_.deregister(one) == 0 && all;
  registrations_.clear();
  return all;
}

/// Eight bytes between the held pages and the pipe, by the ring.
Reply Device::transfer(bool into_memory, std::uint64_t offset) {
  io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
  if (entry == nullptr) return {0, EAGAIN};
  auto* const at = reinterpret_cast<void*>(address_ + offset);
  if (into_memory) {
    ::io_uring_prep_read_fixed(entry, pipe_[0], at, sizeof(std::int64_t), 0, 0);
  } else {
    ::io_uring_prep_write_fixed(entry, pipe_[1], at, sizeof(std::int64_t), 0, 0);
  }
  if (const int submitted = ::io_uring_submit(&ring_); submitted < 0) return {0, -submitted};
  io_uring_cqe* done = nullptr;
  if (const int waited = ::io_uring_wait_cqe(&ring_, &done); waited < 0) return {0, -waited};
  const int result = done->res;
  ::io_uring_cqe_seen(&ring_, done);
  if (result < 0) return {0, -result};
  return result == sizeof(std::int64_t) ? Reply{} : Reply{0, EIO};
}

Reply Device::read(std::uint64_t offset) {
  std::int64_t word = 0;
  if (is_copy(way_)) {
    std::vector<std::byte> bytes(length_);
    if (const Reply moved = held_copy_.read(bytes); moved.error != 0) return moved;
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return {word, 0};
  }
  if (is_direct(way_)) {
    std::vector<std::byte> bytes;
    if (!disk_.look(bytes) || offset + sizeof word > bytes.size()) return {0, EIO};
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return {word, 0};
  }
  if (way_ == Way::kRdma) return rdma_.read(registrations_.front(), address_ + offset);
  if (way_ == Way::kGupTest) {
    std::vector<std::byte> bytes(length_);
    if (const int error = gup_test_read(gup_test_, bytes.data()); error != 0) return {0, error};
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return {word, 0};
  }
  if (way_ == Way::kRing) {
    const Reply moved = transfer(false, offset);
    if (moved.error != 0) return moved;
    if (::read(pipe_[0], &word, sizeof word) != sizeof word) return {0, errno == 0 ? EIO : errno};
    return {word, 0};
  }
  // A copy of the pipe holds the same pages; its bytes are the pages' own until they are read.
  std::array<char, kPageBytes> page;
  const std::uint64_t wanted = offset / kPageBytes;
  if (::tee(pipe_[0], copy_[1], (wanted + 1) * kPageBytes, SPLICE_F_NONBLOCK) < 0) return {0, errno};
  Reply reply{0, EIO};
  for (std::uint64_t number = 0; number <= wanted; ++number) {
    if (::read(copy_[0], page.data(), page.size()) != static_cast<ssize_t>(page.size())) break;
    if (number != wanted) continue;
    std::memcpy(&word, page.data() + offset % kPageBytes, sizeof word);
    reply = {word, 0};
  }
  drain(copy_[0]);
  return reply;
}

Reply Device::write(std::uint64_t offset, std::int64_t value) {
  if (moves_once(way_)) {
    std::vector<std::byte> bytes(length_);
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    if (is_copy(way_)) {
      const Reply moved = held_copy_.write(bytes);
      return {0, moved.error};
    }
    if (!disk_.fill(bytes)) return {0, EIO};
    const std::optional<int> result = finish();
    return result.value_or(0) >= 0 ? Reply{} : Reply{0, -*result};
  }
  // Asked for all the same, the connection would break.
  if (way_ == Way::kRdma && may_write_) return rdma_.write(registrations_.front(), address_ + offset, value);
  if (way_ != Way::kRing) return {0, EPERM};
  if (::write(pipe_[1], &value, sizeof value) != sizeof value) return {0, errno};
  return transfer(true, offset);
}

}  // namespace cowherd::live
