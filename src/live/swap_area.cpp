#include "live/swap_area.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/swap.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

constexpr std::uint64_t kBytes = std::uint64_t{16} << 20;
/// Before all others: the pages of tests go here, wherever else they could.
constexpr int kFlags = SWAP_FLAG_PREFER | (1000 << SWAP_FLAG_PRIO_SHIFT & SWAP_FLAG_PRIO_MASK);

bool has_swap() {
  std::ifstream file("/proc/swaps");
  std::string line;
  std::getline(file, line);
  return static_cast<bool>(std::getline(file, line));
}

/// What mkswap writes: a version, the number of the last page, and at the end of the first page a magic word.
bool write_header(int file) {
  std::array<char, kPageBytes> page{};
  const std::uint32_t words[] = {1, static_cast<std::uint32_t>(kBytes / kPageBytes - 1)};
  constexpr std::string_view kMagic = "SWAPSPACE2";
  std::memcpy(page.data() + 1024, words, sizeof words);
  std::memcpy(page.data() + page.size() - kMagic.size(), kMagic.data(), kMagic.size());
  return ::pwrite(file, page.data(), page.size(), 0) == static_cast<ssize_t>(page.size()) && ::fsync(file) == 0;
}

/// Empty, or why not.
std::string swap_on(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return fmt::format("{}: {}", path, in_words(errno));
  const bool written = write_header(file);
  ::close(file);
  if (!written || ::swapon(path.c_str(), kFlags) != 0) return fmt::format("{}: {}", path, in_words(errno));
  return {};
}

}  // namespace

std::string SwapArea::open(Keeper& keeper) {
  // Two programs that borrow swap would move each other's pages.
  if (std::string problem = keeper.lock("/proc/swaps"); !problem.empty()) return problem;
  if (has_swap()) {
    found_ = "an area of the machine's";
    return {};
  }
  const std::string zram = open_zram(keeper);
  if (zram.empty()) return {};
  const std::string file = open_file(keeper);
  return file.empty() ? std::string() : fmt::format("no swap area; {}; {}", zram, file);
}

std::string SwapArea::open_zram(Keeper& keeper) {
  constexpr const char* kAdd = "/sys/class/zram-control/hot_add";
  std::ifstream add(kAdd);
  int number = -1;
  // Reading it makes a new one.
  if (!(add >> number)) return "no zram";
  const std::string folder = fmt::format("/sys/block/zram{}", number);
  const std::string device = fmt::format("/dev/zram{}", number);
  if (!keeper.later_write("/sys/class/zram-control/hot_remove", std::to_string(number)) ||
      !keeper.later_write(folder + "/reset", "1") || !keeper.later_swapoff(device)) {
    return "no process that puts back what is changed";
  }
  std::ofstream size(folder + "/disksize");
  if (!(size << kBytes).flush()) return fmt::format("{}/disksize cannot be written", folder);
  std::string problem = swap_on(device);
  if (problem.empty()) found_ = fmt::format("zram{}, our own", number);
  return problem;
}

std::string SwapArea::open_file(Keeper& keeper) {
  // Not where temporary files lie, if that is memory.
  std::string path = "/var/tmp/cowherd-swap-XXXXXX";
  const int file = ::mkostemp(path.data(), O_CLOEXEC);
  if (file < 0) return fmt::format("no file: {}", in_words(errno));
  const bool made = keeper.later_remove(path) && keeper.later_swapoff(path) &&
                    ::posix_fallocate(file, 0, static_cast<off_t>(kBytes)) == 0;
  ::close(file);
  if (!made) {
    ::unlink(path.c_str());
    return fmt::format("no file of {} MiB in /var/tmp", kBytes >> 20);
  }
  std::string problem = swap_on(path);
  if (problem.empty()) found_ = "a file, our own";
  return problem;
}

}  // namespace cowherd::live
