#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "live/keeper.hpp"

namespace cowherd::live {

/// An address of an RDMA port.
using Gid = std::array<std::uint8_t, 16>;

/// As sysfs writes it, "0000:0000:0000:0000:0000:ffff:7f00:0001".
std::optional<Gid> gid_of(std::string_view text);

/// A soft-RoCE device: RDMA by the kernel itself, over a network device.
struct SoftRoceDevice {
  std::string name;
  /// The file that gives its verbs to processes: "/dev/infiniband/uverbs0".
  std::string file;
  /// The network device.
  std::string network_device;
  /// Where it can be reached, and the address's number.
  Gid gid{};
  std::uint8_t gid_index = 0;
};

/// The first one in /sys/class below `root` that can be used, or why there is none.
struct FoundSoftRoce {
  std::optional<SoftRoceDevice> device;
  std::string problem;
};
FoundSoftRoce find_soft_roce(const std::string& root = {});

/// The machine's soft-RoCE device or, where it has none, one of our own over the loopback device. Not thread-safe.
class SoftRoce {
 public:
  /// Empty, or why there is none.
  std::string open(Keeper& keeper);
  /// "rxe0 over eth0"; "soft-RoCE over lo, our own". Precondition: it is open.
  [[nodiscard]] const std::string& found() const { return found_; }

 private:
  std::string found_;
};

}  // namespace cowherd::live
