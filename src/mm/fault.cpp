#include "mm/fault.hpp"

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/files.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/huge.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/migrate.hpp"
#include "mm/numa.hpp"
#include "mm/page.hpp"
#include "mm/swap_fault.hpp"
#include "mm/userfault.hpp"
#include "mm/write_protect_fault.hpp"

namespace cowherd::mm {

namespace {

/// A page that was never touched; `slot` is the place of its entry, or null. Compare Linux mm/memory.c:
/// do_anonymous_page().
template <class G>
Result<void> fault_anonymous_page(System<G>& system, Mm& mm, Ref<Vma> vma_ref, Vpn page, FaultKind kind, EntrySlot slot,
                                  std::size_t near) {
  FrameNumber frame = Frames<G>::kZeroPage;
  if (kind == FaultKind::kWrite) {
    COWHERD_TRY_ASSIGN(allocated, allocate_page_for(system, system.at(vma_ref)));
    frame = allocated;
    if (!COWHERD_MUTANT(new_page_not_zeroed)) clear_page(system, frame, near != kOneOfMany);
  }
  const Live live(system, "fault-anonymous-page", frame);
  const auto give_up = [&] {
    if (frame != Frames<G>::kZeroPage && !COWHERD_MUTANT(given_up_page_leaked)) system.frames().free(frame);
  };
  if (!slot) {
    auto made = make_slot(system, mm, page);
    if (!made) {
      give_up();
      return made.error();
    }
    slot = *made;
    if (!slot) {
      give_up();
      return {};
    }
  }
  PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) {
    give_up();
    return would_block(system, Point::kPageTableLock);
  }
  const Entry there = slot.load();
  if (!there.is_empty() && !COWHERD_MUTANT(anonymous_recheck_dropped)) {
    // Another thread was faster:
    //
    //   fault                                another fault on the page
    //   read the entry: none
    //                                        lock, set the entry, unlock
    //                                        store through it
    //   lock, set the entry to a page of its own
    //
    // and the store would be lost. Allowed because the entry is looked at again here.
    guard.release();
    give_up();
    return {};
  }
  const Vma& vma = system.at(vma_ref);
  if (frame != Frames<G>::kZeroPage) {
    add_new_anon_page(system, frame, vma, page);
    add_rss(system, slot, 1);
  }
  point(system, mm, Point::kSetEntry);
  const Entry made = make_entry(frame, vma, frame != Frames<G>::kZeroPage);
  if (there.none()) [[likely]] {
    guard.set(slot, made);
  } else {
    // What was there is counted already.
    slot.store(in_place_of(there, vma, made));
  }
  system.note({.kind = frame == Frames<G>::kZeroPage ? EventKind::kZeroPageMapped : EventKind::kZeroFilled,
               .page = page,
               .frame = frame});
  return {};
}

/// Whoever faults in many pages goes over a range: the descriptors of those to come, and the first bytes of the one
/// that is copied next, may be far away. `slot` is the place of the entry for `page`.
template <class G>
void prefetch_pages_after(System<G>& system, EntrySlot slot, Vpn page) {
  if constexpr (!G::kExplored) {
    constexpr PageCount kDescriptorsAhead{4};
    constexpr PageCount kBytesAhead{1};
    const Vpn end = Tables<G>::table_end(page);
    if (page + kDescriptorsAhead >= end) return;
    const Entry later = slot.after(kDescriptorsAhead.value()).load();
    if (later.present()) prefetch_page(system, later.frame(), kOneOfMany);
    const Entry next = slot.after(kBytesAhead.value()).load();
    const bool copied = next.present() && !next.writable() && system.descriptor(next.frame()).references() > 1;
    if (copied) prefetch_start(system, next.frame());
  }
}

}  // namespace

namespace {

/// In memory of MADV_HUGEPAGE: maps more than the one page, as the machine is made. False: the caller maps a small one.
template <class G>
Result<bool> fault_large(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, bool write, EntrySlot slot)
    COWHERD_REQUIRES(mm.mmap_lock) {
  if (system.folio_order() != 0) {
    if (!write) return false;
    return fault_folio(system, mm, vma, page, slot);
  }
  if (slot) return false;
  // Whoever writes to the huge zero page may get a copy of the whole, with no place to prepare this.
  COWHERD_TRY(prepare_anon_vma(system, mm, vma));
  return fault_huge(system, mm, vma, page, write);
}

}  // namespace

