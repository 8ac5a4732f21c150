#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace cowherd::live {

/// One line of /proc/PID/pagemap.
struct PageEntry {
  bool present = false;
  /// What is not present lies in swap.
  bool swapped = false;
  bool soft_dirty = false;
  /// Write-protected by userfaultfd, wherever the page is (Linux 5.13).
  bool uffd_wp = false;
  /// Mapped by a huge entry; where the kernel does not say that of each page (before Linux 6.7), not known.
  std::optional<bool> huge;
  /// Nobody has written it, and it is the page of zeros that all have in common.
  bool zero = false;
  /// A file's, or shared.
  bool of_file = false;
  /// Of a page that is present; 0 without CAP_SYS_ADMIN.
  std::uint64_t frame = 0;

  /// The frame that is mapped there; nothing where none is.
  [[nodiscard]] std::optional<std::uint64_t> mapped() const { return present ? std::optional(frame) : std::nullopt; }
};

/// The page table of a process as /proc/PID/pagemap shows it, and PAGEMAP_SCAN where that is there; frame numbers need
/// CAP_SYS_ADMIN.
class PageFacts {
 public:
  explicit PageFacts(pid_t process);
  PageFacts(const PageFacts&) = delete;
  PageFacts& operator=(const PageFacts&) = delete;
  ~PageFacts();

  [[nodiscard]] PageEntry entry_at(std::uint64_t address) const;
  /// What PAGEMAP_SCAN says of the page, PAGE_IS_*; nothing where that is not there.
  [[nodiscard]] std::optional<std::uint64_t> categories_at(std::uint64_t address) const;

 private:
  int file_;
};

/// VmFlags of the mapping there, as /proc/PID/smaps says ("rd wr mr mw me ac mg"); nothing where none is.
std::optional<std::string> area_flags(pid_t process, std::uint64_t address);

/// Whether the mapping there is huge pages all over (AnonHugePages is its Size) or has none; nothing where it has some.
std::optional<bool> all_or_none_is_huge(pid_t process, std::uint64_t address);

/// How many page-table entries map the frame, as /proc/kpagecount says; 0 where that cannot be read.
std::uint64_t mappings_of(std::uint64_t frame);

/// Whether it is the frame that a page of this program's shows which was read and never written.
bool is_zero_page(std::uint64_t frame);

// As /proc/kpageflags says; false where that cannot be read.

/// Whether an anonymous page belongs to one address space alone. Linux keeps that (PageAnonExclusive) in a flag that
/// has another meaning for pages of files, and shows it under that one's name.
bool is_exclusive(std::uint64_t frame);
bool is_in_swap_cache(std::uint64_t frame);

}  // namespace cowherd::live
