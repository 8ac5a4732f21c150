#include "live/second_mapping.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include "live/host.hpp"
#include "live/spelling.hpp"

namespace cowherd::live {

SecondMapping::SecondMapping(pid_t process, std::uint64_t address) {
  std::ifstream areas(fmt::format("/proc/{}/maps", process));
  for (std::string line; std::getline(areas, line);) {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t offset = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*4s %" SCNx64, &from, &to, &offset) != 3) continue;
    if (address < from || to <= address) continue;
    found_ = true;
    offset_ = static_cast<off_t>(offset + address / kPageBytes * kPageBytes - from);
    file_ = ::open(fmt::format("/proc/{}/map_files/{:x}-{:x}", process, from, to).c_str(), O_RDWR | O_CLOEXEC);
    if (file_ >= 0) page_ = ::mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, file_, offset_);
    return;
  }
}

SecondMapping::~SecondMapping() {
  if (page_ != MAP_FAILED) ::munmap(page_, kPageBytes);
  if (file_ >= 0) ::close(file_);
}

bool SecondMapping::has_page() const { return ::lseek(file_, offset_, SEEK_DATA) == offset_; }

bool SecondMapping::in_core() const {
  unsigned char page = 0;
  return ::mincore(page_, kPageBytes, &page) == 0 && (page & 1) != 0;
}

bool SecondMapping::bring_in() const {
  char byte = 0;
  return ::pread(file_, &byte, 1, offset_) == 1;
}

std::optional<std::uint64_t> SecondMapping::show() const {
  if (::madvise(page_, kPageBytes, advice_of(Advice::kPopulateRead)) != 0) return std::nullopt;
  return entry().mapped();
}

bool SecondMapping::page_out() const {
  ::madvise(page_, kPageBytes, advice_of(Advice::kPageOut));
  if (entry().present) return false;
  for (unsigned tries = 0; tries < kMillisecondsToLeave; ++tries) {
    if (!in_core()) return true;
    ::usleep(1000);
  }
  return false;
}

PageEntry SecondMapping::entry() const {
  return PageFacts(::getpid()).entry_at(reinterpret_cast<std::uint64_t>(page_));
}

}  // namespace cowherd::live
