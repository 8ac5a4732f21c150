#include "mm/huge.hpp"

#include <atomic>
#include <optional>

#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/folio.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"

namespace cowherd::mm {

namespace {

/// Calls `visit(frame, index)` for each frame of the run.
template <class G, class Visit>
void for_each_piece(FrameNumber head, Visit&& visit) {
  for (PageCount index{0}; index.value() < Frames<G>::kHugeFrames; ++index) visit(head + index, index);
}

}  // namespace

template <class G>
bool is_own_huge(System<G>& system, FrameNumber head) {
  if (is_huge_zero_page(system, head)) return false;
  bool own = system.frames().huge(head).mapcount() == 1;
  for_each_piece<G>(head, [&](FrameNumber piece, PageCount) { own = own && system.descriptor(piece).exclusive(); });
  return own;
}

template <class G>
void start_huge(System<G>& system, FrameNumber head, const Vma& vma, Vpn first) {
  for_each_piece<G>(head,
                    [&](FrameNumber piece, PageCount index) { add_new_anon_page(system, piece, vma, first + index); });
  system.frames().huge(head).start();
  if (system.has_folios()) start_folio(system, head, Frames<G>::kHugeOrder);
}

namespace {

/// Whether an entry in swap names the slot of the page.
template <class G>
bool has_swap_entries(System<G>& system, FrameNumber frame) {
  const auto slot = system.frames().cold(frame).slot_now();
  return slot && system.swap().count(*slot) != 0 && !COWHERD_MUTANT(huge_reuse_ignores_swap);
}

/// What on_huge_write_fault() may look at.
template <class G>
HugeState huge_state(System<G>& system, FrameNumber head) {
  if (is_huge_zero_page(system, head)) return {.mapcount = 1, .zero_page = true};
  HugeState state{.mapcount = system.frames().huge(head).mapcount(), .exclusive = true};
  for_each_piece<G>(head, [&](FrameNumber piece, PageCount) {
    const FrameDescriptor& page = system.descriptor(piece);
    state.exclusive = state.exclusive && page.exclusive();
    state.mapped_by_pieces = state.mapped_by_pieces || page.mapcount() > 1 || page.use() != FrameUse::kAnon;
    state.referenced = state.referenced || page.references() > 1;
    // Who had a part of it, and has it in swap. Compare Linux up to 5.17 mm/huge_memory.c:
    // page_trans_huge_map_swapcount().
    state.mapped_by_pieces = state.mapped_by_pieces || (system.has_swap() && has_swap_entries(system, piece));
  });
  return state;
}

/// The address space goes on with the run as it is, which is its own now; its VMA says whether it may write. Compare
/// Linux mm/huge_memory.c: do_huge_pmd_wp_page().
template <class G>
void reuse_huge(System<G>& system, Mm& mm, EntrySlot place, const Vma& vma, Vpn first) {
  Entry entry = place.load();
  const FrameNumber head = entry.frame();
  point(system, Point::kExclusive);
  for_each_piece<G>(head, [&](FrameNumber piece, PageCount index) {
    FrameDescriptor& page = system.descriptor(piece);
    if (page.exclusive()) return;
    page.become_exclusive(vma.own_anon_vma().unit, vma.index_of(first + index), true, false);
  });
  point(system, mm, Point::kSetEntry);
  while (has(vma.flags.protection, Protection::kWrite) &&
         !place.replace(entry, entry.with_writable(true).with_dirty(true).with_soft_dirty(true))) {
  }
  system.note({.kind = EventKind::kHugeReused, .decision = Decision::kHugeReuse, .page = first, .frame = head});
}

/// The address space gets a copy of the whole run. False: RAM has no run for it. Compare Linux up to 5.7
/// mm/huge_memory.c: do_huge_pmd_wp_page().
template <class G>
bool copy_huge(System<G>& system, Mm& mm, EntrySlot place, const Vma& vma, Vpn first) {
  auto allocated = system.frames().allocate(FrameUse::kAnon, Frames<G>::kHugeOrder);
  if (!allocated) return false;
  const FrameNumber copy = *allocated;
  const FrameNumber head = place.load().frame();
  std::uint32_t at = 0;
  const Live live(system, "copy-huge", copy, head, at);
  for (; at < Frames<G>::kHugeFrames; ++at) copy_page(system, copy + PageCount{at}, head + PageCount{at});
  start_huge(system, copy, vma, first);
  point(system, mm, Point::kClearEntry);
  (void)clear_entry<G>(place);
  flush_range(system, mm, Tables<G>::covered(first, 1));
  point(system, mm, Point::kSetEntry);
  place.store(make_entry(copy, vma, true).with_huge(true));
  system.note({.kind = EventKind::kHugeCopied,
               .decision = Decision::kHugeCopy,
               .page = first,
               .frame = head,
               .new_frame = copy});
  put_huge(system, head);
  return true;
}

}  // namespace

namespace {

/// A run of zeros that nobody knows. Nothing: RAM has none.
template <class G>
std::optional<FrameNumber> make_zeros(System<G>& system, FrameUse use) {
  auto allocated = system.frames().allocate(use, Frames<G>::kHugeOrder);
  if (!allocated) return std::nullopt;
  for_each_piece<G>(*allocated, [&](FrameNumber piece, PageCount) { clear_page(system, piece, false); });
  return *allocated;
}

/// Compare Linux mm/huge_memory.c: get_huge_zero_page().
template <class G>
std::optional<FrameNumber> obtain_huge_zero_page(System<G>& system) {
  point(system, Point::kReadEntry);
  if (const FrameNumber head = system.huge_zero_page(); head != Frames<G>::kZeroPage) return head;
  const auto fresh = make_zeros(system, FrameUse::kZeroPage);
  if (!fresh) return std::nullopt;
  const Live live(system, "huge-zero-page", *fresh);
  point(system, Point::kSetEntry);
  if (!system.set_huge_zero_page(*fresh)) system.frames().free(*fresh, Frames<G>::kHugeOrder);
  return system.huge_zero_page();
}

}  // namespace

template <class G>
Result<bool> fault_huge(System<G>& system, Mm& mm, Ref<Vma> vma_ref, Vpn page, bool write) {
  const Vma& vma = system.at(vma_ref);
  const PageRange span = Tables<G>::covered(page, 1);
  if (span.begin < vma.pages.begin || vma.pages.end < span.end || vma.flags.secret) return false;
  const auto found = write ? make_zeros(system, FrameUse::kAnon) : obtain_huge_zero_page(system);
  if (!found) return false;
  const FrameNumber head = *found;
  const auto give_up = [&] {
    if (write) system.frames().free(head, Frames<G>::kHugeOrder);
  };
  auto tables = system.tables(mm);
  typename Tables<G>::Missing missing(system.frames());
  if (auto reserved = tables.reserve(page, missing, 1); !reserved) {
    give_up();
    return reserved.error();
  }
  const Live live(system, "fault-huge", head, missing.frames(), missing.count());
  const UpperTableGuard<G> guard(system, mm);
  if (guard.blocked()) {
    give_up();
    return would_block(system, Point::kPageTableLock);
  }
  const EntrySlot place = tables.install(
      page, missing, [&] { point(system, mm, Point::kSetEntry); }, 1);
  if (!place.load().none() && !COWHERD_MUTANT(huge_recheck_dropped)) {
    // Another fault was faster, with a huge page or with a table.
    give_up();
    return true;
  }
  if (write) start_huge(system, head, vma, span.begin);
  point(system, mm, Point::kSetEntry);
  tables.set(place, make_entry(head, vma, write).with_huge(true));
  system.note({.kind = write ? EventKind::kHugeMapped : EventKind::kHugeZeroMapped,
               .decision = Decision::kHugeReuse,
               .page = span.begin,
               .frame = head});
  return true;
}

template <class G>
Result<void> map_huge_once_more(System<G>& system, FrameNumber head) {
  if (is_huge_zero_page(system, head)) return {};
  point(system, Point::kTakeReference);
  if (COWHERD_MUTANT(huge_shared_without_count) || system.frames().huge(head).try_map_once_more()) return {};
  system.frames().note_shortage();
  return Errno::kNoMemory;
}

template <class G>
void put_huge(System<G>& system, FrameNumber head) {
  if (system.has_pool() && (system.in_pool(head) || head == Frames<G>::kZeroPage)) [[unlikely]]
    return put_hugetlb_entry(system, head);
  if (is_huge_zero_page(system, head) && !COWHERD_MUTANT(huge_zero_page_put)) return;
  const Live live(system, "put-huge", head);
  point(system, Point::kDropReference);
  if (system.frames().huge(head).drop_mapping() != 0) return;
  FreedPages<G> freed(system);
  std::uint32_t at = 0;
  const Live dropping(system, "pieces", at);
  for (; at < Frames<G>::kHugeFrames; ++at) drop_mapping(system, head + PageCount{at}, freed);
}

namespace {

/// As split_huge(), of the huge zero page: the zero page is mapped everywhere. Compare Linux mm/huge_memory.c:
/// __split_huge_zero_page_pmd().
template <class G>
Result<void> split_huge_zero_page(System<G>& system, Mm& mm, EntrySlot place, Vpn first) {
  COWHERD_TRY_ASSIGN(table, Tables<G>::make_table(system.frames()));
  const Live live(system, "split-huge-zero-page", table, first);
  point(system, mm, Point::kClearEntry);
  const Entry entry = clear_entry<G>(place);
  const Live cleared(system, "cleared", entry);
  flush_range(system, mm, Tables<G>::covered(first, 1));
  const Vma& vma = system.at(system.areas(mm).at(first));
  const Entry small = make_entry(Frames<G>::kZeroPage, vma, false).with_soft_dirty(entry.soft_dirty());
  {
    TableTally<G> tally(system, mm, table);
    for (std::uint32_t at = 0; at < Frames<G>::kHugeFrames; ++at)
      tally.set(Tables<G>::slot_at(system.frames(), table, at), small);
  }
  point(system, mm, Point::kSetEntry);
  place.store(Entry::of(table).with_writable(true));
  system.note({.kind = EventKind::kHugeSplit, .decision = Decision::kHugeReuse, .page = first, .frame = entry.frame()});
  return {};
}

}  // namespace

/// Who splits a run that others map too takes a reference and a mapping of each frame for his table first, and gives up
/// his part in the whole then:
///
///   split                                  a write fault of another process that has small entries already
///   one more mapping of each frame
///                                          is it the only one? no
///   give up the huge entry: it was the last one, so give up a mapping of each frame
///
/// The other way round there would be a moment in which the frames have one mapping, that of the other process, while
/// this one still goes on with them: CVE-2020-29368. Allowed because the counts are at no time lower than what they
/// count.
template <class G>
Result<void> split_huge(System<G>& system, Mm& mm, EntrySlot place, Vpn first) {
  if (is_huge_zero_page(system, place.load().frame())) return split_huge_zero_page(system, mm, place, first);
  COWHERD_TRY_ASSIGN(table, Tables<G>::make_table(system.frames()));
  const PageRange span = Tables<G>::covered(first, 1);
  const FrameNumber head = place.load().frame();
  HugePage& huge = system.frames().huge(head);
  const Live live(system, "split-huge", table, first, head);
  // What a processor sets in the entry until it is gone comes along; who pins without a lock sees that it has changed.
  point(system, mm, Point::kClearEntry);
  const Entry entry = COWHERD_MUTANT(huge_split_in_place) ? place.load() : clear_entry<G>(place);
  const Live cleared(system, "cleared", entry);
  flush_range(system, mm, span);
  // Whoever walks to a page of the run by the table finds it said there.
  if (huge.pieces_used()) system.descriptor(table).set_pins_below(true);
  point(system, Point::kReadCounts);
  bool alone = huge.mapcount() == 1 || COWHERD_MUTANT(huge_split_ignores_others);
  std::uint32_t at = 0;
  const Live splitting(system, "splitting", alone, at);
  const bool late = system.rules().huge_split == HugeSplit::kCountsLate || COWHERD_MUTANT(huge_split_counts_late);
  if (!alone && late) put_huge(system, head);
  if (!alone) note_pieces_used(system, head);
  Result<void> mapped;
  {
    TableTally<G> tally(system, mm, table);
    for (; at < Frames<G>::kHugeFrames && mapped; ++at) {
      const Entry small = entry.piece(at);
      if (!alone) mapped = map_once_more(system, small.frame());
      if (!mapped) break;
      tally.set(Tables<G>::slot_at(system.frames(), table, at), small.with_writable(alone && small.writable()));
    }
    tally.add_rss(static_cast<std::int32_t>(at));
  }
  point(system, mm, Point::kSetEntry);
  if (!mapped) {
    FreedPages<G> freed(system);
    while (at-- != 0) drop_mapping(system, entry.piece(at).frame(), freed);
    if (!alone && late) COWHERD_TRY(map_huge_once_more(system, head));
    place.store(entry);
    system.frames().free(table);
    return mapped;
  }
  place.store(Entry::of(table).with_writable(true));
  system.note({.kind = EventKind::kHugeSplit, .decision = Decision::kHugeReuse, .page = first, .frame = head});
  if (alone) {
    // The table has what the huge entry had.
    (void)huge.drop_mapping();
  } else if (!late) {
    put_huge(system, head);
  }
  return {};
}

template <class G>
Result<bool> own_huge(System<G>& system, Mm& mm, EntrySlot place, Vpn first, OnHuge on_huge) {
  // Its fault says what becomes of it.
  if (is_of_hugetlb(system, place.load())) [[unlikely]]
    return false;
  const Entry entry = place.load();
  if (on_huge != OnHuge::kSplit) {
    if (entry.writable()) return false;
    const FrameNumber head = entry.frame();
    const Live live(system, "own-huge", first, on_huge);
    point(system, Point::kReadCounts);
    const Vma& vma = system.at(system.areas(mm).at(first));
    const bool may_write = has(vma.flags.protection, Protection::kWrite);
    switch (on_huge_write_fault(system.rules(), huge_state(system, head))) {
      case HugeFault::kReuse:
        // By force one page of it is written.
        if (!may_write && on_huge == OnHuge::kWrite) break;
        reuse_huge(system, mm, place, vma, first);
        return false;
      case HugeFault::kCopyWhole:
        if (on_huge == OnHuge::kWrite && copy_huge(system, mm, place, vma, first)) return true;
        break;
      case HugeFault::kSplit:
        break;
    }
  }
  COWHERD_TRY(split_huge(system, mm, place, first));
  return false;
}

template <class G>
ForkHuge on_fork_huge(System<G>& system, Mm& mm, Entry entry) {
  const Rules& rules = system.rules();
  const FrameNumber head = entry.frame();
  if (is_huge_zero_page(system, head)) return ForkHuge::kShare;
  HugePage& huge = system.frames().huge(head);
  // What asks more than the page, or leads a writer to everybody who maps it, knows small entries only.
  const bool shares = shares_unpinned(rules) || rules.pinned == PinnedTest::kBiased;
  if (!shares || rules.reuse == Reuse::kDirected || rules.reuse == Reuse::kNever) return ForkHuge::kSplit;
  point(system, Point::kReadCounts);
  if (!huge.pieces_used()) return ForkHuge::kShare;
  const bool has_pinned = std::atomic_ref(mm.has_pinned).load(order::kHasPinnedLoad) != 0;
  bool copies = false;
  bool used = false;
  bool mapped = false;
  for_each_piece<G>(head, [&](FrameNumber piece, PageCount) {
    // All of them are asked. Most have one reference, which is this mapping's: no pin, which is one too.
    if (const FrameDescriptor& its = system.descriptor(piece); its.references() == 1) {
      mapped = mapped || its.mapcount() > 1;
      return;
    }
    const FrameState page = system.state_of_page(piece);
    const EntryState small{.writable = entry.writable(), .dirty = entry.dirty()};
    copies = copies || on_fork(rules, page, small, has_pinned, false) == ForkPage::kCopy;
    used = used || page.references > 1;
    mapped = mapped || page.mapcount > 1;
  });
  if (copies && !COWHERD_MUTANT(huge_fork_ignores_pins)) {
    return rules.huge_pins == HugePins::kWhole ? ForkHuge::kSplitAndCopyAll : ForkHuge::kSplit;
  }
  if (used) return ForkHuge::kShareHeld;
  if (!mapped) huge.forget_pieces_used();
  return ForkHuge::kShare;
}

template <class G>
void forget_owner_of_huge(System<G>& system, FrameNumber head) {
  point(system, Point::kExclusive);
  for_each_piece<G>(head, [&](FrameNumber piece, PageCount) { system.descriptor(piece).set_exclusive(false); });
}

#define COWHERD_INSTANTIATE(G)                                                \
  template bool is_own_huge<G>(System<G>&, FrameNumber);                      \
  template void start_huge<G>(System<G>&, FrameNumber, const Vma&, Vpn);      \
  template Result<bool> fault_huge<G>(System<G>&, Mm&, Ref<Vma>, Vpn, bool);  \
  template Result<void> map_huge_once_more<G>(System<G>&, FrameNumber);       \
  template void put_huge<G>(System<G>&, FrameNumber);                         \
  template Result<void> split_huge<G>(System<G>&, Mm&, EntrySlot, Vpn);       \
  template Result<bool> own_huge<G>(System<G>&, Mm&, EntrySlot, Vpn, OnHuge); \
  template ForkHuge on_fork_huge<G>(System<G>&, Mm&, Entry);                  \
  template void forget_owner_of_huge<G>(System<G>&, FrameNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
