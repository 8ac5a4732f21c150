#include "mm/areas.hpp"

#include <algorithm>
#include <array>

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Whether `right` can become part of `left`. Compare Linux mm/vma.c: can_vma_merge_after().
template <class G>
bool can_merge(System<G>& system, const Vma& left, const Vma& right) {
  const bool alike = left.flags == right.flags || COWHERD_MUTANT(merge_ignores_flags);
  if (left.pages.end != right.pages.begin || !alike || right.index != left.index_of(right.pages.begin)) {
    return false;
  }
  if (left.anon_vma && right.anon_vma) {
    return left.anon_vma == right.anon_vma || COWHERD_MUTANT(merge_ignores_anon_vma);
  }
  // A VMA without anon_vma may join one that has its own only; one that came through fork stands on its ancestors'
  // lists too, and would make them longer for pages they can never hold.
  const Ref<AnonVmaChain> chain = left.anon_vma ? left.chain : right.chain;
  return !chain || !system.at(chain).next_of_vma;
}

template <class G>
void merge_pair(System<G>& system, Mm& mm, Ref<Vma> left, Ref<Vma> right) {
  {
    const AnonVmaGuard<G> guard(system, mm, right);
    if (!system.at(left).anon_vma && system.at(right).anon_vma) {
      anon_vma_adopt(system.frames(), left, right);
    } else {
      unlink_anon_vmas(system.frames(), right);
    }
  }
  free_unlinked(system.frames(), right);
  const Vpn end = system.at(right).pages.end;
  system.areas(mm).erase(right);
  system.frames().destroy(right);
  system.areas(mm).set_end(left, end);
}

}  // namespace

template <class G>
Result<void> split_vma(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn at) {
  auto made = system.frames().template make<Vma>();
  if (!made) {
    return made.error();
  }
  Vma& upper = system.at(*made);
  Vma& lower = system.at(vma);
  upper.pages = {at, lower.pages.end};
  upper.index = COWHERD_MUTANT(split_keeps_index) ? lower.index : lower.index_of(at);
  upper.mm = lower.mm;
  upper.flags = lower.flags;
  {
    const Live live(system, "split-vma", vma, *made, at);
    const AnonVmaGuard<G> guard(system, mm, vma);
    if (auto cloned = anon_vma_clone(system.frames(), *made, vma); !cloned) {
      system.frames().destroy(*made);
      return cloned;
    }
  }
  system.areas(mm).set_end(vma, at);
  system.areas(mm).insert(*made);
  return {};
}

template <class G>
Result<void> split_at(System<G>& system, Mm& mm, PageRange range) {
  for (const Vpn edge : {range.begin, range.end}) {
    const Ref<Vma> cut = system.areas(mm).at(edge);
    if (cut && system.at(cut).pages.begin < edge) {
      if (auto split = split_vma(system, mm, cut, edge); !split) {
        merge_vmas(system, mm, range);
        return split;
      }
    }
  }
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

/// Pages whose entries were cleared under one page-table lock. They go back when no CPU can reach them any more.
/// Compare Linux struct mmu_gather.
template <class G>
class Gather {
 public:
  [[nodiscard]] bool full() const { return count_ == frames_.size(); }
  void add(FrameNumber frame) { frames_[count_++] = frame; }
  void put_all(System<G>& system) {
    while (count_ != 0) {
      const FrameNumber frame = frames_[--count_];
      frames_[count_] = {};
      put_page(system, frame);
    }
  }

  // For the state of a suspended operation.
  [[nodiscard]] const auto& frames() const { return frames_; }
  [[nodiscard]] const std::uint32_t& count() const { return count_; }

 private:
  std::array<FrameNumber, std::min<std::size_t>(Geometry<G>::kEntries, 64)> frames_{};
  std::uint32_t count_ = 0;
};

/// Clears the entries of `chunk`, which one lowest table holds, up to as many as `gather` takes. Returns where it
/// stopped.
template <class G>
Vpn zap_entries(System<G>& system, Mm& mm, PageRange chunk, Gather<G>& gather) {
  auto tables = system.tables(mm);
  const EntrySlot first = tables.find(chunk.begin);
  const PageTableGuard<G> guard(system, mm, first);
  if (guard.blocked()) {
    return chunk.end;
  }
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
    const Entry entry = tables.set(slot, Entry{});
    const FrameNumber frame = entry.frame();
    system.note({.kind = EventKind::kUnmapped, .page = page, .frame = frame});
    if (frame != Frames<G>::kZeroPage || COWHERD_MUTANT(zero_page_unmapped_as_ordinary)) {
      add_rss(system, slot, COWHERD_MUTANT(zap_without_rss) ? 0 : -1);
      if (!COWHERD_MUTANT(zap_leaks_page)) gather.add(frame);
      if (COWHERD_MUTANT(zap_frees_twice) && !gather.full()) gather.add(frame);
      if (!COWHERD_MUTANT(zap_without_mapcount)) drop_mapcount(system, frame);
    }
    return true;
  });
  return stopped;
}

