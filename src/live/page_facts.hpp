#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace cowherd::live {

/// The page table of a process as /proc/PID/pagemap shows it; frame numbers need CAP_SYS_ADMIN.
class PageFacts {
 public:
  explicit PageFacts(pid_t process);
  PageFacts(const PageFacts&) = delete;
  PageFacts& operator=(const PageFacts&) = delete;
  ~PageFacts();

  /// The frame that is mapped there; nothing where none is.
  [[nodiscard]] std::optional<std::uint64_t> frame_at(std::uint64_t address) const;

 private:
  int file_;
};

/// How many page-table entries map the frame, as /proc/kpagecount says; 0 where that cannot be read.
std::uint64_t mappings_of(std::uint64_t frame);
/// As /proc/kpageflags says.
bool is_zero_page(std::uint64_t frame);

}  // namespace cowherd::live
