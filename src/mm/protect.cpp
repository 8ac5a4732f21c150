#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/flush.hpp"
#include "mm/huge.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// What entries become under a new protection. Compare Linux mm/mprotect.c: change_pte_range().
template <class G>
class Reprotection {
 public:
  Reprotection(System<G>& system, Protection protection)
      : system_(system),
        user_(protection != Protection::kNone || COWHERD_MUTANT(protect_leaves_accessible)),
        writable_(has(protection, Protection::kWrite)),
        upgrades_(writable_ && system.rules().protect_upgrade == ProtectUpgrade::kMapWritable) {}

  /// Whether it looks at the page of an entry.
  [[nodiscard]] bool looks_at_pages() const { return upgrades_; }
  [[nodiscard]] Entry of(Entry entry) const {
    bool writable = entry.writable() && (writable_ || COWHERD_MUTANT(protect_leaves_writable));
    const bool marked = entry.uffd_wp() && !COWHERD_MUTANT(upgrade_ignores_uffd_wp);
    const bool tracked = entry.soft_dirty() || COWHERD_MUTANT(upgrade_ignores_soft_dirty);
    if (upgrades_ && !writable && entry.dirty() && tracked && !marked) writable = is_own(entry);
    return entry.with_user(user_).with_writable(writable);
  }
  /// Changes the entry, its lock held, and returns whether it forbids what it permitted.
  [[nodiscard]] bool change(EntrySlot slot) const {
    Entry entry = slot.load();
    Entry wanted = of(entry);
    if (wanted == entry) return false;
    if (!G::kExplored && entry.young() && (entry.dirty() || !entry.writable())) {
      // A processor has nothing left to set.
      slot.store(wanted);
    } else {
      while (!slot.replace(entry, wanted)) wanted = of(entry);
    }
    return (entry.writable() && !wanted.writable()) || (entry.user() && !wanted.user());
  }

 private:
  [[nodiscard]] bool is_own(Entry entry) const {
    if (entry.huge()) [[unlikely]]
      return is_own_huge(system_, entry.frame()) || COWHERD_MUTANT(protect_upgrades_shared_huge);
    const FrameDescriptor& frame = system_.descriptor(entry.frame());
    return frame.use() == FrameUse::kAnon && (frame.exclusive() || COWHERD_MUTANT(protect_upgrades_shared_page));
  }

  System<G>& system_;
  bool user_;
  bool writable_;
  bool upgrades_;
};

/// Where the page arrives it is mapped read-only, and the next write asks again. Compare Linux mm/mprotect.c:
/// change_softleaf_pte().
template <class G>
void close_migration_entry(System<G>& system, Mm& mm, EntrySlot slot, Entry seen) {
  point(system, mm, Point::kSetEntry);
  slot.store(seen.with_migration_readable());
}

/// The huge entries of `range`, which lie in it whole; nobody else changes one while the mmap lock is held for writing.
/// Compare Linux mm/huge_memory.c: change_huge_pmd().
template <class G>
void reprotect_huge(System<G>& system, Mm& mm, PageRange range, const Reprotection<G>& reprotection,
                    PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end, true);
  const Live live(system, "reprotect-huge", at);
  for (; at < range.end; at = tables.next_used(Tables<G>::table_end(at), range.end, true)) {
    const auto found = tables.walk_to(at);
    if (!found.huge) continue;
    point(system, mm, Point::kSetEntry);
    if (reprotection.change(found.slot) && !COWHERD_MUTANT(protect_huge_without_flush)) {
      flush.add(Tables<G>::covered(at, 1));
    }
  }
}

/// Who is only permitted more needs no flush: whoever remembers less faults, and finds the entry changed.
template <class G>
void reprotect_range(System<G>& system, Mm& mm, PageRange range, Protection protection, PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  const Reprotection<G> reprotection(system, protection);
  if (system.has_huge()) reprotect_huge(system, mm, range, reprotection, flush);
  Vpn at = tables.next_used(range.begin, range.end);
  PageRange lost;
  const Live live(system, "reprotect-range", at, lost);
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    const EntrySlot first = tables.find(at);
    const PageTableGuard<G> guard(system, mm, first);
    if (guard.blocked()) {
      return;
    }
    const FrameNumber table = tables.table_of(first);
    for (; at < chunk.end; ++at) {
      const EntrySlot slot = tables.slot_in(table, at);
      if (const Entry seen = take_back(system, mm, slot, slot.load()); !seen.present()) {
        if (seen.migration_writable()) close_migration_entry(system, mm, slot, seen);
        continue;
      }
      if (reprotection.looks_at_pages()) tables.prefetch_ahead(system.frames(), table, tables.index_of(at, 0));
      point(system, mm, Point::kSetEntry);
      if (reprotection.change(slot) && !COWHERD_MUTANT(protect_without_flush)) {
        lost = {lost.empty() ? at : lost.begin, at + PageCount{1}};
      }
    }
    at = tables.next_used(chunk.end, range.end);
  }
  if (!lost.empty()) flush.add(lost);
}

}  // namespace

template <class G>
Result<void> mprotect(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  PendingFlush<G> flush(system, mm);
  const Live live(system, "mprotect", flush.range());
  bool hole = false;
  {
    MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    const auto changes = [&](const VmaFlags& flags) { return flags.protection != protection; };
    if (cuts_hugetlb_where(system, mm, range, changes)) return Errno::kInvalid;
    // All VMAs that this may need come first: once a protection has changed nothing fails for want of memory.
    COWHERD_TRY(split_where(system, mm, range, changes));
    // What cuts a huge entry has split it.
    if (auto owned = own_tables(system, mm, range, OnHuge::kKeep); !owned) {
      merge_vmas(system, mm, range);
      return owned;
    }
    if (COWHERD_MUTANT(protect_unlocks_early)) guard.release();
    VmaTree areas = system.areas(mm);
    Vpn at = range.begin;
    const Live walked(system, "areas", at);
    for (Ref<Vma> vma = areas.at(at); vma && at < range.end; vma = areas.at(at)) {
      const PageRange part = system.at(vma).pages;
      if (system.at(vma).flags.protection != protection) {
        system.at(vma).flags.set_protection(protection);
        if (system.at(vma).flags.hugetlb) {
          reprotect_hugetlb(system, mm, part, protection, flush);
        } else {
          reprotect_range(system, mm, part, protection, flush);
        }
      }
      at = part.end;
    }
    flush.before_unlock();
    merge_vmas(system, mm, range);
    hole = at < range.end;
  }
  flush.after_unlock();
  return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
}

#define COWHERD_INSTANTIATE(G) template Result<void> mprotect<G>(System<G>&, ProcessId, Vaddr, ByteCount, Protection);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
