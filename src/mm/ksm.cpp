#include "mm/ksm.hpp"

#include <cstring>

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/fault.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/huge.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// One of the two pages, and a reference to it.
struct Candidate {
  Vpn page;
  FrameNumber frame;
};

template <class G>
bool mergeable(System<G>& system, Mm& mm, Vpn page) {
  const Ref<Vma> vma = system.areas(mm).at(page);
  return vma && system.at(vma).flags.mergeable && !system.at(vma).flags.secret && !system.at(vma).flags.hugetlb;
}

/// Takes a reference to the page that is mapped at `page`. EFAULT, EINVAL. EBUSY: it is part of a huge page that cannot
/// be taken apart. EAGAIN: its tables have to become the own ones first.
template <class G>
Result<FrameNumber> look_at(System<G>& system, Mm& mm, Vpn page) {
  if (!mergeable(system, mm, page)) return Errno::kInvalid;
  const auto walk = system.tables(mm).walk_to(page);
  if (!walk.slot) return Errno::kFault;
  if (walk.huge && is_held_whole(system, walk.slot.load().frame())) return Errno::kBusy;
  if (walk.shared) return Errno::kAgain;
  const PageTableGuard<G> guard(system, mm, walk.slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  const Entry entry = walk.slot.load();
  if (!entry.present() || entry.frame() == Frames<G>::kZeroPage) return Errno::kFault;
  point(system, Point::kTakeReference);
  system.descriptor(entry.frame()).add_references(1);
  return entry.frame();
}

template <class G>
Result<FrameNumber> find_candidate(System<G>& system, Mm& mm, Vpn page) {
  while (true) {
    {
      const MmapReadGuard<G> guard(system, mm);
      if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
      auto found = look_at(system, mm, page);
      if (found || found.error() != Errno::kAgain) return found;
    }
    COWHERD_TRY(lock_and_own_tables(system, mm, page));
  }
}

/// Whether somebody holds the page besides its mappings and this merge.
template <class G>
bool held_by_others(System<G>& system, FrameNumber frame) {
  point(system, Point::kReadCounts);
  const FrameState page = system.state(frame);
  return page.references != page.mapcount + 1 && !COWHERD_MUTANT(ksm_ignores_holders);
}

/// Takes write permission and the exclusive mark from the page, which nobody may hold. Called with its page lock.
/// EBUSY: somebody does, or the page is not there any more.
///
///   KSM                                    fast pin
///                                          read the entry
///   clear it, flush
///   does anybody hold the page? no
///                                          take a reference
///                                          read the entry again: it has changed
///                                          let go
///   take the mark, set the entry again, read-only
///
/// Allowed because a pin that was there before the entry was cleared is seen by the test, and one that comes after
/// finds the entry changed, or the mark gone. Compare Linux mm/ksm.c: write_protect_page().
template <class G>
Result<void> close(System<G>& system, Mm& mm, Vpn page, FrameNumber frame) {
  auto tables = system.tables(mm);
  const auto walk = tables.walk_to(page);
  if (!walk.slot || walk.shared) return Errno::kBusy;
  PendingFlush<G> flush(system, mm);
  const PageTableGuard<G> guard(system, mm, walk.slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  Entry entry = walk.slot.load();
  if (!entry.present() || entry.frame() != frame) return Errno::kBusy;
  FrameDescriptor& descriptor = system.descriptor(frame);
  const Live live(system, "close", entry, flush.range());
  const bool test_first = system.rules().ksm_protect == KsmProtect::kTestThenClear;
  if (test_first && held_by_others(system, frame)) return Errno::kBusy;
  point(system, mm, Point::kClearEntry);
  entry = tables.set(walk.slot, Entry{});
  if (!COWHERD_MUTANT(ksm_without_flush)) flush.add({page, page + PageCount{1}});
  flush.after_unlock();
  if (!test_first && held_by_others(system, frame)) {
    point(system, mm, Point::kSetEntry);
    if (!COWHERD_MUTANT(ksm_loses_entry)) tables.set(walk.slot, entry);
    return Errno::kBusy;
  }
  if (entry.dirty() && !descriptor.dirty()) descriptor.set_dirty(true);
  point(system, Point::kExclusive);
  if (!COWHERD_MUTANT(ksm_keeps_mark)) descriptor.set_exclusive(false);
  point(system, mm, Point::kSetEntry);
  tables.set(walk.slot, entry.with_writable(false));
  return {};
}

template <class G>
bool hold_the_same(System<G>& system, FrameNumber one, FrameNumber other) {
  point(system, Point::kCopyPage);
  return COWHERD_MUTANT(ksm_ignores_contents) ||
         std::memcmp(system.frames().bytes(one), system.frames().bytes(other), Geometry<G>::kPageBytes) == 0;
}

/// Puts `merged`, which may be the zero page, in place of `gone`, if that is still there, closed. The caller keeps a
/// reference to both. EBUSY, ENOMEM. Compare Linux mm/ksm.c: replace_page().
template <class G>
Result<void> replace(System<G>& system, Mm& mm, Vpn page, FrameNumber gone, FrameNumber merged) {
  auto tables = system.tables(mm);
  const auto walk = tables.walk_to(page);
  if (!walk.slot || walk.shared) return Errno::kBusy;
  PendingFlush<G> flush(system, mm);
  const Live live(system, "replace", flush.range());
  {
    const PageTableGuard<G> guard(system, mm, walk.slot);
    if (guard.blocked()) return would_block(system, Point::kPageTableLock);
    const Entry entry = walk.slot.load();
    const bool same = entry.present() && entry.frame() == gone && !entry.writable();
    if (!same && !COWHERD_MUTANT(ksm_recheck_dropped)) return Errno::kBusy;
    const Live replacing(system, "replacing", entry);
    const bool zeros = merged == Frames<G>::kZeroPage;
    if (!zeros) COWHERD_TRY(map_once_more(system, merged));
    if (!zeros && COWHERD_MUTANT(ksm_without_mapcount)) system.descriptor(merged).drop_mapcount();
    point(system, mm, Point::kClearEntry);
    tables.set(walk.slot, Entry{});
    flush.add({page, page + PageCount{1}});
    flush.after_unlock();
    point(system, mm, Point::kSetEntry);
    tables.set(walk.slot, Entry::of(merged)
                              .with_user(entry.user())
                              .with_soft_dirty(entry.soft_dirty())
                              .with_uffd_wp(entry.uffd_wp() && !COWHERD_MUTANT(ksm_loses_uffd_wp))
                              .with_secret(entry.secret()));
    // Nobody is charged for the zero page; Linux went on charging until 4.12.
    if (zeros && !COWHERD_MUTANT(ksm_zeros_stay_charged)) add_rss(system, walk.slot, -1);
    drop_mapcount(system, gone);
    system.note({.kind = EventKind::kMerged, .page = page, .frame = gone, .new_frame = merged});
  }
  if (!COWHERD_MUTANT(ksm_leaks_merged_page)) put_page(system, gone);
  return {};
}

/// With the mmap lock of `mm` for reading, and the page lock of `frame` where `lock` says so.
template <class G, class Do>
Result<void> with_page(System<G>& system, Mm& mm, FrameNumber frame, Do&& act) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  if (G::kExplored && system.scheduler() == nullptr && system.descriptor(frame).locked()) return Errno::kWouldBlock;
  const Live live(system, "with-page", frame);
  lock_page_of(system, frame);
  Result<void> done = act();
  unlock_page_of(system, frame);
  return done;
}

/// Both are closed first, so that what is compared stays what it is.
template <class G>
Result<void> merge(System<G>& system, Mm& mm_one, Candidate one, Mm& mm_other, Candidate other) {
  auto closed = with_page(system, mm_one, one.frame, [&]() -> Result<void> {
    if (system.descriptor(one.frame).use() == FrameUse::kKsm) return {};
    if (!leave_folio(system, one.frame, in_one_folio(system.frames(), one.frame, other.frame) ? 2 : 1))
      return Errno::kBusy;
    COWHERD_TRY(close(system, mm_one, one.page, one.frame));
    system.descriptor(one.frame).set_dirty(true);
    system.descriptor(one.frame).change_use(FrameUse::kKsm);
    // What several have is kept, whatever MADV_FREE said when one had it.
    if (system.has_swap()) system.frames().cold(one.frame).set_lazy_free(false);
    // Its own anon_vma may go before it does.
    system.descriptor(one.frame).set_owner(0, Vpn{0});
    return {};
  });
  if (!closed) return closed;
  const Live live(system, "first-closed", one.frame);
  return with_page(system, mm_other, other.frame, [&]() -> Result<void> {
    COWHERD_TRY(close(system, mm_other, other.page, other.frame));
    // Nobody writes to a merged page: whoever would gets another one.
    if (!hold_the_same(system, one.frame, other.frame)) return Errno::kBusy;
    return replace(system, mm_other, other.page, other.frame, one.frame);
  });
}

}  // namespace

