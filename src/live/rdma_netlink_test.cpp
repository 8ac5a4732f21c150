#include "live/rdma_netlink.hpp"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace cowherd::live {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(RdmaNetlink, AMessageIsLaidOutAsTheKernelReadsIt) {
  RdmaMessage message(RDMA_NLDEV_CMD_NEWLINK, NLM_F_ACK);
  message.add(RDMA_NLDEV_ATTR_DEV_NAME, "rxe0").add(RDMA_NLDEV_ATTR_DEV_INDEX, 7u);
  const std::span<const std::byte> bytes = message.bytes();
  nlmsghdr header{};
  ASSERT_GE(bytes.size(), sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_EQ(header.nlmsg_len, bytes.size());
  EXPECT_EQ(bytes.size() % NLA_ALIGNTO, 0u);
  EXPECT_EQ(header.nlmsg_type, RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK));
  EXPECT_EQ(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
  const std::span<const std::byte> attributes = bytes.subspan(sizeof header);
  // The zero byte at its end makes five of four, and the next one begins at a multiple of four.
  EXPECT_EQ(attributes.size(), sizeof(nlattr) + 8 + sizeof(nlattr) + 4);
  const auto name = rdma_attribute(attributes, RDMA_NLDEV_ATTR_DEV_NAME);
  ASSERT_TRUE(name);
  EXPECT_EQ(text_of(*name), std::string("rxe0\0", 5));
  const auto index = rdma_attribute(attributes, RDMA_NLDEV_ATTR_DEV_INDEX);
  ASSERT_TRUE(index);
  EXPECT_EQ(text_of(*index), std::string("\7\0\0\0", 4));
  EXPECT_FALSE(rdma_attribute(attributes, RDMA_NLDEV_ATTR_LINK_TYPE));
}

TEST(RdmaNetlink, WhatIsCutOffIsNotRead) {
  RdmaMessage message(RDMA_NLDEV_CMD_GET, 0);
  message.add(RDMA_NLDEV_ATTR_DEV_NAME, "rxe0");
  const std::span<const std::byte> attributes = message.bytes().subspan(sizeof(nlmsghdr));
  for (std::size_t length = 0; length < sizeof(nlattr) + 5; ++length) {
    EXPECT_FALSE(rdma_attribute(attributes.first(length), RDMA_NLDEV_ATTR_DEV_NAME)) << length;
  }
  EXPECT_TRUE(rdma_attribute(attributes, RDMA_NLDEV_ATTR_DEV_NAME));
}

TEST(RdmaNetlink, WhatIsNotThereIsNotChanged) {
  EXPECT_FALSE(is_network_device_up("no-such-device"));
  EXPECT_EQ(set_network_device("no-such-device", false), ENODEV);
  EXPECT_EQ(remove_rdma_device("no-such-device"), ENODEV);
  EXPECT_EQ(is_network_device_up("lo").has_value(), true);
  // Where there is RDMA the network device is looked for; nothing is made of one that is not there.
  const int error = add_soft_roce("cowherd-test", "no-such-device");
  EXPECT_TRUE(error == ENODEV || error == EPROTONOSUPPORT || error == EPERM) << error;
  EXPECT_EQ(error == EPROTONOSUPPORT, !says_copy_on_fork()) << "both are of a kernel without RDMA";
}

}  // namespace
}  // namespace cowherd::live
