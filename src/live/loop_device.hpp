#pragma once

#include <string>

namespace cowherd::live {

/// A block device whose blocks are those of a file, until nobody has it open.
struct LoopDevice {
  /// Of the device; -1: there is none.
  int descriptor = -1;
  /// /dev/loopN
  int number = -1;
  /// Why there is none.
  std::string trouble;
};

/// `open_flags` are those of open(), `loop_flags` LO_FLAGS_*.
LoopDevice attach_loop_device(int backing, unsigned block_bytes, int open_flags, unsigned loop_flags);

}  // namespace cowherd::live
