#include "live/rdma_netlink.hpp"

#include <linux/netlink.h>
#include <net/if.h>
#include <rdma/rdma_netlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

namespace cowherd::live {
namespace {

constexpr timeval kAnswerPatience{5, 0};
constexpr std::size_t kAnswerBytes = 16384;

constexpr std::size_t padded(std::size_t length) { return NLA_ALIGN(length); }

template <class T>
T read_as(std::span<const std::byte> bytes) {
  T value{};
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Without the zero byte at its end.
std::string text_of(std::span<const std::byte> bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

using Visit = std::function<void(std::span<const std::byte> attributes)>;

/// Messages of one answer. Nothing: there is more to come; else 0 or an errno.
std::optional<int> read_answer(std::span<const std::byte> answer, const Visit& visit) {
  while (answer.size() >= sizeof(nlmsghdr)) {
    const auto header = read_as<nlmsghdr>(answer);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > answer.size()) return EBADMSG;
    const std::span<const std::byte> body = answer.subspan(sizeof header, header.nlmsg_len - sizeof header);
    // Of an error, the number comes first; 0 acknowledges.
    if (header.nlmsg_type == NLMSG_ERROR) return -read_as<std::int32_t>(body);
    if (header.nlmsg_type == NLMSG_DONE) return 0;
    visit(body);
    answer = answer.subspan(std::min(answer.size(), std::size_t{NLMSG_ALIGN(header.nlmsg_len)}));
  }
  return std::nullopt;
}

/// 0 or an errno.
int talk(const RdmaMessage& message, const Visit& visit) {
  const int line = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
  if (line < 0) return errno;
  ::setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &kAnswerPatience, sizeof kAnswerPatience);
  const std::span<const std::byte> bytes = message.bytes();
  std::optional<int> error;
  if (::send(line, bytes.data(), bytes.size(), 0) < 0) error = errno;
  std::vector<std::byte> answer(kAnswerBytes);
  while (!error) {
    const ssize_t got = ::recv(line, answer.data(), answer.size(), 0);
    if (got > 0) {
      error = read_answer(std::span(answer).first(static_cast<std::size_t>(got)), visit);
    } else if (got == 0 || errno != EINTR) {
      error = got == 0 ? EBADMSG : errno;
    }
  }
  ::close(line);
  return *error;
}

/// Its number, by which it is told from others.
std::optional<std::uint32_t> number_of(std::string_view name) {
  std::optional<std::uint32_t> number;
  talk(RdmaMessage(RDMA_NLDEV_CMD_GET, NLM_F_DUMP), [&](std::span<const std::byte> attributes) {
    const auto called = rdma_attribute(attributes, RDMA_NLDEV_ATTR_DEV_NAME);
    const auto index = rdma_attribute(attributes, RDMA_NLDEV_ATTR_DEV_INDEX);
    if (called && index && text_of(*called) == name) number = read_as<std::uint32_t>(*index);
  });
  return number;
}

}  // namespace

RdmaMessage::RdmaMessage(std::uint16_t command, std::uint16_t flags) : bytes_(sizeof(nlmsghdr)) {
  nlmsghdr header{};
  header.nlmsg_len = sizeof header;
  header.nlmsg_type = static_cast<std::uint16_t>(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command));
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  std::memcpy(bytes_.data(), &header, sizeof header);
}

RdmaMessage& RdmaMessage::add(std::uint16_t attribute, std::string_view text) {
  const std::string with_zero(text);
  append(attribute, with_zero.c_str(), with_zero.size() + 1);
  return *this;
}

RdmaMessage& RdmaMessage::add(std::uint16_t attribute, std::uint32_t number) {
  append(attribute, &number, sizeof number);
  return *this;
}

void RdmaMessage::append(std::uint16_t attribute, const void* from, std::size_t length) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + length), attribute};
  const std::size_t at = bytes_.size();
  bytes_.resize(at + sizeof header + padded(length));
  std::memcpy(bytes_.data() + at, &header, sizeof header);
  std::memcpy(bytes_.data() + at + sizeof header, from, length);
  const auto total = static_cast<std::uint32_t>(bytes_.size());
  std::memcpy(bytes_.data(), &total, sizeof total);
}

std::optional<std::span<const std::byte>> rdma_attribute(std::span<const std::byte> attributes, std::uint16_t wanted) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto header = read_as<nlattr>(attributes);
    if (header.nla_len < sizeof header || header.nla_len > attributes.size()) break;
    if ((header.nla_type & NLA_TYPE_MASK) == wanted) {
      return attributes.subspan(sizeof header, header.nla_len - sizeof header);
    }
    attributes = attributes.subspan(std::min(attributes.size(), padded(header.nla_len)));
  }
  return std::nullopt;
}

std::optional<bool> says_copy_on_fork() {
  bool says = false;
  const int error = talk(RdmaMessage(RDMA_NLDEV_CMD_SYS_GET, NLM_F_ACK), [&](std::span<const std::byte> attributes) {
    const auto value = rdma_attribute(attributes, RDMA_NLDEV_SYS_ATTR_COPY_ON_FORK);
    says = value && read_as<std::uint8_t>(*value) != 0;
  });
  return error == 0 ? std::optional(says) : std::nullopt;
}

int add_soft_roce(std::string_view name, std::string_view network_device) {
  RdmaMessage message(RDMA_NLDEV_CMD_NEWLINK, NLM_F_ACK);
  message.add(RDMA_NLDEV_ATTR_DEV_NAME, name)
      .add(RDMA_NLDEV_ATTR_LINK_TYPE, "rxe")
      .add(RDMA_NLDEV_ATTR_NDEV_NAME, network_device);
  return talk(message, [](std::span<const std::byte>) {});
}

int remove_rdma_device(std::string_view name) {
  const std::optional<std::uint32_t> number = number_of(name);
  if (!number) return ENODEV;
  RdmaMessage message(RDMA_NLDEV_CMD_DELLINK, NLM_F_ACK);
  message.add(RDMA_NLDEV_ATTR_DEV_INDEX, *number);
  return talk(message, [](std::span<const std::byte>) {});
}

namespace {

/// SIOCGIFFLAGS or SIOCSIFFLAGS. 0 or an errno.
int flags_of_device(std::string_view name, unsigned long which, short& flags) {
  const int line = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (line < 0) return errno;
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = flags;
  const int error = ::ioctl(line, which, &request) == 0 ? 0 : errno;
  flags = request.ifr_flags;
  ::close(line);
  return error;
}

}  // namespace

std::optional<bool> is_network_device_up(std::string_view name) {
  short flags = 0;
  if (flags_of_device(name, SIOCGIFFLAGS, flags) != 0) return std::nullopt;
  return (flags & IFF_UP) != 0;
}

int set_network_device(std::string_view name, bool up) {
  short flags = 0;
  if (const int error = flags_of_device(name, SIOCGIFFLAGS, flags); error != 0) return error;
  flags = static_cast<short>(up ? flags | IFF_UP : flags & ~IFF_UP);
  return flags_of_device(name, SIOCSIFFLAGS, flags);
}

}  // namespace cowherd::live
