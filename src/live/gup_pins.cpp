#include "live/gup_pins.hpp"

#include <sys/ioctl.h>

#include <cerrno>

namespace cowherd::live {
namespace {

/// As the kernel reads it.
struct PinRequest {
  std::uint64_t address;
  std::uint64_t size;
  std::uint32_t flags;
};

constexpr unsigned long kStart = _IOW('g', 7, PinRequest);
constexpr unsigned long kStop = _IO('g', 8);
constexpr unsigned long kReadPages = _IOW('g', 9, std::uint64_t);

}  // namespace

int gup_test_pin(int file, std::uint64_t address, std::uint64_t length, std::uint32_t flags) {
  PinRequest request{address, length, flags};
  return ::ioctl(file, kStart, &request) == 0 ? 0 : errno;
}

int gup_test_read(int file, std::byte* bytes) {
  auto to = reinterpret_cast<std::uint64_t>(bytes);
  return ::ioctl(file, kReadPages, &to) == 0 ? 0 : errno;
}

int gup_test_unpin(int file) { return ::ioctl(file, kStop) == 0 ? 0 : errno; }

}  // namespace cowherd::live
