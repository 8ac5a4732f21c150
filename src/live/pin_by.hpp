#pragma once

#include <cstdint>
#include <string_view>

namespace cowherd::live {

/// What takes hold of the pages that a test pins.
enum class PinBy : std::uint8_t {
  /// Whatever keeps closest to what the test says.
  kClosest,
  /// Fixed buffers of an io_uring, or nothing.
  kRing,
  /// process_vm_readv() and process_vm_writev() under way, or nothing.
  kCopy,
  /// Memory registered with an RDMA device, or nothing.
  kRdma,
  /// cuMemHostRegister(), or nothing.
  kCard,
};

/// The word for it on the command line.
constexpr std::string_view name_of(PinBy pin_by) {
  switch (pin_by) {
    case PinBy::kRing:
      return "io_uring";
    case PinBy::kCopy:
      return "process_vm";
    case PinBy::kRdma:
      return "rdma";
    case PinBy::kCard:
      return "cuda";
    case PinBy::kClosest:
      break;
  }
  return "closest";
}

}  // namespace cowherd::live
