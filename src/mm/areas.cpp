#include "mm/areas.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/files.hpp"
#include "mm/flush.hpp"
#include "mm/gather.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/swap.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Whether `right` can become part of `left`. Compare Linux mm/vma.c: can_vma_merge_after().
template <class G>
bool can_merge(System<G>& system, const Vma& left, const Vma& right) {
  const bool alike = left.flags.like(right.flags) || COWHERD_MUTANT(merge_ignores_flags);
  if (left.pages.end != right.pages.begin || !alike || right.index != left.index_of(right.pages.begin)) {
    return false;
  }
  if (file_of(system, left) != file_of(system, right)) return false;
  if (left.anon_vma && right.anon_vma) {
    return left.anon_vma == right.anon_vma || COWHERD_MUTANT(merge_ignores_anon_vma);
  }
  // A VMA without anon_vma may join one that has its own only; one that came through fork stands on its ancestors'
  // lists too, and would make them longer for pages they can never hold.
  const Ref<AnonVmaChain> chain = left.anon_vma ? left.chain : right.chain;
  return !chain || !system.at(chain).next_of_vma;
}

/// What unlink_mapping() left: the VMA's use of its file.
template <class G>
void give_up_mapping(System<G>& system, Ref<Vma> vma) {
  const Ref<FileMapping> gone = std::exchange(system.at(vma).mapping, {});
  if (!gone) return;
  const Ref<File> file = system.at(gone).file;
  system.frames().destroy(gone);
  const Live live(system, "give-up-mapping", vma);
  put_file(system, file);
}

template <class G>
void merge_pair(System<G>& system, Mm& mm, Ref<Vma> left, Ref<Vma> right) {
  const Live live(system, "merge-pair", left, right);
  {
    // Whoever comes by a reverse map meets all pages of both, before and after.
    const VmaMappingGuard<G> file_guard(system, right);
    const AnonVmaGuard<G> guard(system, mm, system.at(right).anon_vma ? right : left);
    if (!system.at(left).anon_vma && system.at(right).anon_vma) {
      anon_vma_adopt(system.frames(), left, right);
    } else {
      unlink_anon_vmas(system.frames(), right);
    }
    if (const Ref<FileMapping> gone = system.at(right).mapping) unlink_mapping(system.frames(), gone);
    const bool soft_dirty = system.at(left).flags.soft_dirty || system.at(right).flags.soft_dirty;
    system.at(left).flags.soft_dirty = soft_dirty && !COWHERD_MUTANT(merge_loses_soft_dirty);
    system.areas(mm).erase(right);
    system.areas(mm).set_end(left, system.at(right).pages.end);
  }
  free_unlinked(system.frames(), right);
  give_up_mapping(system, right);
  system.frames().destroy(right);
}

}  // namespace

template <class G>
Result<void> split_vma(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn at) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // The analysis does not see the caller's lock. A huge entry lies in one VMA. Compare Linux mm/huge_memory.c:
  // vma_adjust_trans_huge().
  if (at != Tables<G>::covered(at, 1).begin && system.tables(mm).walk_to(at).huge &&
      !COWHERD_MUTANT(huge_vma_split_keeps_entry)) {
    COWHERD_TRY(own_tables(system, mm, at));
  }
  auto made = system.frames().template make<Vma>();
  if (!made) {
    return made.error();
  }
  Ref<FileMapping> mapping;
  if (system.at(vma).mapping) {
    auto place = system.frames().template make<FileMapping>();
    if (!place) {
      system.frames().destroy(*made);
      return place.error();
    }
    mapping = *place;
  }
  Vma& upper = system.at(*made);
  Vma& lower = system.at(vma);
  upper.pages = {at, lower.pages.end};
  upper.index = COWHERD_MUTANT(split_keeps_index) ? lower.index : lower.index_of(at);
  upper.mm = lower.mm;
  upper.flags = lower.flags;
  const Live live(system, "split-vma", vma, *made, at, mapping);
  // Whoever comes by a reverse map meets all pages, before and after.
  const VmaMappingGuard<G> file_guard(system, vma);
  const AnonVmaGuard<G> guard(system, mm, vma);
  if (auto cloned = anon_vma_clone(system.frames(), *made, vma); !cloned) {
    if (mapping) system.frames().destroy(mapping);
    system.frames().destroy(*made);
    return cloned;
  }
  if (mapping) {
    const Ref<FileMapping> lower_mapping = system.at(vma).mapping;
    link_mapping(system.frames(), mapping, *made, system.at(lower_mapping).file, lower_mapping);
  }
  system.areas(mm).set_end(vma, at);
  system.areas(mm).insert(*made);
  return {};
}

