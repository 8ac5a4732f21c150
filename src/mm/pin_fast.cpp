#include <algorithm>
#include <span>

#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/pinning.hpp"
#include "mm/shared_tables.hpp"
#include "mm/walker_inside.hpp"

namespace cowherd::mm {

namespace {

/// What a pin takes of each page, and on which terms: asked of the rules once, not for every page.
struct Terms {
  template <class G>
  Terms(System<G>& system, const PinRecord<G>& record)
      : flags(record.flags),
        times(record.times),
        pins(counts_as_pin(system.rules(), record.flags) ? record.times : 0),
        limit(system.rules().ref_overflow == RefOverflow::kRefuse ? kMaxGupReferences
                                                                  : FrameDescriptor::kMaxReferences),
        recheck(system.rules().gup_recheck),
        as_write(gup_as_write(system.rules(), record.flags)),
        writes(has(record.flags, PinFlags::kWrite)),
        long_write(gup_refuses_file(system.rules(), record.flags, true)),
        leaves_movable(system.frames().has_movable() && gup_leaves_movable(system.rules(), record.flags) &&
                       !COWHERD_MUTANT(longterm_fast_pin_stays_movable)),
        dirties(!system.has_swap() || system.rules().fast_dirty == FastDirty::kAtOnce) {}

