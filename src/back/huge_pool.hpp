#pragma once

#include <cstdint>

#include "base/lock_word.hpp"
#include "cowherd/result.hpp"
#include "frame/frames.hpp"

namespace cowherd {

/// The hugetlb pages of a machine: aligned runs of frames that are set aside when it is made and are never anything
/// else. A page has one descriptor, that of its first frame, as a small page has; those of its other frames say
/// nothing. A free page has no references and no use.
///
/// Some of the free pages are promised (Linux: resv_huge_pages): `reserved` never exceeds `free`. Changes and looks
/// need the pool lock. There are no surplus pages. Compare Linux mm/hugetlb.c: struct hstate.
struct HugePool {
  /// One fault on hugetlb memory at a time: a page is promised to a place, and two faults there would both take one.
  LockWord fault_lock;
  LockWord lock;
  std::uint32_t pages = 0;
  std::uint32_t free = 0;
  std::uint32_t reserved = 0;
  /// No page with a lower number is free.
  std::uint32_t lowest = 0;

  [[nodiscard]] std::uint32_t unreserved() const { return free - reserved; }
};

/// The first frame of page number `page` of the pool, which begins where frame 0, the zero page, leaves room for it.
template <class G>
constexpr FrameNumber pool_frame(std::uint32_t page) {
  return FrameNumber{Frames<G>::kHugeFrames * (page + 1)};
}

/// Frames that the pool needs of a RAM in which nothing else is in use: those in front of it are left to others.
template <class G>
constexpr std::uint32_t frames_for_pool(std::uint32_t pages) {
  return pages == 0 ? 0 : Frames<G>::kHugeFrames * (pages + 1);
}

/// Takes the frames of `pages` pages from a fresh RAM. Precondition: it has them.
template <class G>
void format_pool(Frames<G>& frames, HugePool& pool, std::uint32_t pages);

/// What a page is taken for.
enum class Promised : std::uint8_t {
  /// Nobody was promised it: it has to be one that nobody else was.
  kNo,
  /// A reservation goes with it.
  kYes,
};

/// A free page; its first frame's descriptor is as of a frame that was just allocated. ENOMEM: all free ones are
/// promised.
template <class G>
Result<FrameNumber> take_from_pool(Frames<G>& frames, HugePool& pool, Promised promised);

/// A page that nobody has a reference to goes back; kYes: what it was taken for is promised again.
template <class G>
void give_to_pool(Frames<G>& frames, HugePool& pool, FrameNumber head, Promised promised);

}  // namespace cowherd