template <class G>
void merge_vmas(System<G>& system, Mm& mm, PageRange range) {
  VmaTree areas = system.areas(mm);
  Ref<Vma> left = areas.before(range.begin);
  if (!left) {
    left = areas.find(range.begin);
  }
  while (left && system.at(left).pages.end <= range.end) {
    const Ref<Vma> right = areas.next(left);
    if (right && can_merge(system, system.at(left), system.at(right))) {
      merge_pair(system, mm, left, right);
    } else {
      left = right;
    }
  }
}

namespace {

/// Clears the entries of `chunk`, which one lowest table holds, up to as many as `gather` takes. Returns where it
/// stopped.
template <class G>
Vpn zap_entries(System<G>& system, Mm& mm, PageRange chunk, bool keeps_marks, Gather<G>& gather) {
  auto tables = system.tables(mm);
  const EntrySlot first = tables.find(chunk.begin);
  const FrameNumber table = tables.table_of(first);
  const PageTableGuard<G> guard(system, mm, first);
  if (guard.blocked()) {
    return chunk.end;
  }
  TableTally<G> tally(system, mm, table);
  Vpn stopped = chunk.end;
  Vpn at = chunk.begin;
  const Live live(system, "zap-entries", at);
  tables.for_each(chunk, [&](Vpn page, EntrySlot slot) {
    at = page;
    if (gather.full()) {
      stopped = page;
      return false;
    }
    point(system, mm, Point::kClearEntry);
    const Entry entry = tally.clear(slot);
    if (keeps_marks && entry.uffd_wp()) [[unlikely]]
      tally.set(slot, Entry::marker());
    if (entry.swap()) [[unlikely]] {
      gather.add_slot(entry.slot());
      return true;
    }
    // Whoever moves the page finds that nobody wants it here.
    if (entry.holds_nothing()) [[unlikely]]
      return true;
    const FrameNumber frame = entry.frame();
    system.note({.kind = EventKind::kUnmapped, .page = page, .frame = frame});
    if (frame != Frames<G>::kZeroPage || COWHERD_MUTANT(zero_page_unmapped_as_ordinary)) {
      tally.add_rss(COWHERD_MUTANT(zap_without_rss) ? 0 : -1, system.rss_class(frame));
      if (!COWHERD_MUTANT(zap_leaks_page)) gather.add(frame);
      if (COWHERD_MUTANT(zap_frees_twice) && !gather.full()) gather.add(frame);
    }
    return true;
  });
  return stopped;
}

}  // namespace

template <class G>
void zap_range(System<G>& system, Mm& mm, PageRange range, bool keeps_marks) {
  auto tables = system.tables(mm);
  PendingFlush<G> flush(system, mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "zap-range", at, keeps_marks, flush.range());
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    Gather<G> gather;
    const Live gathered(system, "gathered", gather.frames(), gather.count());
    const Vpn stopped = zap_entries(system, mm, chunk, keeps_marks, gather);
    if (!COWHERD_MUTANT(zap_without_flush)) flush.add({at, stopped});
    // A page must not be given to somebody else while a CPU may still load from it or store to it.
    if (COWHERD_MUTANT(zap_frees_before_flush)) gather.drop_all(system);
    flush.before_unlock();
    gather.drop_all(system);
    at = tables.next_used(stopped, range.end);
  }
  flush.after_unlock();
}

