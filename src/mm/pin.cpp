#include <algorithm>

#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/fault.hpp"
#include "mm/locks.hpp"
#include "mm/migrate.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/pinning.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Whether the VMA lets a reference of this sort be taken at all; `refuses_force`: no write is forced into a hugetlb
/// mapping. Compare Linux mm/gup.c: check_vma_flags().
bool vma_allows(const Vma& vma, PinFlags flags, bool refuses_force) {
  if (vma.flags.secret && !COWHERD_MUTANT(secret_pinned_slowly)) return false;
  if (has(flags, PinFlags::kForce)) {
    const bool forced_write = has(flags, PinFlags::kWrite) && !has(vma.flags.protection, Protection::kWrite);
    if (vma.flags.hugetlb && forced_write && refuses_force) return false;
    // Private memory could be made readable and writable by its owner, and so may be forced. What is shared may be
    // written only where it can be: there is no copy for a forced write to go to.
    const bool writes = has(flags, PinFlags::kWrite);
    return !writes || !vma.flags.shared || has(vma.flags.protection, Protection::kWrite);
  }
  return has(flags, PinFlags::kWrite) ? has(vma.flags.protection, Protection::kWrite)
                                      : vma.flags.protection != Protection::kNone;
}

/// One attempt's view of the page: may the reference be taken as it is, or what has to be faulted in first?
/// kOwnTables: no reference is taken through a table that other address spaces have too, since the counts and marks of
/// its pages say nothing of them.
/// kLeaveMovable: nor, for long, to what lies in memory that is to hold only what can be moved.
enum class Look : std::uint8_t { kTake, kFaultRead, kFaultWrite, kFaultUnshare, kOwnTables, kLeaveMovable };

/// Compare Linux mm/gup.c: follow_page_pte().
template <class G>
inline Look look_up(System<G>& system, const Vma& vma, Entry entry, PinFlags flags, bool as_write,
                    bool faulted_for_write) {
  if (!entry.present()) {
    return as_write ? Look::kFaultWrite : Look::kFaultRead;
  }
  const FrameState frame = system.state_of_page(entry.frame());
  const bool hint = !entry.user() && !has(flags, PinFlags::kForce);
  if (hint && system.rules().gup_hint == GupHint::kFault) {
    return as_write ? Look::kFaultWrite : Look::kFaultRead;
  }
  if (as_write && !entry.writable()) {
    // A reference for reading that the rules turned into one for writing is as good as forced.
    const bool may_force = (has(flags, PinFlags::kForce) || !has(flags, PinFlags::kWrite)) && !vma.flags.shared;
    // A page that is not soft-dirty has to become so first; one that userfaultfd protects has to be let go.
    const bool marked = entry.uffd_wp() && !COWHERD_MUTANT(force_ignores_uffd_wp);
    const bool tracked = system.rules().gup_force != GupForce::kExclusive ||
                         ((entry.soft_dirty() || COWHERD_MUTANT(force_is_not_soft_dirty)) && !marked);
    const bool let_through =
        may_force && tracked && can_force_write(system.rules(), frame, entry.dirty(), faulted_for_write);
    return let_through ? Look::kTake : Look::kFaultWrite;
  }
  if (!as_write && gup_needs_unshare(system.rules(), frame, flags, entry.writable(), !vma.flags.shared)) {
    return Look::kFaultUnshare;
  }
  return Look::kTake;
}

struct Wanted {
  PinFlags flags;
  std::uint32_t times;
  bool as_write;
};

/// What one look under the page-table lock came to.
struct Grabbed {
  Look look;
  FrameNumber frame;
};

/// Takes the references to what `entry` maps. ENOMEM.
template <class G>
inline Result<void> take_page_of(System<G>& system, Vpn page, Entry entry, const Wanted& wanted) {
  COWHERD_TRY(take_references(system, entry.frame(), wanted.flags, wanted.times));
  const bool forced = wanted.as_write && !entry.writable();
  system.note({.kind = forced ? EventKind::kForced : EventKind::kPinned,
               .decision = forced ? Decision::kGupForce : Decision::kGupRead,
               .page = page,
               .frame = entry.frame()});
  return {};
}

