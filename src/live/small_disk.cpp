#include "live/small_disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "live/host.hpp"
#include "live/loop_device.hpp"

namespace cowherd::live {
namespace {

// An empty file system of one group. Compare Linux Documentation/filesystems/ext2.rst.
constexpr std::uint32_t kBlocks = 1024;
constexpr std::uint32_t kInodes = 128;
constexpr std::uint32_t kInodeBytes = 128;
constexpr std::uint32_t kReservedInodes = 10;
constexpr std::uint32_t kRootInode = 2;
constexpr std::uint32_t kDescriptors = 1;
constexpr std::uint32_t kBlockBitmap = 2;
constexpr std::uint32_t kInodeBitmap = 3;
constexpr std::uint32_t kInodeTable = 4;
constexpr std::uint32_t kRootFolder = kInodeTable + kInodes * kInodeBytes / kPageBytes;
constexpr std::uint32_t kUsedBlocks = kRootFolder + 1;

using Block = std::array<unsigned char, kPageBytes>;

template <class Number>
void put(Block& block, std::size_t at, Number number) {
  std::memcpy(block.data() + at, &number, sizeof number);
}

Block superblock() {
  Block block{};
  constexpr std::size_t kAt = 1024;
  const struct {
    std::size_t at;
    std::uint32_t number;
  } words[] = {{0, kInodes},       {4, kBlocks}, {12, kBlocks - kUsedBlocks}, {16, kInodes - kReservedInodes},
               {24, 2 /* 4096 */}, {28, 2},      {32, 8 * kPageBytes},        {36, 8 * kPageBytes},
               {40, kInodes},      {76, 1},      {84, kReservedInodes + 1}};
  for (const auto& word : words) put(block, kAt + word.at, word.number);
  put(block, kAt + 54, std::uint16_t{0xffff});  // never to be checked
  put(block, kAt + 56, std::uint16_t{0xef53});
  put(block, kAt + 58, std::uint16_t{1});  // clean
  put(block, kAt + 60, std::uint16_t{1});
  put(block, kAt + 88, static_cast<std::uint16_t>(kInodeBytes));
  return block;
}

Block descriptors() {
  Block block{};
  put(block, 0, kBlockBitmap);
  put(block, 4, kInodeBitmap);
  put(block, 8, kInodeTable);
  put(block, 12, static_cast<std::uint16_t>(kBlocks - kUsedBlocks));
  put(block, 14, static_cast<std::uint16_t>(kInodes - kReservedInodes));
  put(block, 16, std::uint16_t{1});
  return block;
}

/// The first `used` are taken, and those from `count` on are not there.
Block bitmap(std::uint32_t used, std::uint32_t count) {
  Block block{};
  for (std::uint32_t bit = 0; bit < 8 * kPageBytes; ++bit) {
    if (bit < used || bit >= count) block[bit / 8] = static_cast<unsigned char>(block[bit / 8] | 1u << bit % 8);
  }
  return block;
}

Block inodes() {
  Block block{};
  constexpr std::size_t kAt = (kRootInode - 1) * kInodeBytes;
  put(block, kAt, static_cast<std::uint16_t>(S_IFDIR | 0700));
  put(block, kAt + 4, static_cast<std::uint32_t>(kPageBytes));
  put(block, kAt + 26, std::uint16_t{2});                              // links
  put(block, kAt + 28, static_cast<std::uint32_t>(kPageBytes / 512));  // sectors
  put(block, kAt + 40, kRootFolder);
  return block;
}

Block root_folder() {
  Block block{};
  put(block, 0, kRootInode);
  put(block, 4, std::uint16_t{12});
  put(block, 6, std::uint16_t{1});
  block[8] = '.';
  put(block, 12, kRootInode);
  put(block, 16, static_cast<std::uint16_t>(kPageBytes - 12));
  put(block, 18, std::uint16_t{2});
  block[20] = block[21] = '.';
  return block;
}

bool format(int file) {
  const std::pair<std::uint32_t, Block> blocks[] = {{0, superblock()},
                                                    {kDescriptors, descriptors()},
                                                    {kBlockBitmap, bitmap(kUsedBlocks, kBlocks)},
                                                    {kInodeBitmap, bitmap(kReservedInodes, kInodes)},
                                                    {kInodeTable, inodes()},
                                                    {kRootFolder, root_folder()}};
  bool good = ::ftruncate(file, static_cast<off_t>(kBlocks * kPageBytes)) == 0;
  for (const auto& [number, block] : blocks) {
    good = good && ::pwrite(file, block.data(), block.size(), static_cast<off_t>(number * kPageBytes)) ==
                       static_cast<ssize_t>(block.size());
  }
  return good;
}

/// Where on the disk the page at `offset` of a file lies; 0: nowhere, so that it reads as zeros.
bool find_on_disk(int file, std::uint64_t offset, std::uint64_t& at) {
  alignas(fiemap) std::array<char, sizeof(fiemap) + sizeof(fiemap_extent)> room{};
  auto* const map = reinterpret_cast<fiemap*>(room.data());
  map->fm_start = offset;
  map->fm_length = kPageBytes;
  map->fm_extent_count = 1;
  at = 0;
  if (::ioctl(file, FS_IOC_FIEMAP, map) != 0) return false;
  if (map->fm_mapped_extents == 0) return true;
  const fiemap_extent& extent = map->fm_extents[0];
  constexpr std::uint32_t kNowhereYet = FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_DELALLOC;
  if ((extent.fe_flags & kNowhereYet) != 0 || extent.fe_logical > offset) return true;
  at = extent.fe_physical + (offset - extent.fe_logical);
  return true;
}

}  // namespace

std::string SmallDisk::open() {
  blocks_ = static_cast<int>(::syscall(SYS_memfd_create, "cowherd-disk", FD_CLOEXEC));
  if (blocks_ < 0 || !format(blocks_)) return "no memory for a disk: " + in_words(errno);
  LoopDevice device = attach_loop_device(blocks_, kPageBytes, O_RDWR | O_CLOEXEC, 0);
  if (device.descriptor < 0) return device.trouble;
  device_ = device.descriptor;
  const std::string path = fmt::format("/dev/loop{}", device.number);
  return mount(path);
}

/// Not by ext2: what is written has no block there before it goes to the disk, and so not what a block held before.
std::string SmallDisk::mount(const std::string& device) {
  const int context = static_cast<int>(::syscall(SYS_fsopen, "ext4", FSOPEN_CLOEXEC));
  if (context < 0) return "no ext4: " + in_words(errno);
  const bool made = ::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", device.c_str(), 0) == 0 &&
                    ::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0) == 0;
  if (made) mount_ = static_cast<int>(::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOATIME));
  std::string problem = mount_ >= 0 ? std::string() : "no ext4: " + in_words(errno);
  ::close(context);
  return problem;
}

void SmallDisk::close() {
  for (int* const end : {&mount_, &device_, &blocks_}) {
    if (*end >= 0) ::close(*end);
    *end = -1;
  }
}

int SmallDisk::new_file() const { return ::openat(mount_, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600); }

Reply SmallDisk::word_on_disk(int file, std::uint64_t offset) const {
  std::uint64_t at = 0;
  const std::uint64_t in_page = offset % kPageBytes;
  if (!find_on_disk(file, offset - in_page, at)) return {0, errno};
  std::int64_t word = 0;
  if (at == 0) return {};
  const auto there = static_cast<off_t>(at + in_page);
  if (::pread(blocks_, &word, sizeof word, there) != sizeof word) return {0, errno == 0 ? EIO : errno};
  return {word, 0};
}

}  // namespace cowherd::live