namespace {

/// Takes the tables that hold nothing outside of `range` from the address space, but those that are shared themselves;
/// what a table shares goes with it. Entries of others are cleared.
template <class G>
void unhook_tables(System<G>& system, Mm& mm, PageRange range, Removed<G>& removed) COWHERD_REQUIRES(mm.mmap_lock) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end);
  PageRange unhooked;
  const Live live(system, "unhook-tables", at, unhooked);
  while (at < range.end) {
    unsigned level = Tables<G>::kLowerLevels;
    while (level > 0 && !nothing_outside(system, mm, Tables<G>::covered(at, level), range) &&
           !COWHERD_MUTANT(table_freed_in_use)) {
      --level;
    }
    const PageRange span = Tables<G>::covered(at, std::max(level, 1U));
    if (level == 0 || COWHERD_MUTANT(tables_never_freed)) {
      zap_range(system, mm, intersect(range, span));
    } else if (const EntrySlot place = tables.walk_to(at, level).slot; place.load().writable()) {
      point(system, mm, Point::kClearEntry);
      const FrameNumber table = tables.set(place, Entry{}).frame();
      FrameDescriptor& descriptor = system.descriptor(table);
      descriptor.set_owner(std::exchange(removed.tables[level - 1], table).value(), descriptor.index());
      if (!COWHERD_MUTANT(zap_without_flush)) removed.flush.add(span);
      unhooked = {unhooked.empty() ? span.begin : unhooked.begin, span.end};
      if (system.descriptor(tables.table_of(place)).mapcount() == 0) {
        tables.prune(at, [&](PageRange covered) {
          if (!COWHERD_MUTANT(table_freed_under_walker)) wait_for_walkers(system, mm, covered);
        });
      }
    }
    at = tables.next_used(span.end, range.end);
  }
  removed.flush.before_unlock();
  if (!unhooked.empty() && !COWHERD_MUTANT(table_freed_under_walker)) wait_for_walkers(system, mm, unhooked);
}

}  // namespace

namespace {

/// Whether somebody may come by a file and change what is promised to a private mapping in `range`.
template <class G>
bool unreserves_file(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  if (!system.has_pool()) return false;
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    const bool may_change = system.at(vma).flags.reserved && system.at(vma).mapping;
    if (may_change && !COWHERD_MUTANT(hugetlb_munmap_counts_unlocked)) return true;
  }
  return false;
}

}  // namespace

/// A thread that unmaps holds the mmap lock for writing while it unhooks tables and VMAs, and no lock while it gives
/// back what was in them. Others map at the same place meanwhile, and fault there:
///
///   munmap                                 another thread of the process
///   unhook the table, flush, unlink the VMA
///   let go of the mmap lock
///                                          mmap and write at the same address: another table, another page
///   drop the old page, free the old table
///
/// Allowed because what was unhooked is in no address space any more, and no reverse map leads to it.
template <class G>
void remove_vmas(System<G>& system, Mm& mm, PageRange range, Removed<G>& removed) {
  {
    // Compare hugetlb_files.cpp: unmap_hugetlb_place().
    std::optional<HugetlbFaultGuard<G>> faults;
    if (unreserves_file(system, mm, range)) faults.emplace(system);
    unreserve_hugetlb(system, mm, range);
    unhook_tables(system, mm, range, removed);
    drop_shared_tables(system, mm, range);
  }
  removed.vmas = system.areas(mm).take(range);
  Ref<Vma> vma = removed.vmas;
  const Live live(system, "remove-vmas", vma);
  for (; vma; vma = system.at(vma).right) {
    removed.tells = removed.tells || tells_handler(system.at(vma).flags.uffd, UffdFlags::kEventUnmap);
    // Who came by a reverse map before is out of the tables after this, and nobody comes any more.
    {
      const AnonVmaGuard<G> guard(system, mm, vma);
      unlink_anon_vmas(system.frames(), vma);
    }
    const VmaMappingGuard<G> guard(system, vma);
    if (const Ref<FileMapping> gone = system.at(vma).mapping) unlink_mapping(system.frames(), gone);
  }
}

template <class G>
void free_removed(System<G>& system, Removed<G>& removed) {
  for (unsigned level = Tables<G>::kLowerLevels; level-- > 0;) {
    const Live live(system, "free-removed", level);
    while (const std::uint32_t table = removed.tables[level].value()) {
      removed.tables[level] = FrameNumber{system.descriptor(FrameNumber{table}).owner()};
      free_table(system, FrameNumber{table}, level);
    }
  }
  removed.flush.after_unlock();
  while (const Ref<Vma> vma = removed.vmas) {
    removed.vmas = system.at(vma).right;
    free_unlinked(system.frames(), vma);
    give_up_mapping(system, vma);
    system.frames().destroy(vma);
  }
}

#define COWHERD_INSTANTIATE(G)                                           \
  template Result<void> split_vma<G>(System<G>&, Mm&, Ref<Vma>, Vpn);    \
  template void merge_vmas<G>(System<G>&, Mm&, PageRange);               \
  template void zap_range<G>(System<G>&, Mm&, PageRange, bool);          \
  template void remove_vmas<G>(System<G>&, Mm&, PageRange, Removed<G>&); \
  template void free_removed<G>(System<G>&, Removed<G>&);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