template <class G>
Result<void> part_merged(System<G>& system, Mm& mm, PageRange range) {
  Vpn at = range.begin;
  const Live live(system, "part-merged", at);
  for (; at < range.end; ++at) {
    const Ref<Vma> vma = system.areas(mm).at(at);
    if (!vma || !system.at(vma).flags.mergeable) continue;
    COWHERD_TRY(own_tables(system, mm, at));
    RetryLimit<G> limit(system);
    while (!limit.reached()) {
      const Entry entry = system.tables(mm).get(at);
      const bool merged = entry.present() && system.descriptor(entry.frame()).use() == FrameUse::kKsm;
      if (!merged || COWHERD_MUTANT(unmergeable_keeps_merged)) break;
      const auto kind = system.rules().ksm_break == KsmBreak::kWriteFault ? FaultKind::kWrite : FaultKind::kUnshare;
      auto parted = handle_fault(system, mm, vma, at, kind);
      // A write to what userfaultfd protects would be its handler's business, and nobody writes.
      if (!parted && asks_handler(parted.error())) break;
      if (!parted) return parted.error();
    }
  }
  return {};
}

template <class G>
Result<void> ksm_merge(System<G>& system, ProcessId one, Vaddr at_one, ProcessId other, Vaddr at_other) {
  const HeldMm<G> held_one(system, one);
  const HeldMm<G> held_other(system, other);
  if (!held_one || !held_other) return Errno::kNoProcess;
  Candidate first{Geometry<G>::page_of(at_one), {}};
  Candidate second{Geometry<G>::page_of(at_other), {}};
  if (first.page.value() >= Geometry<G>::kUserPages || second.page.value() >= Geometry<G>::kUserPages) {
    return Errno::kFault;
  }
  const Live live(system, "ksm-merge", held_one.ref(), held_other.ref(), first.frame, second.frame);
  COWHERD_TRY_ASSIGN(found, find_candidate(system, held_one.mm(), first.page));
  first.frame = found;
  auto other_found = find_candidate(system, held_other.mm(), second.page);
  if (!other_found) {
    put_page(system, first.frame);
    return other_found.error();
  }
  second.frame = *other_found;
  const bool one_page = first.frame == second.frame;
  // A page that is merged already goes on to serve; of two of them the first one does.
  Result<void> merged =
      one_page ? Result<void>(Errno::kInvalid) : merge(system, held_one.mm(), first, held_other.mm(), second);
  put_page(system, second.frame);
  put_page(system, first.frame);
  return merged;
}

