#include "live/page_facts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include <string>

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

}  // namespace

PageFacts::PageFacts(pid_t process)
    : file_(::open(fmt::format("/proc/{}/pagemap", process).c_str(), O_RDONLY | O_CLOEXEC)) {}

PageFacts::~PageFacts() {
  if (file_ >= 0) ::close(file_);
}

std::optional<std::uint64_t> PageFacts::frame_at(std::uint64_t address) const {
  const std::uint64_t entry = number_at(file_, address / kPageBytes);
  if ((entry & kPresent) == 0) return std::nullopt;
  return entry & kFrameBits;
}

std::uint64_t mappings_of(std::uint64_t frame) { return number_in("/proc/kpagecount", frame); }

bool is_zero_page(std::uint64_t frame) { return (number_in("/proc/kpageflags", frame) >> KPF_ZERO_PAGE & 1u) != 0; }

}  // namespace cowherd::live
