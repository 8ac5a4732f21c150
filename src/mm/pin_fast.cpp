#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/pinning.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// While one is there, nobody frees a table of the address space under it. Compare Linux: interrupts off in
/// gup_fast().
template <class G>
class WalkerInside {
 public:
  WalkerInside(System<G>& system, Mm& mm, Vpn page) requires(!G::kExplored)
      : inside_(system.walker_slots(), system.ref(mm).unit, page, WalkerKind::kGup) {}

 private:
  typename WalkerSlots<G>::Inside inside_;
};

template <class G>
requires G::kExplored class WalkerInside<G> {
 public:
  WalkerInside(System<G>&, Mm& mm, Vpn) : walkers_(mm.walkers) { walkers_.fetch_add(1, order::kSlotEnter); }
  ~WalkerInside() { walkers_.fetch_sub(1, order::kSlotLeave); }
  WalkerInside(const WalkerInside&) = delete;
  WalkerInside& operator=(const WalkerInside&) = delete;

 private:
  std::atomic_ref<std::uint8_t> walkers_;
};

/// Takes the references if the frame is in use at all: it may have been freed, and be anything by now. False: not to be
/// had, or too many. Compare Linux mm/gup.c: try_grab_folio_fast().
template <class G>
bool try_take(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times) {
  if (!counted(system, frame)) {
    return true;
  }
  if (frame == Frames<G>::kZeroPage) {
    return take_references(system, frame, flags, times).ok();
  }
  const Rules& rules = system.rules();
  const std::uint32_t limit =
      rules.ref_overflow == RefOverflow::kRefuse ? kMaxGupReferences : FrameDescriptor::kMaxReferences;
  const std::uint32_t pins = counts_as_pin(rules, flags) ? times : 0;
  if (COWHERD_MUTANT(fast_pin_takes_free_frame)) {
    system.descriptor(frame).add_references(times, pins);
    return true;
  }
  return system.descriptor(frame).try_add_references(times, pins, limit);
}

/// Gives back what try_take() took, of whatever the frame is now.
template <class G>
void let_go(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times) {
  if (!counted(system, frame)) {
    return;
  }
  point(system, Point::kDropReference);
  FrameDescriptor& descriptor = system.descriptor(frame);
  const std::uint32_t pins = counts_as_pin(system.rules(), flags) ? times : 0;
  const bool last = descriptor.drop_references(times, pins).references == 0;
  if (last && frame != Frames<G>::kZeroPage && !COWHERD_MUTANT(fast_pin_leaks_last_reference)) {
    system.frames().free(frame);
  }
}

/// Whether the entry lets a fast pin through. Compare Linux mm/gup.c: gup_fast_pte_range().
template <class G>
bool lets_through(System<G>& system, Entry entry, bool as_write) {
  const bool user = entry.user() || COWHERD_MUTANT(fast_pin_ignores_protection);
  const bool writable = entry.writable() || COWHERD_MUTANT(fast_pin_ignores_write_permission);
  if (!entry.present() || !user || (as_write && !writable)) {
    return false;
  }
  if (entry.frame().value() < system.frames().frame_count().value()) {
    return true;
  }
  // This was no page table any more.
  system.report(Violation::kFreedInUse);
  return false;
}

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
Result<FrameNumber> grab_fast(System<G>& system, Mm& mm, Vpn page, PinFlags flags, std::uint32_t times) {
  const Rules& rules = system.rules();
  const bool as_write = gup_as_write(rules, flags);
  const WalkerInside<G> inside(system, mm, page);
  point(system, mm, Point::kReadTable);
  auto tables = system.tables(mm);
  const auto upper = tables.walk_to(page, 1);
  const EntrySlot parent = upper.slot;
  const Entry table = parent ? parent.load() : Entry{};
  if (!table.present()) {
    return Errno::kFault;
  }
  if (upper.shared || !table.writable()) {
    return Errno::kFault;
  }
  const EntrySlot slot = tables.slot_in(table.frame(), page);
  const Live walked(system, "grab-fast", table);
  point(system, mm, Point::kReadEntry);
  const Entry entry = slot.load();
  if (!lets_through(system, entry, as_write)) {
    return Errno::kFault;
  }
  const FrameNumber frame = entry.frame();
  const Live read(system, "read", entry);
  note_pins_below(system, mm, page);
  point(system, Point::kTakeReference);
  if (!try_take(system, frame, flags, times)) {
    return Errno::kFault;
  }
  const auto give_up = [&] {
    let_go(system, frame, flags, times);
    return Errno::kFault;
  };
  if (rules.gup_recheck != GupRecheck::kNone) {
    point(system, mm, Point::kRecheckEntry);
    if (slot.load() != entry && !COWHERD_MUTANT(fast_pin_recheck_dropped)) {
      return give_up();
    }
  }
  if (rules.gup_recheck == GupRecheck::kEntryAndTable) {
    point(system, mm, Point::kRecheckTable);
    if (parent.load() != table) {
      return give_up();
    }
  }
  // A read-only entry is proof of nothing: only the mark says whose the page is, and only after the reference is there.
  if (!has(flags, PinFlags::kWrite) && !entry.writable()) {
    point(system, Point::kReadExclusive);
    if (gup_needs_unshare(rules, system.state(frame), flags, false) && !COWHERD_MUTANT(fast_pin_mark_dropped)) {
      return give_up();
    }
  }
  if (has(flags, PinFlags::kWrite)) {
    system.descriptor(frame).set_gup_mark(true);
    system.descriptor(frame).set_dirty(true);
  }
  system.note({.kind = EventKind::kPinned, .decision = Decision::kGupRead, .page = page, .frame = frame});
  return frame;
}

}  // namespace

template <class G>
void pin_fast(System<G>& system, Mm& mm, PinRecord& record, Vpn first, PageCount pages) {
  const bool with_sequence =
      system.rules().fork_sequence == ForkSequence::kCounted && counts_as_pin(system.rules(), record.flags);
  const std::atomic_ref sequence(mm.fork_sequence);
  std::uint32_t before = 0;
  if (with_sequence) {
    point(system, mm, Point::kSequence);
    before = sequence.load(order::kSequenceLoad);
    if (before % 2 != 0 && !COWHERD_MUTANT(sequence_begin_dropped)) {
      return;
    }
  }
  Vpn page = first;
  const Live live(system, "pin-fast", before, page);
  for (; page < first + pages; ++page) {
    auto place = append(system, record);
    if (!place) break;
    auto frame = grab_fast(system, mm, page, record.flags, record.times);
    if (!frame) break;
    **place = *frame;
    ++record.pages;
  }
  if (!with_sequence || record.pages == 0) {
    return;
  }
  // A fork that began meanwhile may have asked the pages about pins before these were there, and may write-protect
  // them after: the mmap lock makes the next attempt wait until it is done.
  point(system, mm, Point::kSequence);
  if (sequence.load(order::kSequenceLoad) == before || COWHERD_MUTANT(sequence_end_dropped)) {
    return;
  }
  for_each_frame(system, record, [&](FrameNumber frame) { let_go(system, frame, record.flags, record.times); });
  forget_frames(system, record);
}

#define COWHERD_INSTANTIATE(G) template void pin_fast<G>(System<G>&, Mm&, PinRecord&, Vpn, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