/// A reference for reading marks the huge entry, as an access does. Compare Linux mm/huge_memory.c: touch_pmd().
template <class G>
void touch_huge(System<G>& system, Mm& mm, EntrySlot slot) {
  if (system.rules().huge_touch != HugeTouch::kDirty) return;
  point(system, mm, Point::kSetEntry);
  for (Entry seen = slot.load(); !slot.replace(seen, seen.with_dirty(true));) {
  }
}

/// As try_grab(), for a page of a huge one; the mmap lock keeps its entry as it is, but for what is only set there.
/// Compare Linux mm/huge_memory.c: follow_huge_pmd().
template <class G>
Result<Grabbed> try_grab_huge(System<G>& system, Mm& mm, const Vma& vma, Vpn page, const Wanted& wanted,
                              const typename Tables<G>::Walk& walk, GupSoFar& so_far) {
  const Entry entry = walk.load();
  const bool zeros = is_huge_zero_page(system, huge_head<G>(entry.frame()));
  so_far.on_huge = wanted.as_write && !has(vma.flags.protection, Protection::kWrite) ? OnHuge::kSplit : OnHuge::kOwn;
  if (!may_reference_huge(system, vma, entry, wanted.as_write)) return Grabbed{Look::kOwnTables, {}};
  if (zeros) {
    const Look look = look_up(system, vma, entry, wanted.flags, wanted.as_write, so_far.faulted_for_write);
    if (look != Look::kTake) {
      so_far.on_huge = look == Look::kFaultWrite ? OnHuge::kWrite : OnHuge::kSplit;
      return Grabbed{Look::kOwnTables, {}};
    }
    if (!wanted.as_write) touch_huge(system, mm, walk.slot);
  } else {
    note_pins_below(system, mm, page);
    note_pieces_used(system, entry.frame());
  }
  point(system, Point::kTakeReference);
  COWHERD_TRY(take_page_of(system, page, entry, wanted));
  return Grabbed{Look::kTake, entry.frame()};
}

/// As try_grab(), for a page of a hugetlb mapping. Compare Linux mm/hugetlb.c: hugetlb_follow_page_mask().
template <class G>
Result<Grabbed> try_grab_hugetlb(System<G>& system, Mm& mm, const Vma& vma, Vpn page, const Wanted& wanted) {
  const Look fault = wanted.as_write ? Look::kFaultWrite : Look::kFaultRead;
  const auto walk = system.tables(mm).walk_to(page, 1);
  if (walk.shared) return Grabbed{Look::kOwnTables, {}};
  if (!walk.slot) return Grabbed{fault, {}};
  const UpperTableGuard<G> guard(system, mm);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  point(system, Point::kTakeReference);
  const Entry entry = walk.slot.load();
  if (!entry.present() || !system.in_pool(entry.frame())) return Grabbed{fault, {}};
  const FrameState state = system.state_of_page(entry.frame());
  // A reference for reading that the rules turned into one for writing is content with a page of its own.
  const bool own =
      !has(wanted.flags, PinFlags::kWrite) && state.exclusive && !has(vma.flags.protection, Protection::kWrite);
  if (wanted.as_write && !entry.writable() && !own) return Grabbed{Look::kFaultWrite, {}};
  const bool reads = !wanted.as_write;
  if (reads && gup_needs_unshare(system.rules(), state, wanted.flags, entry.writable(), !vma.flags.shared)) {
    return Grabbed{Look::kFaultUnshare, {}};
  }
  note_pins_below(system, mm, page);
  COWHERD_TRY(take_references(system, entry.frame(), wanted.flags, wanted.times));
  const FrameNumber frame = entry.piece(Tables<G>::index_of(page, 0)).frame();
  system.note({.kind = EventKind::kPinned, .decision = Decision::kGupRead, .page = page, .frame = frame});
  return Grabbed{Look::kTake, frame};
}

