#include "live/page_facts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kernel-page-flags.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

/// The number at place `index` of a file of numbers of 64 bits; 0 where there is none.
std::uint64_t number_at(int file, std::uint64_t index) {
  std::uint64_t number = 0;
  const auto at = static_cast<off_t>(index * sizeof number);
  return file >= 0 && ::pread(file, &number, sizeof number, at) == sizeof number ? number : 0;
}

std::uint64_t number_in(const char* path, std::uint64_t index) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  const std::uint64_t number = number_at(file, index);
  if (file >= 0) ::close(file);
  return number;
}

// PAGEMAP_SCAN as the kernel has it. Compare Linux include/uapi/linux/fs.h.
struct ScanArguments {
  std::uint64_t size;
  std::uint64_t flags;
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t walk_end;
  std::uint64_t regions;
  std::uint64_t region_count;
  std::uint64_t max_pages;
  std::uint64_t category_inverted;
  std::uint64_t category_mask;
  std::uint64_t category_anyof_mask;
  std::uint64_t wanted;
};
struct ScannedRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArguments);
constexpr std::uint64_t kIsPresent = 1u << 3;
constexpr std::uint64_t kIsZero = 1u << 5;
constexpr std::uint64_t kIsHuge = 1u << 6;

/// KPF_MAPPEDTODISK, later KPF_OWNER_2: not among the numbers that programs are given.
constexpr unsigned kMappedToDisk = 34;

bool has_flag(std::uint64_t frame, unsigned flag) { return (number_in("/proc/kpageflags", frame) >> flag & 1u) != 0; }

/// 0: frame numbers are hidden.
std::uint64_t frame_of_a_page_that_is_read() {
  void* const page = ::mmap(nullptr, kPageBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 0;
  // A huge zero page would be another one.
  ::madvise(page, kPageBytes, MADV_NOHUGEPAGE);
  (void)*static_cast<volatile char*>(page);
  const int file = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const std::uint64_t line = number_at(file, reinterpret_cast<std::uint64_t>(page) / kPageBytes);
  if (file >= 0) ::close(file);
  const std::uint64_t frame = (line & kPresent) != 0 ? line & kFrameBits : 0;
  ::munmap(page, kPageBytes);
  return frame;
}

}  // namespace

PageFacts::PageFacts(pid_t process)
    : file_(::open(fmt::format("/proc/{}/pagemap", process).c_str(), O_RDONLY | O_CLOEXEC)) {}

PageFacts::~PageFacts() {
  if (file_ >= 0) ::close(file_);
}

std::optional<std::uint64_t> PageFacts::categories_at(std::uint64_t address) const {
  ScannedRegion region{};
  ScanArguments arguments{};
  arguments.size = sizeof arguments;
  arguments.start = address / kPageBytes * kPageBytes;
  arguments.end = arguments.start + kPageBytes;
  arguments.regions = reinterpret_cast<std::uint64_t>(&region);
  arguments.region_count = 1;
  arguments.wanted = kIsZero | kIsHuge | kIsPresent;
  const int found = ::ioctl(file_, kPagemapScan, &arguments);
  if (found < 0) return std::nullopt;
  return found == 0 ? 0 : region.categories;
}

PageEntry PageFacts::entry_at(std::uint64_t address) const {
  const std::uint64_t line = number_at(file_, address / kPageBytes);
  PageEntry entry;
  entry.present = (line & kPresent) != 0;
  entry.swapped = !entry.present && (line & kSwapped) != 0;
  entry.soft_dirty = (line & kSoftDirty) != 0;
  entry.uffd_wp = (line & kUffdWp) != 0;
  entry.of_file = (line & kOfFile) != 0;
  entry.frame = entry.present ? line & kFrameBits : 0;
  if (const auto categories = categories_at(address); categories) {
    entry.huge = (*categories & kIsHuge) != 0;
    entry.zero = (*categories & kIsZero) != 0;
  }
  entry.zero = entry.zero || (entry.present && is_zero_page(entry.frame));
  return entry;
}

namespace {

/// What a line of /proc/PID/smaps says of the mapping there, behind its first word.
std::optional<std::string> said_of_area(pid_t process, std::uint64_t address, std::string_view word) {
  std::ifstream file(fmt::format("/proc/{}/smaps", process));
  std::string line;
  bool inside = false;
  while (std::getline(file, line)) {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
      inside = from <= address && address < to;
    } else if (inside && line.starts_with(word)) {
      return line.substr(word.size());
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> area_flags(pid_t process, std::uint64_t address) {
  return said_of_area(process, address, "VmFlags:");
}

std::optional<bool> all_or_none_is_huge(pid_t process, std::uint64_t address) {
  const auto kib = [&](std::string_view word) {
    return std::strtoull(said_of_area(process, address, word).value_or("0").c_str(), nullptr, 10);
  };
  const std::uint64_t huge = kib("AnonHugePages:");
  if (huge == 0) return false;
  return huge == kib("Size:") ? std::optional(true) : std::nullopt;
}

std::uint64_t mappings_of(std::uint64_t frame) { return number_in("/proc/kpagecount", frame); }

bool is_zero_page(std::uint64_t frame) {
  // Not by its flag: /proc/kpageflags of User Mode Linux ends before its frames.
  static const std::uint64_t zero = frame_of_a_page_that_is_read();
  // The huge page of zeros is known by its flag alone.
  return frame != 0 && (frame == zero || has_flag(frame, KPF_ZERO_PAGE));
}

bool is_exclusive(std::uint64_t frame) { return has_flag(frame, KPF_ANON) && has_flag(frame, kMappedToDisk); }
bool is_in_swap_cache(std::uint64_t frame) { return has_flag(frame, KPF_SWAPCACHE); }

}  // namespace cowherd::live
