#include "live/page_facts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
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
  const std::uint64_t frame = PageFacts(::getpid()).entry_at(reinterpret_cast<std::uint64_t>(page)).frame;
  ::munmap(page, kPageBytes);
  return frame;
}

}  // namespace

PageFacts::PageFacts(pid_t process)
    : file_(::open(fmt::format("/proc/{}/pagemap", process).c_str(), O_RDONLY | O_CLOEXEC)) {}

PageFacts::~PageFacts() {
  if (file_ >= 0) ::close(file_);
}

PageEntry PageFacts::entry_at(std::uint64_t address) const {
  const std::uint64_t line = number_at(file_, address / kPageBytes);
  PageEntry entry;
  entry.present = (line & kPresent) != 0;
  entry.swapped = !entry.present && (line & kSwapped) != 0;
  entry.soft_dirty = (line & kSoftDirty) != 0;
  entry.of_file = (line & kOfFile) != 0;
  entry.frame = entry.present ? line & kFrameBits : 0;
  return entry;
}

std::optional<std::string> area_flags(pid_t process, std::uint64_t address) {
  std::ifstream file(fmt::format("/proc/{}/smaps", process));
  constexpr std::string_view kFlagsWord = "VmFlags:";
  std::string line;
  bool inside = false;
  while (std::getline(file, line)) {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
      inside = from <= address && address < to;
    } else if (inside && line.starts_with(kFlagsWord)) {
      return line.substr(kFlagsWord.size());
    }
  }
  return std::nullopt;
}

std::uint64_t mappings_of(std::uint64_t frame) { return number_in("/proc/kpagecount", frame); }

bool is_zero_page(std::uint64_t frame) {
  // Not by its flag: /proc/kpageflags of User Mode Linux ends before its frames.
  static const std::uint64_t zero = frame_of_a_page_that_is_read();
  return zero != 0 && frame == zero;
}

bool is_exclusive(std::uint64_t frame) { return has_flag(frame, KPF_ANON) && has_flag(frame, kMappedToDisk); }
bool is_in_swap_cache(std::uint64_t frame) { return has_flag(frame, KPF_SWAPCACHE); }

}  // namespace cowherd::live
