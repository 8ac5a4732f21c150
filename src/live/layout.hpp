#pragma once

#include <array>
#include <cstdint>

#include "litmus/program.hpp"

namespace cowherd::live {

/// The least that a huge page takes here, and needs as alignment: what one lowest table maps.
inline constexpr std::uint64_t kHugeBytes = std::uint64_t{2} << 20;

/// Where the pages of a test lie, in every process. A page of a test is one of this machine's, 4 KiB; but in a test
/// that has to do with huge pages, transparent ones or those of the hugetlb pool, of which four of the test's pages are
/// one, it is a quarter of a huge page, 512 KiB.
/// What the test does to a word it does to the first page of the quarter, and what it does to pages to all of it.
class Layout {
 public:
  Layout() = default;
  /// `base` is where it may begin, aligned to kHugeBytes.
  Layout(const litmus::Program& program, std::uint64_t base);

  [[nodiscard]] bool huge() const { return page_bytes_ != kSmallBytes; }
  /// Of a page of the test.
  [[nodiscard]] std::uint64_t page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::uint64_t address_of(const litmus::Place& place) const {
    return first_[place.variable] + place.page * page_bytes_ + place.word * sizeof(std::int64_t);
  }

 private:
  static constexpr std::uint64_t kSmallBytes = 4096;

  std::uint64_t page_bytes_ = kSmallBytes;
  std::array<std::uint64_t, litmus::kMaxVariables> first_{};
};

/// Whether the program names transparent huge pages.
bool names_huge_pages(const litmus::Program& program);
/// Whether it has memory of the hugetlb pool, or a file.
bool has_hugetlb(const litmus::Program& program);

}  // namespace cowherd::live