/// Takes the references if the page can be had as it is. ENOMEM.
template <class G>
Result<Grabbed> try_grab(System<G>& system, Mm& mm, const Vma& vma, Vpn page, const Wanted& wanted, GupSoFar& so_far) {
  if (vma.flags.hugetlb) [[unlikely]]
    return try_grab_hugetlb(system, mm, vma, page, wanted);
  const auto walk = system.tables(mm).walk_to(page);
  if (walk.shared) {
    return walk.huge ? try_grab_huge<G>(system, mm, vma, page, wanted, walk, so_far)
                     : Result<Grabbed>(Grabbed{Look::kOwnTables, {}});
  }
  if (!walk.slot) {
    return Grabbed{wanted.as_write ? Look::kFaultWrite : Look::kFaultRead, {}};
  }
  PageTableGuard<G> guard(system, mm, walk.slot);
  if (guard.blocked()) {
    return would_block(system, Point::kPageTableLock);
  }
  point(system, Point::kTakeReference);
  const Entry entry = walk.slot.load();
  Look look = look_up(system, vma, entry, wanted.flags, wanted.as_write, so_far.faulted_for_write);
  if (look == Look::kTake && must_leave_movable(system, entry.frame(), wanted.flags) &&
      !COWHERD_MUTANT(longterm_pin_stays_movable)) {
    look = Look::kLeaveMovable;
  }
  if (look == Look::kTake) {
    note_pins_below(system, mm, page);
    if (COWHERD_MUTANT(pin_unlocks_early)) {
      guard.release();
      const Live live(system, "unlocked", entry);
      point(system, Point::kTakeReference);
    }
    COWHERD_TRY(take_page_of(system, page, entry, wanted));
  }
  return Grabbed{look, entry.frame()};
}

template <class G>
void note_faulted_for_write(System<G>& system, const Vma& vma, GupSoFar& so_far) {
  so_far.faulted_for_write = true;
  so_far.reads_instead =
      system.rules().gup_force == GupForce::kRetryAsRead && !has(vma.flags.protection, Protection::kWrite);
}

template <class G>
Ref<PinRecord<G>> record_ref(PinId id) {
  return Ref<PinRecord<G>>{id.value()};
}

template <class G>
void note_pinned(System<G>& system, Mm& mm, PinFlags flags) {
  if (counts_as_pin(system.rules(), flags) && std::atomic_ref(mm.has_pinned).load(order::kHasPinnedLoad) == 0) {
    point(system, mm, Point::kHasPinned);
    if (!COWHERD_MUTANT(has_pinned_never)) std::atomic_ref(mm.has_pinned).store(1, order::kHasPinnedStore);
  }
}

/// Pins what `record` does not hold yet. EAGAIN: the tables of the next page have to become the address space's own.
template <class G>
Result<void> fill_locked(System<G>& system, Mm& mm, PinRecord<G>& record, Vpn first, PageCount pages,
                         GupSoFar& so_far) {
  MmapReadGuard<G> guard(system, mm);
  if (guard.blocked()) {
    return would_block(system, Point::kMmapLock);
  }
  if (COWHERD_MUTANT(pin_drops_mmap_lock)) guard.release();
  Vpn page = first + PageCount{record.pages};
  const Live live(system, "fill", page);
  for (; page < first + pages; ++page) {
    COWHERD_TRY_ASSIGN(places, append(system, record));
    COWHERD_TRY_ASSIGN(frame, grab_page(system, mm, page, record.flags, record.times, so_far));
    places.front() = frame;
    ++record.pages;
    so_far = {};
  }
  return {};
}

template <class G>
Result<void> fill(System<G>& system, Mm& mm, PinRecord<G>& record, Vpn first, PageCount pages) {
  // Before any reference, so that a fork that comes after the reference finds it.
  if (!COWHERD_MUTANT(has_pinned_late)) note_pinned(system, mm, record.flags);
  if (has(record.flags, PinFlags::kFast) && !has(record.flags, PinFlags::kForce)) {
    pin_fast(system, mm, record, first, pages);
    if (record.pages == pages.value()) {
      return {};
    }
  }
  GupSoFar so_far;
  const Live live(system, "fill-with-locks", so_far);
  while (true) {
    auto filled = fill_locked(system, mm, record, first, pages, so_far);
    const Vpn page = first + PageCount{record.pages};
    if (!filled && asks_handler(filled.error())) {
      COWHERD_TRY(wait_for_handler(system, mm, page, filled.error()));
      // It begins anew, as Linux does once it has let go of the mmap lock.
      so_far = {};
      continue;
    }
    if (filled || filled.error() != Errno::kAgain) return filled;
    if (so_far.leaves_movable) {
      COWHERD_TRY(leave_movable(system, mm, page, so_far));
      continue;
    }
    COWHERD_TRY(own_for_gup(system, mm, page, so_far));
  }
}