  PinFlags flags;
  std::uint32_t times;
  std::uint32_t pins;
  std::uint32_t limit;
  GupRecheck recheck;
  /// The entry has to be writable.
  bool as_write;
  bool writes;
  /// Of a disk's file it is refused.
  bool long_write;
  /// Of movable memory it goes the slow way.
  bool leaves_movable;
  /// Whether a page is dirty from when it is taken for writing.
  bool dirties;
};

/// Takes the references if the frame is in use at all: it may have been freed, and be anything by now. False: not to be
/// had, or too many. Compare Linux mm/gup.c: try_grab_folio_fast().
template <class G>
inline bool try_take(System<G>& system, FrameNumber frame, const Terms& terms) {
  if (frame == Frames<G>::kZeroPage) [[unlikely]] {
    return !counted(system, frame) || take_references(system, frame, terms.flags, terms.times).ok();
  }
  if (COWHERD_MUTANT(fast_pin_takes_free_frame)) {
    system.descriptor(frame).add_references(terms.times, terms.pins);
    return true;
  }
  return system.descriptor(frame).try_add_references(terms.times, terms.pins, terms.limit);
}

/// Gives back what try_take() took, of whatever the frame is now.
template <class G>
[[gnu::cold]] void let_go(System<G>& system, FrameNumber frame, const Terms& terms) {
  if (!counted(system, frame)) {
    return;
  }
  point(system, Point::kDropReference);
  const bool last = system.descriptor(frame).drop_references(terms.times, terms.pins).references == 0;
  if (last && frame != Frames<G>::kZeroPage && !COWHERD_MUTANT(fast_pin_leaks_last_reference)) {
    system.in_pool(frame) ? free_hugetlb_page(system, frame) : system.frames().free(frame);
  }
}

/// Whether the entry lets a fast pin through. Compare Linux mm/gup.c: gup_fast_pte_range().
template <class G>
inline bool lets_through(System<G>& system, Entry entry, bool as_write) {
  const bool user = entry.user() || COWHERD_MUTANT(fast_pin_ignores_protection);
  const bool writable = entry.writable() || COWHERD_MUTANT(fast_pin_ignores_write_permission);
  const bool secret = entry.secret() && !COWHERD_MUTANT(secret_pinned_fast);
  if (!entry.present() || !user || (as_write && !writable)) {
    return false;
  }
  if (entry.frame().value() < system.frames().frame_count().value()) {
    return !secret;
  }
  // This was no page table any more.
  system.report(Violation::kFreedInUse);
  return false;
}

/// The reference is there, and stays.
template <class G>
inline void note_taken(System<G>& system, Vpn page, FrameNumber frame, const Terms& terms) {
  if (terms.writes && terms.dirties) {
    system.descriptor(frame).note_gup_write();
  } else if (terms.writes) {
    system.descriptor(frame).set_gup_mark(true);
  }
  if (!system.observed()) return;
  system.note({.kind = EventKind::kPinned, .decision = Decision::kGupRead, .page = page, .frame = frame});
}

/// What a fast pin goes by in one lowest table: how it was found, and where the entries are that found it.
template <class G>
struct TableInHand {
  Tables<G> tables;
  /// The entry that named the table, and where it was.
  Entry table;
  EntrySlot parent;
};

/// One page, between two looks at its entry:
///
///   fast pin                               write fault, or whoever else replaces the page
///   read the entry
///                                          clear it, flush, set another one, drop the page
///   take a reference
///   read the entry again: it has changed
///   let go
///
/// A reference taken before the entry was cleared is seen by whoever clears it; one taken after is let go here. Allowed
/// because each side writes first and reads then.
template <class G>
inline Result<FrameNumber> grab_fast(System<G>& system, Mm& mm, const TableInHand<G>& at, Vpn page, const Terms& terms,
                                     bool first) {
  const EntrySlot slot = at.tables.slot_in(at.table.frame(), page);
  point(system, mm, Point::kReadEntry);
  const Entry entry = slot.load();
  if (!lets_through(system, entry, terms.as_write)) {
    return Errno::kFault;
  }
  const FrameNumber frame = entry.frame();
  if (terms.leaves_movable && system.frames().is_movable(frame)) [[unlikely]] {
    return Errno::kFault;
  }
  const Live read(system, "read", entry);
  if (first) note_pins_below(system, mm, page);
  point(system, Point::kTakeReference);
  if (!try_take(system, frame, terms)) {
    return Errno::kFault;
  }
  const auto give_up = [&] {
    let_go(system, frame, terms);
    return Errno::kFault;
  };
  if (terms.recheck != GupRecheck::kNone) {
    point(system, mm, Point::kRecheckEntry);
    if (slot.load() != entry && !COWHERD_MUTANT(fast_pin_recheck_dropped)) {
      return give_up();
    }
  }
  if (terms.recheck == GupRecheck::kEntryAndTable) {
    point(system, mm, Point::kRecheckTable);
    if (at.parent.load() != at.table) {
      return give_up();
    }
  }
  // Without a VMA at hand: what a disk is behind goes the slow way, where it is refused.
  if (terms.long_write && system.rss_class(frame) == RssClass::kFile && !COWHERD_MUTANT(longterm_file_by_fast_pin)) {
    return give_up();
  }
  // A read-only entry is proof of nothing: only the mark says whose the page is, and only after the reference is there.
  if (!terms.writes && !entry.writable()) {
    point(system, Point::kReadExclusive);
    if (gup_needs_unshare(system.rules(), system.state_of_page(frame), terms.flags, false) &&
        !COWHERD_MUTANT(fast_pin_mark_dropped)) {
      return give_up();
    }
  }
  note_taken(system, page, frame, terms);
  return frame;
}

/// One page of a huge one, the entry being that of the whole; as grab_fast(). Compare Linux mm/gup.c:
/// gup_fast_pmd_leaf().
template <class G>
bool grab_piece(System<G>& system, Mm& mm, const TableInHand<G>& at, Vpn page, Entry piece, const Terms& terms) {
  if (!lets_through(system, piece, terms.as_write)) return false;
  point(system, Point::kTakeReference);
  if (!try_take(system, piece.frame(), terms)) return false;
  point(system, mm, Point::kRecheckTable);
  if (at.parent.load() != at.table && !COWHERD_MUTANT(huge_fast_pin_recheck_dropped)) {
    let_go(system, piece.frame(), terms);
    return false;
  }
  note_taken(system, page, piece.frame(), terms);
  return true;
}

/// Pins `pages`, all part of one huge page, as grab_table().
template <class G>
[[gnu::noinline]] void grab_huge(System<G>& system, Mm& mm, PinRecord<G>& record, const Terms& terms,
                                 std::span<FrameNumber> places, PageRange pages, const TableInHand<G>& at) {
  Vpn page = pages.begin;
  const Live live(system, "grab-huge", at.table, page);
  point(system, Point::kPiecesUsed);
  note_pins_below(system, mm, page);
  note_pieces_used(system, at.table.frame());
  for (auto place = places.begin(); page < pages.end; ++page, ++place) {
    const Entry piece = at.table.piece(Tables<G>::index_of(page, 0));
    if (!grab_piece(system, mm, at, page, piece, terms)) return;
    *place = piece.frame();
    ++record.pages;
  }
}

/// As grab_huge(), for a hugetlb page, whose entry may be read-only: references to any of its frames are to the first,
/// and its mark says whose it is. Compare Linux mm/gup.c: gup_fast_pmd_leaf().
template <class G>
[[gnu::noinline]] void grab_hugetlb(System<G>& system, Mm& mm, PinRecord<G>& record, const Terms& terms,
                                    std::span<FrameNumber> places, PageRange pages, const TableInHand<G>& at) {
  Vpn page = pages.begin;
  const Live live(system, "grab-hugetlb", at.table, page);
  const FrameNumber head = at.table.frame();
  note_pins_below(system, mm, page);
  for (auto place = places.begin(); page < pages.end; ++page, ++place) {
    if (!lets_through(system, at.table, terms.as_write)) return;
    point(system, Point::kTakeReference);
    if (!try_take(system, head, terms)) return;
    point(system, mm, Point::kRecheckTable);
    bool good = at.parent.load() == at.table || COWHERD_MUTANT(hugetlb_fast_pin_recheck_dropped);
    if (good && !terms.writes && !at.table.writable()) {
      point(system, Point::kReadExclusive);
      good = !gup_needs_unshare(system.rules(), system.state_of_page(head), terms.flags, false) ||
             COWHERD_MUTANT(hugetlb_fast_pin_mark_dropped);
    }
    if (!good) return let_go(system, head, terms);
    if (terms.writes) system.descriptor(head).set_gup_mark(true);
    const FrameNumber frame = at.table.piece(Tables<G>::index_of(page, 0)).frame();
    system.note({.kind = EventKind::kPinned, .decision = Decision::kGupRead, .page = page, .frame = frame});
    *place = frame;
    ++record.pages;
  }
}

/// Pins `pages`, all in one lowest table, as far as it comes, into the record's next `places`. The walk to the table
/// and what is said in the tables on the way are for all of them; each page looks at its table's entry again, so that
/// it makes no difference to it whether the walk was long before.
template <class G>
[[gnu::noinline]] void grab_table(System<G>& system, Mm& mm, PinRecord<G>& record, const Terms& terms,
                                  std::span<FrameNumber> places, PageRange pages) {
  const WalkerInside<G> inside(system, mm, pages.begin);
  point(system, mm, Point::kReadTable);
  const auto tables = system.tables(mm);
  const auto upper = tables.walk_to(pages.begin, 1);
  const Entry table = upper.load();
  if (!table.present() || !table.writable()) {
    const bool hugetlb = table.present() && table.huge() && system.in_pool(table.frame());
    if (hugetlb && !upper.shared) grab_hugetlb(system, mm, record, terms, places, pages, {tables, table, upper.slot});
    return;
  }
  if (table.huge() && system.in_pool(table.frame())) [[unlikely]] {
    return grab_hugetlb(system, mm, record, terms, places, pages, {tables, table, upper.slot});
  }
  if (table.huge()) [[unlikely]] {
    return grab_huge(system, mm, record, terms, places, pages, {tables, table, upper.slot});
  }
  const TableInHand<G> at{tables, table, upper.slot};
  Vpn page = pages.begin;
  const FrameNumber above = tables.table_of(upper.slot);
  const Live walked(system, "grab-table", table, above, page);
  for (auto place = places.begin(); page < pages.end; ++page, ++place) {
    if constexpr (!G::kExplored) {
      constexpr PageCount kAhead{16};
      if (pages.end - page > kAhead) {
        system.frames().prefetch(tables.slot_in(table.frame(), page + kAhead).load().frame());
      }
    }
    const auto frame = grab_fast(system, mm, at, page, terms, page == pages.begin);
    if (!frame) return;
    *place = *frame;
    ++record.pages;
  }
}

}  // namespace

template <class G>
void pin_fast(System<G>& system, Mm& mm, PinRecord<G>& record, Vpn first, PageCount pages) {
  const Terms terms(system, record);
  const bool with_sequence = system.rules().fork_sequence == ForkSequence::kCounted && terms.pins != 0;
  const std::atomic_ref sequence(mm.fork_sequence);
  std::uint32_t before = 0;
  if (with_sequence) {
    point(system, mm, Point::kSequence);
    before = sequence.load(order::kSequenceLoad);
    if (before % 2 != 0 && !COWHERD_MUTANT(sequence_begin_dropped)) {
      return;
    }
  }
  const Vpn last = first + pages;
  Vpn page = first;
  const Live live(system, "pin-fast", before, page);
  while (page < last) {
    const auto places = append(system, record);
    if (!places) break;
    const Vpn end = std::min({last, Tables<G>::table_end(page), page + PageCount{places->size()}});
    grab_table(system, mm, record, terms, *places, {page, end});
    page = first + PageCount{record.pages};
    if (page < end) break;
  }
  if (!with_sequence || record.pages == 0) {
    return;
  }
  const bool apart = system.rules().hugetlb_sequence == HugetlbSequence::kIgnored;
  if (apart && system.in_pool(pinned_frame(system, PinId{system.ref(record).unit}, PageCount{0}))) return;
  // A fork that began meanwhile may have asked the pages about pins before these were there, and may write-protect
  // them after: the mmap lock makes the next attempt wait until it is done.
  point(system, mm, Point::kSequence);
  if (sequence.load(order::kSequenceLoad) == before || COWHERD_MUTANT(sequence_end_dropped)) {
    return;
  }
  for_each_frame(system, record, [&](FrameNumber frame) { let_go(system, system.folio(frame), terms); });
  free_pin_frames(system, record);
  PinRecord<G> fresh;
  fresh.times = record.times;
  fresh.flags = record.flags;
  record = fresh;
}

#define COWHERD_INSTANTIATE(G) template void pin_fast<G>(System<G>&, Mm&, PinRecord<G>&, Vpn, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