/// Two faults may find that a VMA has no anon_vma yet: both make one, and the first to take the lock hangs its own in.
///
template <class G>
Result<void> prepare_anon_vma(System<G>& system, Mm& mm, Ref<Vma> vma) {
  if (system.at(vma).own_anon_vma()) {
    return {};
  }
  COWHERD_TRY_ASSIGN(fresh, make_anon_vma(system.frames()));
  const Live live(system, "prepare-anon-vma", fresh);
  bool used = false;
  {
    const UpperTableGuard<G> guard(system, mm);
    if (!guard.blocked() && !system.at(vma).own_anon_vma()) {
      adopt_fresh(system.frames(), vma, fresh);
      used = true;
    }
  }
  if (!used && !COWHERD_MUTANT(unused_anon_vma_leaked)) {
    destroy_fresh(system.frames(), fresh);
  }
  return {};
}

template <class G>
Result<EntrySlot> make_slot(System<G>& system, Mm& mm, Vpn page) {
  auto tables = system.tables(mm);
  typename Tables<G>::Missing missing(system.frames());
  COWHERD_TRY(tables.reserve(page, missing));
  const Live live(system, "make-slot", missing.frames(), missing.count());
  const UpperTableGuard<G> guard(system, mm);
  if (guard.blocked()) {
    return would_block(system, Point::kPageTableLock);
  }
  return tables.install(page, missing, [&] { point(system, mm, Point::kSetEntry); });
}

template <class G>
Result<Faulted> handle_fault(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, std::size_t near) {
  if (stuck(mm)) {
    return would_block(system, Point::kPageTableLock);
  }
  point(system, mm, Point::kReadEntry);
  if (system.at(vma).flags.hugetlb) [[unlikely]] {
    if (!system.at(vma).flags.shared) COWHERD_TRY(prepare_anon_vma(system, mm, vma));
    return fault_hugetlb(system, mm, vma, page, kind);
  }
  const auto walk = system.tables(mm).walk_to(page);
  const Entry entry = walk.load();
  const bool hint = is_hint(entry, system.at(vma));
  if (entry.present() && !hint && (kind == FaultKind::kRead || entry.writable())) {
    if constexpr (G::kExplored) {
      // The access failed on what its CPU remembers.
      if (system.scheduler() != nullptr) system.scheduler()->forget_own_translation(system.ref(mm).unit, page);
    }
    return Faulted::kRetry;
  }
  if (walk.shared) {
    return Faulted::kSharedTable;
  }
  if (entry.swap()) [[unlikely]] {
    return fault_swapped(system, mm, vma, page, kind, walk.slot, entry);
  }
  const Live live(system, "handle-fault", page, kind, entry);
  if (entry.migration()) [[unlikely]] {
    return wait_for_migration(system, walk.slot, entry);
  }
  if (entry.poison()) [[unlikely]] {
    return Errno::kHwPoison;
  }
  if (entry.on_device()) [[unlikely]] {
    return fault_on_device(system, mm, walk.slot);
  }
  if (hint) {
    COWHERD_TRY(fault_on_hint(system, mm, system.at(vma), walk.slot, entry));
    return Faulted::kGaveWay;
  }
  if (!entry.present() && system.at(vma).flags.uffd != UffdFlags::kNone) [[unlikely]] {
    if (is_userfault(system, system.at(vma), page, entry, kind)) return asks_for(kind);
  }
  if (system.at(vma).mapping) {
    const bool shared = system.at(vma).flags.shared;
    if (!shared && kind != FaultKind::kRead) COWHERD_TRY(prepare_anon_vma(system, mm, vma));
    if (shared && entry.uffd_wp() && entry.present()) [[unlikely]] {
      return fault_marked(system, mm, vma, page, kind, walk.slot);
    }
    // A private page that is there is replaced like any other.
    if (shared || !entry.present()) return fault_file(system, mm, vma, page, kind, walk.slot, entry);
  }
  if (entry.present() || kind == FaultKind::kWrite) {
    COWHERD_TRY(prepare_anon_vma(system, mm, vma));
  }
  if (entry.present()) {
    prefetch_page(system, entry.frame(), near);
    if (near == kOneOfMany) prefetch_pages_after(system, walk.slot, page);
    return fault_write_protected(system, mm, vma, page, kind, walk.slot);
  }
  if (system.at(vma).flags.huge && system.has_huge() && kind != FaultKind::kUnshare) [[unlikely]] {
    COWHERD_TRY_ASSIGN(mapped, fault_large(system, mm, vma, page, kind == FaultKind::kWrite, walk.slot));
    if (mapped) return Faulted::kRetry;
  }
  COWHERD_TRY(fault_anonymous_page(system, mm, vma, page, kind, walk.slot, near));
  return Faulted::kRetry;
}

#define COWHERD_INSTANTIATE(G)                                                                      \
  template Result<Faulted> handle_fault<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind, std::size_t); \
  template Result<void> prepare_anon_vma<G>(System<G>&, Mm&, Ref<Vma>);                             \
  template Result<EntrySlot> make_slot<G>(System<G>&, Mm&, Vpn);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
