#pragma once

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// For those who begin with an address, and do something to its page wherever it is mapped, without an mmap lock.

/// The place of the entry for `page`, which a reverse map leads to. The lock of the page's anon_vma keeps the tables.
template <class G>
typename Tables<G>::Walk walk_by_rmap(System<G>& system, Mm& mm, Vpn page) {
  if constexpr (!G::kExplored) {
    const typename WalkerSlots<G>::Inside inside(system.walker_slots(), system.ref(mm).unit, page, WalkerKind::kGup);
    return system.tables(mm).walk_to(page);
  } else {
    return system.tables(mm).walk_to(page);
  }
}

/// Calls `visit(area, page)` for every place where the anonymous page may be mapped, those of older VMAs first: what a
/// fork copies from one to the next meanwhile is met at the next. The lock of its anon_vma is held.
template <class G, class Visit>
void for_each_place(System<G>& system, FrameNumber frame, Visit&& visit) {
  const FrameDescriptor& descriptor = system.descriptor(frame);
  const Ref<AnonVma> anon_vma{descriptor.owner()};
  Ref<AnonVmaChain> chain = anon_vma ? system.at(anon_vma).first : Ref<AnonVmaChain>{};
  // A child's VMA comes to the front, its parent's is behind it.
  while (chain && system.at(chain).next_of_anon_vma && !COWHERD_MUTANT(rmap_children_first)) {
    chain = system.at(chain).next_of_anon_vma;
  }
  const Live live(system, "for-each-place", chain);
  while (chain) {
    const Vma& area = system.at(system.at(chain).vma);
    const Vpn index = descriptor.index();
    if (index >= area.index && index - area.index < PageCount{area.pages.count()}) {
      visit(area, area.pages.begin + (index - area.index));
    }
    chain =
        COWHERD_MUTANT(rmap_children_first) ? system.at(chain).next_of_anon_vma : system.at(chain).previous_of_anon_vma;
  }
}

/// Keeps the lists of reverse maps that a VMA is on from going away, once the mmap lock is dropped: a VMA without pages
/// that is on all of them.
template <class G>
class ListsHeld {
 public:
  /// ENOMEM.
  static Result<Ref<Vma>> hold(System<G>& system, Mm& mm, Ref<Vma> vma) {
    COWHERD_TRY_ASSIGN(made, system.frames().template make<Vma>());
    system.at(made).mm = system.ref(mm);
    const Live live(system, "hold-lists", made);
    const AnonVmaGuard<G> guard(system, mm, vma);
    if (auto linked = anon_vma_clone(system.frames(), made, vma); !linked) {
      system.frames().destroy(made);
      return linked.error();
    }
    return made;
  }
  static void drop(System<G>& system, Mm& mm, Ref<Vma> held) {
    {
      const AnonVmaGuard<G> guard(system, mm, held);
      unlink_anon_vmas(system.frames(), held);
    }
    free_unlinked(system.frames(), held);
    system.frames().destroy(held);
  }
};

/// The page at an address, with a reference, and what keeps the way to all who map it.
struct FoundPage {
  FrameNumber frame;
  Ref<Vma> lists;
};

/// EFAULT: no anonymous page is there. EBUSY: a merged one is. EAGAIN: its tables have to become the own ones first.
/// `locked_by_other`, if given: the page comes with its lock, which whoever has none does not take a reference for;
/// EBUSY, and the page there, where somebody else has it.
template <class G>
Result<FrameNumber> look_for_page(System<G>& system, Mm& mm, Vpn page, FrameNumber* locked_by_other) {
  const auto walk = system.tables(mm).walk_to(page);
  if (!walk.slot) return Errno::kFault;
  // A hugetlb page stays where it is.
  if (walk.huge && is_of_hugetlb(system, walk.slot.load())) return Errno::kBusy;
  if (walk.shared) return Errno::kAgain;
  const PageTableGuard<G> guard(system, mm, walk.slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  const Entry entry = take_back(system, mm, walk.slot, walk.slot.load());
  if (!entry.present() || entry.frame() == Frames<G>::kZeroPage) return Errno::kFault;
  const FrameUse use = system.descriptor(entry.frame()).use();
  // No reverse map leads to all who have a merged page.
  if (use != FrameUse::kAnon) return use == FrameUse::kKsm ? Errno::kBusy : Errno::kFault;
  point(system, Point::kTakeReference);
  if (locked_by_other != nullptr && !try_lock_page_of(system, entry.frame())) {
    *locked_by_other = entry.frame();
    return Errno::kBusy;
  }
  system.descriptor(entry.frame()).add_references(1);
  return entry.frame();
}

/// As look_for_page(), and ENOMEM.
template <class G>
Result<FoundPage> find_page_locked(System<G>& system, Mm& mm, Vpn page, FrameNumber* locked_by_other) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma) return Errno::kFault;
  COWHERD_TRY_ASSIGN(frame, look_for_page(system, mm, page, locked_by_other));
  const Live live(system, "find", frame);
  auto lists = ListsHeld<G>::hold(system, mm, vma);
  if (!lists) {
    if (locked_by_other != nullptr) unlock_page_of(system, frame);
    put_page(system, frame);
    return lists.error();
  }
  return FoundPage{frame, *lists};
}

/// The anonymous page at `page`; the caller holds no lock. EFAULT, EBUSY, ENOMEM, kWouldBlock.
template <class G>
Result<FoundPage> find_page_by_address(System<G>& system, Mm& mm, Vpn page, FrameNumber* locked_by_other = nullptr) {
  while (true) {
    auto found = find_page_locked(system, mm, page, locked_by_other);
    if (found || found.error() != Errno::kAgain) return found;
    COWHERD_TRY(lock_and_own_tables(system, mm, page));
  }
}

}  // namespace cowherd::mm