/// Walks the part of a pin under [offset, offset + size).
template <class G, class Move>
Access access_pinned(System<G>& system, PinId id, ByteCount offset, std::size_t size, Move&& move) {
  const PinRecord<G>& record = system.at(record_ref<G>(id));
  const std::uint64_t limit = record.pages * Geometry<G>::kPageBytes;
  if (offset.value() > limit || size > limit - offset.value()) {
    return {ByteCount{0}, Errno::kNoDevice};
  }
  std::size_t done = 0;
  const Live live(system, "access-pinned", done);
  while (done < size) {
    const std::uint64_t at = offset.value() + done;
    const std::size_t in_page = at % Geometry<G>::kPageBytes;
    const std::size_t part = std::min(size - done, Geometry<G>::kPageBytes - in_page);
    const FrameNumber frame = pinned_frame(system, id, PageCount{at / Geometry<G>::kPageBytes});
    point(system, Point::kDevice);
    move(system.frames().bytes(frame) + in_page, done, part);
    done += part;
  }
  return {ByteCount{done}};
}

}  // namespace

template <class G>
Result<FrameNumber> grab_page(System<G>& system, Mm& mm, Vpn page, PinFlags flags, std::uint32_t times,
                              GupSoFar& so_far) {
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma || !vma_allows(system.at(vma), flags, system.rules().hugetlb_force == HugetlbForce::kRefuse)) {
    return Errno::kFault;
  }
  const Vma& area = system.at(vma);
  const bool tracked = area.flags.shared && system.at(system.at(area.mapping).file).on_disk();
  if (gup_refuses_file(system.rules(), flags, tracked)) return Errno::kFault;
  const bool writes = gup_as_write(system.rules(), flags, !system.at(vma).flags.shared);
  for (RetryLimit<G> limit(system); !limit.reached();) {
    const Wanted wanted{flags, times, writes && !so_far.reads_instead};
    COWHERD_TRY_ASSIGN(grabbed, try_grab(system, mm, system.at(vma), page, wanted, so_far));
    if (grabbed.look == Look::kTake) {
      return grabbed.frame;
    }
    if (grabbed.look == Look::kOwnTables || grabbed.look == Look::kLeaveMovable) {
      so_far.leaves_movable = grabbed.look == Look::kLeaveMovable;
      return Errno::kAgain;
    }
    if (has(flags, PinFlags::kNoFault)) {
      return Errno::kFault;
    }
    const FaultKind kind = grabbed.look == Look::kFaultWrite     ? FaultKind::kWrite
                           : grabbed.look == Look::kFaultUnshare ? FaultKind::kUnshare
                                                                 : FaultKind::kRead;
    auto handled = handle_fault(system, mm, vma, page, kind);
    if (!handled) {
      // Compare Linux: only who asks with FOLL_HWPOISON is told why.
      const bool bus = handled.error() == Errno::kSigBus || handled.error() == Errno::kHwPoison;
      return bus ? Errno::kFault : handled.error();
    }
    const Faulted faulted = *handled;
    if (faulted == Faulted::kSharedTable) {
      return Errno::kAgain;
    }
    // A fault that another agent has forestalled says nothing about whose the page is.
    if (kind == FaultKind::kWrite && faulted == Faulted::kMadeOwn) {
      note_faulted_for_write(system, system.at(vma), so_far);
    }
  }
  return Errno::kFault;
}

