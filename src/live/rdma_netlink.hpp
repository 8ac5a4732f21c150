#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace cowherd::live {

// What the kernel is asked about its RDMA devices, and told to do with them, by netlink: as `rdma` does and rdma-core.

/// A message to the kernel, attribute by attribute.
class RdmaMessage {
 public:
  /// `command` is one of RDMA_NLDEV_CMD_*; `flags` of NLM_F_*, besides NLM_F_REQUEST.
  RdmaMessage(std::uint16_t command, std::uint16_t flags);

  RdmaMessage& add(std::uint16_t attribute, std::string_view text);
  RdmaMessage& add(std::uint16_t attribute, std::uint32_t number);
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void append(std::uint16_t attribute, const void* from, std::size_t length);

  std::vector<std::byte> bytes_;
};

/// The value of an attribute among those of a message, that is to say of what follows its header.
std::optional<std::span<const std::byte>> rdma_attribute(std::span<const std::byte> attributes, std::uint16_t wanted);

/// Whether the kernel says that fork copies what a device holds, so that rdma-core does nothing when it is asked for
/// ibv_fork_init() (Linux 5.13). No value where it has no RDMA.
std::optional<bool> says_copy_on_fork();

/// A soft-RoCE device of that name on a network device, as `rdma link add NAME type rxe netdev NETDEV` makes it; root
/// alone may. 0 or an errno: EPROTONOSUPPORT where the kernel has no RDMA, EINVAL where it has no soft-RoCE.
int add_soft_roce(std::string_view name, std::string_view network_device);

/// 0 or an errno: ENODEV where there is no such device.
int remove_rdma_device(std::string_view name);

/// Whether a network device is up; no value where there is none of that name.
std::optional<bool> is_network_device_up(std::string_view name);
/// Up or down. 0 or an errno.
int set_network_device(std::string_view name, bool up);

}  // namespace cowherd::live
