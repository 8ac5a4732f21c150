#include "live/soft_roce.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "live/play_test.hpp"
#include "live/rdma_netlink.hpp"

namespace cowherd::live {
namespace {

namespace fs = std::filesystem;

/// A /sys/class of our own, gone with this object.
class Classes {
 public:
  Classes() { fs::create_directories(root() / "sys/class/infiniband"); }
  Classes(const Classes&) = delete;
  Classes& operator=(const Classes&) = delete;
  ~Classes() { fs::remove_all(root()); }

  void write(const std::string& path, const std::string& line) const {
    const fs::path file = root() / "sys/class" / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << line << '\n';
  }
  [[nodiscard]] fs::path root() const {
    return fs::temp_directory_path() / ("cowherd-classes-" + std::to_string(::getpid()));
  }
};

TEST(SoftRoce, AnAddressIsReadAsItIsWritten) {
  const auto gid = gid_of("fe80:0000:0000:0000:0000:ffff:7f00:0001");
  ASSERT_TRUE(gid);
  EXPECT_EQ(*gid, (Gid{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x7f, 0, 0, 1}));
  for (const char* const wrong :
       {"", "fe80::1", "fe80:0000:0000:0000:0000:ffff:7f00:000g", "fe80:0000:0000:0000:0000:ffff:7f00:00011"}) {
    EXPECT_FALSE(gid_of(wrong)) << wrong;
  }
}

TEST(SoftRoce, TheFirstOneThatCanBeUsedIsFound) {
  const Classes classes;
  const std::string root = classes.root().string();
  EXPECT_NE(find_soft_roce(root).problem.find("no soft-RoCE"), std::string::npos);
  // A card: no network device is its parent by that name.
  classes.write("infiniband/mlx5_0/ports/1/gids/0", "0000:0000:0000:0000:0000:ffff:0a00:0001");
  classes.write("infiniband_verbs/uverbs0/ibdev", "mlx5_0");
  EXPECT_FALSE(find_soft_roce(root).device);
  classes.write("infiniband/rxe0/parent", "eth0");
  EXPECT_NE(find_soft_roce(root).problem.find("ib_uverbs"), std::string::npos);
  classes.write("infiniband_verbs/uverbs1/ibdev", "rxe0");
  classes.write("infiniband/rxe0/ports/1/gids/0", "0000:0000:0000:0000:0000:0000:0000:0000");
  EXPECT_EQ(find_soft_roce(root).problem, "rxe0 has no address: eth0 is down");
  classes.write("infiniband/rxe0/ports/1/gids/1", "fe80:0000:0000:0000:0000:0000:0000:0001");
  FoundSoftRoce found = find_soft_roce(root);
  ASSERT_TRUE(found.device) << found.problem;
  EXPECT_EQ(found.device->gid_index, 1);
  classes.write("infiniband/rxe0/ports/1/gids/3", "0000:0000:0000:0000:0000:ffff:7f00:0001");
  found = find_soft_roce(root);
  ASSERT_TRUE(found.device);
  EXPECT_EQ(found.device->gid_index, 3) << "the one of IPv4";
  EXPECT_EQ(found.device->name, "rxe0");
  EXPECT_EQ(found.device->file, "/dev/infiniband/uverbs1");
  EXPECT_EQ(found.device->network_device, "eth0");
}

TEST(SoftRoce, OurOwnIsGoneAtTheEnd) {
  // What the tests before this one made serves the tests after it.
  (void)shared_offers();
  shared_work().put_back();
  const std::optional<bool> was_up = is_network_device_up("lo");
  const bool had_one = find_soft_roce().device.has_value();
  {
    Keeper keeper;
    SoftRoce soft_roce;
    if (const std::string problem = soft_roce.open(keeper); !problem.empty()) GTEST_SKIP() << problem;
    EXPECT_TRUE(find_soft_roce().device) << soft_roce.found();
  }
  EXPECT_EQ(find_soft_roce().device.has_value(), had_one);
  EXPECT_EQ(is_network_device_up("lo"), was_up);
}

}  // namespace
}  // namespace cowherd::live