template <class G>
Result<void> ksm_zero(System<G>& system, ProcessId process, Vaddr address) {
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  FrameNumber frame{};
  const Live live(system, "ksm-zero", held.ref(), frame);
  COWHERD_TRY_ASSIGN(found, find_candidate(system, held.mm(), page));
  frame = found;
  auto merged = with_page(system, held.mm(), frame, [&]() -> Result<void> {
    // What is merged already is left alone. Compare Linux mm/ksm.c: cmp_and_merge_page().
    if (system.descriptor(frame).use() == FrameUse::kKsm) return Errno::kBusy;
    COWHERD_TRY(close(system, held.mm(), page, frame));
    if (!hold_the_same(system, Frames<G>::kZeroPage, frame)) return Errno::kBusy;
    return replace(system, held.mm(), page, frame, Frames<G>::kZeroPage);
  });
  put_page(system, frame);
  return merged;
}

template <class G>
Result<void> ksm_unmerge(System<G>& system, ProcessId process, Vaddr address, ByteCount length) {
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "ksm-unmerge", held.ref());
  Mm& mm = held.mm();
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  return part_merged(system, mm, range);
}

#define COWHERD_INSTANTIATE(G)                                                        \
  template Result<void> part_merged<G>(System<G>&, Mm&, PageRange);                   \
  template Result<void> ksm_merge<G>(System<G>&, ProcessId, Vaddr, ProcessId, Vaddr); \
  template Result<void> ksm_zero<G>(System<G>&, ProcessId, Vaddr);                    \
  template Result<void> ksm_unmerge<G>(System<G>&, ProcessId, Vaddr, ByteCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
