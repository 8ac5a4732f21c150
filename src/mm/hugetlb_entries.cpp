#include <atomic>

#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

/// A page that its owner discards goes back to the pool, which promises it to him again; unless somebody holds it, and
/// then none is promised to the place any more.
template <class G>
void zap_hugetlb(System<G>& system, Mm& mm, const Vma& vma, PageRange part) {
  const bool reserved = vma.flags.reserved;
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(part.begin, part.end, true);
  const Live live(system, "zap-hugetlb", at);
  for (; at < part.end; at = tables.next_used(Tables<G>::table_end(at), part.end, true)) {
    const PageRange span = Tables<G>::covered(at, 1);
    Entry gone;
    EntrySlot slot;
    {
      const UpperTableGuard<G> guard(system, mm);
      slot = tables.walk_to(at, 1).slot;
      if (guard.blocked() || !slot || !slot.load().huge()) continue;
      point(system, mm, Point::kClearEntry);
      gone = slot.exchange(no_hugetlb_page<G>());
    }
    const Live cleared(system, "cleared", gone);
    flush_range(system, mm, span);
    system.note({.kind = EventKind::kUnmapped, .page = at, .frame = gone.frame()});
    bool empty = !reserved;
    if (maps_no_hugetlb_page<G>(gone)) {
      // What was not promised to the place is not.
      empty = empty || keeps_promise(system, gone);
    } else if (system.descriptor(gone.frame()).use() == FrameUse::kFile) {
      empty = empty || keeps_promise(system, gone);
      put_hugetlb_entry(system, gone.frame());
    } else if (reserved && !COWHERD_MUTANT(discard_loses_reserve)) {
      empty = drop_hugetlb_mapping(system, gone.frame(), Promised::kYes);
    } else {
      put_hugetlb_entry(system, gone.frame());
    }
    if (!empty) continue;
    const UpperTableGuard<G> guard(system, mm);
    tables.set(slot, Entry{});
    if (system.descriptor(tables.table_of(slot)).mapcount() == 0) {
      tables.prune(at, [&](PageRange covered) { wait_for_walkers(system, mm, covered); });
    }
  }
}

template <class G>
void reprotect_hugetlb(System<G>& system, Mm& mm, PageRange part, Protection protection, PendingFlush<G>& flush) {
  const bool writable = has(protection, Protection::kWrite);
  const bool upgrades = writable && system.rules().protect_upgrade == ProtectUpgrade::kMapWritable;
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(part.begin, part.end, true);
  const Live live(system, "reprotect-hugetlb", at);
  for (; at < part.end; at = tables.next_used(Tables<G>::table_end(at), part.end, true)) {
    const UpperTableGuard<G> guard(system, mm);
    const EntrySlot slot = tables.walk_to(at, 1).slot;
    if (guard.blocked() || !slot) continue;
    point(system, mm, Point::kSetEntry);
    Entry entry = slot.load();
    const auto changed = [&](Entry seen) {
      const FrameDescriptor& page = system.descriptor(seen.frame());
      const bool own =
          upgrades && seen.dirty() && seen.soft_dirty() && page.use() == FrameUse::kAnon && page.exclusive();
      const bool keeps = seen.writable() && (writable || COWHERD_MUTANT(protect_leaves_hugetlb_writable));
      return seen.with_user(protection != Protection::kNone).with_writable(keeps || own);
    };
    while (system.in_pool(entry.frame()) && entry.huge() && !slot.replace(entry, changed(entry))) {
    }
    flush.add(Tables<G>::covered(at, 1));
  }
}