template <class G>
Result<void> own_for_gup(System<G>& system, Mm& mm, Vpn page, GupSoFar& so_far) {
  const Live live(system, "own-for-gup", page);
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  COWHERD_TRY_ASSIGN(copied, own_tables(system, mm, page, so_far.on_huge));
  if (copied) note_faulted_for_write(system, system.at(system.areas(mm).at(page)), so_far);
  return {};
}

template <class G>
Result<void> leave_movable(System<G>& system, Mm& mm, Vpn page, GupSoFar& so_far) {
  // Whoever holds it for a moment has let go by then.
  constexpr std::uint8_t kMostMoves = G::kExplored ? 2 : 10;
  so_far.leaves_movable = false;
  const Live live(system, "leave-movable", page);
  const auto moved = move_page_at(system, mm, page, Destination::kNormal, true);
  if (moved || moved.error() == Errno::kFault || moved.error() == Errno::kAgain) return {};
  if (moved.error() != Errno::kBusy) return moved.error();
  if (++so_far.moves < kMostMoves) return {};
  system.frames().note_shortage();
  return Errno::kNoMemory;
}

template <class G>
Result<void> take_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times) {
  const Rules& rules = system.rules();
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (counted(system, frame)) {
    const std::uint32_t pins = counts_as_pin(rules, flags) ? times : 0;
    if (rules.ref_overflow == RefOverflow::kWrap || COWHERD_MUTANT(pin_overflow_unchecked)) {
      descriptor.add_references(times, pins);
    } else if (!descriptor.try_add_references(times, pins, kMaxGupReferences)) {
      // Nothing maps a zero page for the count, so that its first reference is one from nothing.
      if (descriptor.use() != FrameUse::kZeroPage || descriptor.references() != 0) {
        system.frames().note_shortage();
        return Errno::kNoMemory;
      }
      descriptor.add_references(times, pins);
    }
  }
  if (has(flags, PinFlags::kWrite)) {
    descriptor.note_gup_write();
  }
  return {};
}

template <class G>
void drop_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times) {
  if (!counted(system, frame)) {
    return;
  }
  const std::uint32_t pins = counts_as_pin(system.rules(), flags) ? times : 0;
  system.note({.kind = EventKind::kUnpinned, .page = system.descriptor(frame).index(), .frame = frame});
  put_page(system, frame, COWHERD_MUTANT(unpin_keeps_reference) ? times - 1 : times,
           COWHERD_MUTANT(unpin_keeps_pins) ? 0 : pins);
}

template <class G>
Result<std::span<FrameNumber>> append(System<G>& system, PinRecord<G>& record) {
  if (record.pages == record.room) {
    COWHERD_TRY_ASSIGN(made, system.frames().allocate(FrameUse::kPinFrames));
    system.descriptor(made).add_references(1);
    pin_frames(system, made).next = Frames<G>::kZeroPage;
    (record.first == Frames<G>::kZeroPage ? record.first : pin_frames(system, record.last).next) = made;
    record.last = made;
    record.room += PinFrames<G>::kCapacity;
  }
  const std::uint32_t left = record.room - record.pages;
  const auto all = record.first == Frames<G>::kZeroPage
                       ? std::span<FrameNumber>(record.frames)
                       : std::span<FrameNumber>(pin_frames(system, record.last).frames);
  return all.last(left);
}

template <class G>
Result<Pinned> pin_in(System<G>& system, Mm& mm, Vaddr address, PageCount pages, PinFlags flags, std::uint32_t times) {
  if (pages == PageCount{0} || times == 0 || (has(flags, PinFlags::kGet) && has(flags, PinFlags::kLongTerm))) {
    return Errno::kInvalid;
  }
  const Vpn first = Geometry<G>::page_of(address);
  if (first.value() >= Geometry<G>::kUserPages || pages.value() > Geometry<G>::kUserPages - first.value()) {
    return Errno::kFault;
  }
  auto made = system.frames().template make<PinRecord<G>>();
  if (!made) {
    return made.error();
  }
  const Live live(system, "pin", *made);
  PinRecord<G>& record = system.at(*made);
  record.flags = flags;
  record.times = times;
  auto filled = fill(system, mm, record, first, pages);
  if (COWHERD_MUTANT(has_pinned_late)) note_pinned(system, mm, flags);
  const PinId id{made->unit};
  if (!filled && (record.pages == 0 || filled.error() == Errno::kWouldBlock)) {
    unpin(system, id, false);
    return filled.error();
  }
  return Pinned{id, PageCount{record.pages}};
}

