#pragma once

#include <algorithm>
#include <cstdint>

#include "mm/hugetlb.hpp"
#include "mm/system.hpp"
#include "mm/violation.hpp"

namespace cowherd::mm {

/// The part of verify() that is about the hugetlb pool: pages free and in use are all there are, and a page is promised
/// for each place that may still fault one in.
template <class G>
class HugetlbVerifier {
 public:
  HugetlbVerifier(System<G>& system, Violations& found) : system_(system), found_(found) {}

  /// Counts what is promised to the VMA, whose entries are met later.
  void take_vma(const Vma& vma) {
    if (vma.flags.hugetlb) {
      const bool whole = Tables<G>::covered(vma.pages.begin, 1).begin == vma.pages.begin &&
                         Tables<G>::covered(vma.pages.end, 1).begin == vma.pages.end;
      if (!whole) found_.add(Violation::kVma);
    }
    if (!vma.flags.reserved) return;
    promised_ += static_cast<std::int64_t>(vma.pages.count().value() / Frames<G>::kHugeFrames);
    if (!vma.flags.hugetlb) found_.add(Violation::kReserve);
  }
  /// Counts what is promised to files.
  void take_files() {
    system_.frames().template for_each<File>([&](Ref<File> ref) {
      const File& file = system_.at(ref);
      if (!file.is_hugetlb()) return;
      if (file.size() % Frames<G>::kHugeFrames != 0) found_.add(Violation::kCache);
      for (FilePlace place = next_place(system_.frames(), file, 0); !place.none();
           place = next_place(system_.frames(), file, place.index + 1)) {
        if (place.index % Frames<G>::kHugeFrames != 0) found_.add(Violation::kCache);
        if (!place.slot) continue;
        ++promised_;
        if (place.slot != Promise::kMade || place.index >= file.size()) found_.add(Violation::kReserve);
      }
    });
  }
  /// A huge entry of a hugetlb VMA, whether it maps a page or not.
  void take_entry(const Vma& vma, Entry entry) {
    if (vma.flags.reserved && !keeps_promise(system_, entry)) --promised_;
    const bool of_file = system_.in_pool(entry.frame()) && system_.descriptor(entry.frame()).use() == FrameUse::kFile;
    const bool may_lack = maps_no_hugetlb_page<G>(entry) || (of_file && vma.flags.reserved);
    if (entry.unpromised() && !may_lack) found_.add(Violation::kReserve);
    const bool closed = entry.present() && !entry.user() && !entry.writable();
    if (maps_no_hugetlb_page<G>(entry) && !closed) found_.add(Violation::kPool);
  }

  /// After everybody has taken his share out of the counts.
  void check_pool() {
    if (!system_.has_pool()) return;
    const HugePool& pool = system_.pool();
    if (pool.lock.held() || pool.fault_lock.held()) found_.add(Violation::kLockHeld);
    std::uint32_t free = 0;
    for (std::uint32_t page = 0; page < pool.pages; ++page) {
      const FrameDescriptor& head = system_.descriptor(pool_frame<G>(page));
      if (head.use() == FrameUse::kFree) {
        ++free;
        if (page < pool.lowest) found_.add(Violation::kPool);
      } else if (head.seen() == FrameDescriptor::Seen::kUnseen) {
        found_.add(Violation::kPool);
      }
      if (head.references() != 0) found_.add(Violation::kReferences);
      if (head.mapcount() != 0) found_.add(Violation::kMapcount);
      if (head.pins() != 0) found_.add(Violation::kPins);
      for (std::uint32_t i = 1; i < Frames<G>::kHugeFrames; ++i) {
        const FrameDescriptor& other = system_.descriptor(pool_frame<G>(page) + PageCount{i});
        if (other.use() != FrameUse::kFree || other.references() != 0) found_.add(Violation::kPool);
      }
    }
    if (free != pool.free) found_.add(Violation::kPool);
    if (pool.reserved != promised_ || pool.reserved > pool.free) found_.add(Violation::kReserve);
  }

 private:
  System<G>& system_;
  Violations& found_;
  /// Places that may still fault a page in which is promised to them.
  std::int64_t promised_ = 0;
};

}  // namespace cowherd::mm