/// Frees the tables in `range` that hold nothing.
template <class G>
void free_tables(System<G>& system, Mm& mm, PageRange range) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "free-tables", at);
  while (at < range.end) {
    const Vpn end = Tables<G>::table_end(at);
    if (COWHERD_MUTANT(tables_never_freed)) return;
    tables.prune(at, [&](PageRange covered) {
      if (!COWHERD_MUTANT(table_freed_under_walker)) wait_for_walkers(system, mm, covered);
    });
    at = tables.next_used(end, range.end);
  }
}

}  // namespace

template <class G>
void zap_range(System<G>& system, Mm& mm, PageRange range) {
  auto tables = system.tables(mm);
  PendingFlush<G> flush(system, mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "zap-range", at, flush.range());
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    Gather<G> gather;
    const Live gathered(system, "gathered", gather.frames(), gather.count());
    const Vpn stopped = zap_entries(system, mm, chunk, gather);
    if (!COWHERD_MUTANT(zap_without_flush)) flush.add({at, stopped});
    // A page must not be given to somebody else while a CPU may still load from it or store to it.
    if (COWHERD_MUTANT(zap_frees_before_flush)) gather.put_all(system);
    flush.before_unlock();
    gather.put_all(system);
    at = tables.next_used(stopped, range.end);
  }
  flush.after_unlock();
}

template <class G>
void remove_vmas(System<G>& system, Mm& mm, PageRange range) {
  VmaTree areas = system.areas(mm);
  drop_shared_tables(system, mm, range);
  Ref<Vma> vma = areas.find(range.begin);
  const Live live(system, "remove-vmas", vma);
  while (vma && system.at(vma).pages.begin < range.end) {
    const PageRange pages = system.at(vma).pages;
    zap_range(system, mm, pages);
    {
      const AnonVmaGuard<G> guard(system, mm, vma);
      unlink_anon_vmas(system.frames(), vma);
    }
    free_unlinked(system.frames(), vma);
    // Reverse maps no longer lead here, so nobody looks for an entry in a table that goes.
    free_tables(system, mm, pages);
    const Ref<Vma> next = areas.next(vma);
    areas.erase(vma);
    system.frames().destroy(vma);
    vma = next;
  }
}

#define COWHERD_INSTANTIATE(G)                                        \
  template Result<void> split_vma<G>(System<G>&, Mm&, Ref<Vma>, Vpn); \
  template Result<void> split_at<G>(System<G>&, Mm&, PageRange);      \
  template void merge_vmas<G>(System<G>&, Mm&, PageRange);            \
  template void zap_range<G>(System<G>&, Mm&, PageRange);             \
  template void remove_vmas<G>(System<G>&, Mm&, PageRange);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