template <class G>
Result<Pinned> pin(System<G>& system, ProcessId process, Vaddr address, PageCount pages, PinFlags flags,
                   std::uint32_t times) {
  return pin_in(system, mm_of(system, process), address, pages, flags, times);
}

template <class G>
void unpin(System<G>& system, PinId id, bool dirty) {
  const Ref<PinRecord<G>> gone = record_ref<G>(id);
  const PinRecord<G>& record = system.at(gone);
  const Live live(system, "unpin", gone);
  // Reclaim may have cleaned the page since the reference was taken, and the holder wrote.
  const bool dirties = dirty || (system.has_swap() && has(record.flags, PinFlags::kWrite));
  for_each_frame(system, record, [&](FrameNumber piece) {
    const FrameNumber frame = system.folio(piece);
    if (dirties && counted(system, frame) && !system.descriptor(frame).dirty())
      system.descriptor(frame).set_dirty(true);
    drop_references(system, frame, record.flags, record.times);
  });
  free_pin_frames(system, record);
  system.frames().destroy(gone);
}

template <class G>
FrameNumber pinned_frame(System<G>& system, PinId id, PageCount page) {
  const PinRecord<G>& record = system.at(record_ref<G>(id));
  std::uint64_t at = page.value();
  if (at < PinRecord<G>::kOwnFrames) return record.frames[at];
  at -= PinRecord<G>::kOwnFrames;
  FrameNumber frame = record.first;
  for (; at >= PinFrames<G>::kCapacity; at -= PinFrames<G>::kCapacity) frame = pin_frames(system, frame).next;
  return pin_frames(system, frame).frames[at];
}

template <class G>
Access dma_read(System<G>& system, PinId id, ByteCount offset, std::span<std::byte> to) {
  return access_pinned(system, id, offset, to.size(), [&](const std::byte* bytes, std::size_t done, std::size_t part) {
    copy_racing(to.data() + done, bytes, part);
  });
}

template <class G>
Access dma_write(System<G>& system, PinId id, ByteCount offset, std::span<const std::byte> from) {
  if (!has(system.at(record_ref<G>(id)).flags, PinFlags::kWrite)) {
    return {ByteCount{0}, Errno::kPerm};
  }
  return access_pinned(system, id, offset, from.size(), [&](std::byte* bytes, std::size_t done, std::size_t part) {
    copy_racing(bytes, from.data() + done, part);
  });
}

#define COWHERD_INSTANTIATE(G)                                                                         \
  template Result<Pinned> pin<G>(System<G>&, ProcessId, Vaddr, PageCount, PinFlags, std::uint32_t);    \
  template Result<Pinned> pin_in<G>(System<G>&, Mm&, Vaddr, PageCount, PinFlags, std::uint32_t);       \
  template void unpin<G>(System<G>&, PinId, bool);                                                     \
  template Result<void> take_references<G>(System<G>&, FrameNumber, PinFlags, std::uint32_t);          \
  template void drop_references<G>(System<G>&, FrameNumber, PinFlags, std::uint32_t);                  \
  template Result<std::span<FrameNumber>> append<G>(System<G>&, PinRecord<G>&);                        \
  template Result<FrameNumber> grab_page<G>(System<G>&, Mm&, Vpn, PinFlags, std::uint32_t, GupSoFar&); \
  template Result<void> own_for_gup<G>(System<G>&, Mm&, Vpn, GupSoFar&);                               \
  template Result<void> leave_movable<G>(System<G>&, Mm&, Vpn, GupSoFar&);                             \
  template FrameNumber pinned_frame<G>(System<G>&, PinId, PageCount);                                  \
  template Access dma_read<G>(System<G>&, PinId, ByteCount, std::span<std::byte>);                     \
  template Access dma_write<G>(System<G>&, PinId, ByteCount, std::span<const std::byte>);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