namespace {

/// Both map the page, and neither may write it; the parent's upper table lock is held.
template <class G>
Result<void> share_hugetlb(System<G>& system, const HugetlbFork<G>& fork, EntrySlot from, Entry entry, EntrySlot to,
                           Vpn first) {
  COWHERD_TRY(map_once_more(system, entry.frame()));
  if (entry.writable() && !COWHERD_MUTANT(fork_keeps_hugetlb_writable)) {
    point(system, fork.parent, Point::kProtectEntry);
    entry = protect_entry<G>(from, entry);
    fork.flush.add(Tables<G>::covered(first, 1));
  }
  system.tables(fork.child).set(to, entry.with_writable(false).with_young(false).with_unpromised(false));
  system.note(
      {.kind = EventKind::kHugeShared, .decision = Decision::kHugetlbFork, .page = first, .frame = entry.frame()});
  return {};
}

/// What fork decides about the page of `entry`.
template <class G>
ForkPage verdict_on(System<G>& system, const HugetlbFork<G>& fork, Entry entry) {
  const bool has_pinned = std::atomic_ref(fork.parent.has_pinned).load(order::kHasPinnedLoad) != 0;
  point(system, Point::kReadCounts);
  return on_fork_hugetlb(system.rules(), system.state(entry.frame()),
                         {.writable = entry.writable(), .dirty = entry.dirty()}, has_pinned, fork.entry_holds_pin);
}

/// The page may be another one when the copy is made, or none:
///
///   fork of a child                        write fault of its parent, who was promised the page
///   the page is pinned: it has to be copied
///   let go of the lock, take a page of the pool
///                                          no page is free: take the page from the child
///   copy, take the lock, look again: the place has no page
///   give the copy back, and begin again
///
/// Allowed because a reference keeps the page while it is copied, and the entry is looked at again under the lock.
/// Returns whether the child got the copy; false: look again.
template <class G>
Result<bool> copy_hugetlb_early(System<G>& system, const HugetlbFork<G>& fork, EntrySlot from, Entry entry,
                                EntrySlot to, Vpn first) {
  const FrameNumber source = entry.frame();
  const Live live(system, "copy-hugetlb-early", entry);
  auto taken = take_hugetlb_page(system, COWHERD_MUTANT(child_takes_promised_page) ? Promised::kYes : Promised::kNo);
  if (!taken) {
    put_page(system, source);
    return taken.error();
  }
  const FrameNumber copy = *taken;
  const Live copied(system, "copied", copy);
  copy_hugetlb_page(system, copy, source);
  bool same = false;
  {
    const UpperTableGuard<G> guard(system, fork.parent);
    const Entry now = from.load();
    same = !guard.blocked() && now.huge() && now.present() && now.frame() == source;
    same = same || COWHERD_MUTANT(early_hugetlb_recheck_dropped);
    if (same) {
      add_new_anon_page(system, copy, fork.child_vma, first);
      const Entry childs = make_entry(copy, fork.child_vma, true).with_huge(true);
      system.tables(fork.child).set(to, childs.with_soft_dirty(childs.writable() || now.soft_dirty()));
      system.note({.kind = EventKind::kForkCopied,
                   .decision = Decision::kHugetlbFork,
                   .page = first,
                   .frame = source,
                   .new_frame = copy,
                   .unneeded = system.descriptor(source).pins() == 0});
    }
  }
  if (!same && !COWHERD_MUTANT(early_hugetlb_copy_leaked)) give_back_hugetlb_page(system, copy, Promised::kNo);
  put_page(system, source);
  return same;
}

/// As fork_hugetlb(), `to` being the child's place.
template <class G>
Result<bool> fork_place(System<G>& system, const HugetlbFork<G>& fork, EntrySlot to, Vpn first) {
  const EntrySlot from = system.tables(fork.parent).walk_to(first, 1).slot;
  Entry entry;
  while (true) {
    {
      const UpperTableGuard<G> guard(system, fork.parent);
      if (guard.blocked()) return would_block(system, Point::kPageTableLock);
      entry = from.load();
      if (!system.in_pool(entry.frame())) break;
      const Live seen(system, "seen", entry);
      if (verdict_on(system, fork, entry) == ForkPage::kShare) {
        COWHERD_TRY(share_hugetlb(system, fork, from, entry, to, first));
        return false;
      }
      point(system, Point::kTakeReference);
      system.descriptor(entry.frame()).add_references(1);
    }
    COWHERD_TRY_ASSIGN(copied, copy_hugetlb_early(system, fork, from, entry, to, first));
    if (copied) return true;
  }
  // A page that was taken from the parent is lost to the child too. To a place of the parent's that lost its
  // reservation the child never had one.
  if (!fork.parent_reserved && entry.unpromised()) system.tables(fork.child).set(to, no_hugetlb_page<G>());
  return false;
}

}  // namespace

template <class G>
Result<bool> fork_hugetlb(System<G>& system, const HugetlbFork<G>& fork, Vpn first) {
  COWHERD_TRY_ASSIGN(to, system.tables(fork.child).obtain(first, 1));
  // So that the child's own fork does not share these tables either.
  note_pins_below(system, fork.child, first);
  const Live live(system, "fork-hugetlb", first);
  auto done = fork_place(system, fork, to, first);
  auto tables = system.tables(fork.child);
  if (system.descriptor(tables.table_of(to)).mapcount() != 0) return done;
  const bool ended = done.ok();
  const bool copied = ended && *done;
  const Live result(system, "result", ended, copied);
  // Who makes a hole in the file comes by its list of mappings, and walks the child's tables with this lock.
  const UpperTableGuard<G> guard(system, fork.child);
  if (!guard.blocked()) tables.prune(first, [](PageRange) {});
  return done;
}

#define COWHERD_INSTANTIATE(G)                                                                  \
  template void zap_hugetlb<G>(System<G>&, Mm&, const Vma&, PageRange);                         \
  template void reprotect_hugetlb<G>(System<G>&, Mm&, PageRange, Protection, PendingFlush<G>&); \
  template Result<bool> fork_hugetlb<G>(System<G>&, const HugetlbFork<G>&, Vpn);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
