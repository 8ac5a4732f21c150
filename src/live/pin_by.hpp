#pragma once

#include <cstdint>

namespace cowherd::live {

/// What takes hold of the pages that a test pins.
enum class PinBy : std::uint8_t {
  /// Whatever keeps closest to what the test says.
  kClosest,
  /// Fixed buffers of an io_uring, or nothing.
  kRing,
  /// process_vm_readv() and process_vm_writev() under way, or nothing.
  kCopy,
  /// cuMemHostRegister(), or nothing.
  kCard,
};

}  // namespace cowherd::live
