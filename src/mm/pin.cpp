#include <algorithm>

#include "mm/fault.hpp"
#include "mm/list.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// References through addresses stop here; the upper half of the counter is for mappings, which nobody asks for by
/// name.
constexpr std::uint32_t kMaxGupReferences = FrameDescriptor::kMaxReferences / 2;

/// Whether the VMA lets a reference of this sort be taken at all. Compare Linux mm/gup.c: check_vma_flags().
bool vma_allows(const Vma& vma, PinFlags flags) {
  if (has(flags, PinFlags::kForce)) {
    // Private anonymous memory could be made readable and writable by its owner, and so may be forced.
    return true;
  }
  return has(flags, PinFlags::kWrite) ? has(vma.flags.protection, Protection::kWrite)
                                      : vma.flags.protection != Protection::kNone;
}

bool counted(const Rules& rules, FrameNumber frame) {
  return frame != FrameNumber{0} || rules.zero_page == ZeroPage::kCounted;
}

/// Compare Linux mm/gup.c: try_grab_folio().
template <class G>
Result<void> take_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times) {
  const Rules& rules = system.rules();
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (has(flags, PinFlags::kWrite)) {
    descriptor.set_gup_mark(true);
    descriptor.set_dirty(true);
  }
  if (!counted(rules, frame)) {
    return {};
  }
  const bool as_pin = counts_as_pin(rules, flags);
  if (rules.ref_overflow == RefOverflow::kRefuse &&
      (descriptor.references() + std::uint64_t{times} > kMaxGupReferences ||
       (as_pin && descriptor.pins() + std::uint64_t{times} > FrameDescriptor::kMaxPins))) {
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  descriptor.add_references(times);
  if (as_pin) {
    descriptor.add_pins(times);
  }
  return {};
}

template <class G>
void drop_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times, bool dirty) {
  const Rules& rules = system.rules();
  if (!counted(rules, frame)) {
    return;
  }
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (dirty) {
    descriptor.set_dirty(true);
  }
  if (counts_as_pin(rules, flags)) {
    if (descriptor.pins() < std::min(times, FrameDescriptor::kMaxPins)) {
      system.report(Violation::kBadPage);
    }
    descriptor.drop_pins(times);
  }
  system.note({.kind = EventKind::kUnpinned, .page = descriptor.index(), .frame = frame});
  put_page(system, frame, times);
}

/// One attempt's view of the page: may the reference be taken as it is, or what has to be faulted in first?
enum class Look : std::uint8_t { kTake, kFaultRead, kFaultWrite, kFaultUnshare };

/// Compare Linux mm/gup.c: follow_page_pte().
template <class G>
Look look_up(System<G>& system, Entry entry, PinFlags flags, bool as_write, bool faulted_for_write) {
  if (!entry.present()) {
    return as_write ? Look::kFaultWrite : Look::kFaultRead;
  }
  const FrameState frame = system.state(entry.frame());
  if (as_write && !entry.writable()) {
    // A reference for reading that the rules turned into one for writing is as good as forced.
    const bool may_force = has(flags, PinFlags::kForce) || !has(flags, PinFlags::kWrite);
    const bool let_through = may_force && can_force_write(system.rules(), frame, entry.dirty(), faulted_for_write);
    return let_through ? Look::kTake : Look::kFaultWrite;
  }
  if (!as_write && gup_needs_unshare(system.rules(), frame, flags, entry.writable())) {
    return Look::kFaultUnshare;
  }
  return Look::kTake;
}

/// Finds the page, faulting it in as often as it takes, and takes the references. EFAULT, ENOMEM, kWouldBlock.
/// Compare Linux mm/gup.c: __get_user_pages().
template <class G>
Result<FrameNumber> grab_page(System<G>& system, Mm& mm, Vpn page, PinFlags flags, std::uint32_t times)
    COWHERD_REQUIRES(mm.mmap_lock) {
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma || !vma_allows(system.at(vma), flags)) {
    return Errno::kFault;
  }
  bool as_write = gup_as_write(system.rules(), flags);
  bool faulted_for_write = false;
  for (int tries = 0; tries < kMaxFaultRetries; ++tries) {
    const Entry entry = system.tables(mm).get(page);
    const Look look = look_up(system, entry, flags, as_write, faulted_for_write);
    if (look == Look::kTake) {
      const FrameNumber frame = entry.frame();
      COWHERD_TRY(take_references(system, frame, flags, times));
      const bool forced = as_write && !entry.writable();
      system.note({.kind = forced ? EventKind::kForced : EventKind::kPinned,
                   .decision = forced ? Decision::kGupForce : Decision::kGupRead,
                   .page = page,
                   .frame = frame});
      return frame;
    }
    if (has(flags, PinFlags::kNoFault)) {
      return Errno::kFault;
    }
    const FaultKind kind = look == Look::kFaultWrite     ? FaultKind::kWrite
                           : look == Look::kFaultUnshare ? FaultKind::kUnshare
                                                         : FaultKind::kRead;
    COWHERD_TRY(handle_fault(system, mm, vma, page, kind));
    if (kind == FaultKind::kWrite) {
      faulted_for_write = true;
      if (system.rules().gup_force == GupForce::kRetryAsRead &&
          !has(system.at(vma).flags.protection, Protection::kWrite)) {
        as_write = false;
      }
    }
  }
  system.report(Violation::kFaultLoop);
  return Errno::kFault;
}

/// Room in the record for one more frame. ENOMEM.
template <class G>
Result<FrameNumber*> append(System<G>& system, PinRecord& record) {
  const std::uint32_t index = record.pages % PinFrames::kCapacity;
  if (index == 0) {
    auto made = system.frames().template make<PinFrames>();
    if (!made) {
      return made.error();
    }
    if (record.last) {
      system.at(record.last).next = *made;
    } else {
      record.first = *made;
    }
    record.last = *made;
  }
  return &system.at(record.last).frames[index];
}

template <class G>
Ref<PinRecord> record_ref(PinId id) {
  return Ref<PinRecord>{id.value()};
}

template <class G>
Result<void> fill(System<G>& system, Mm& mm, PinRecord& record, Vpn first, PageCount pages) {
  const MmapGuard<G> guard(system, mm.mmap_lock);
  if (guard.blocked()) {
    return Errno::kWouldBlock;
  }
  if (counts_as_pin(system.rules(), record.flags)) {
    // Before any reference, so that a fork that comes after the reference finds it.
    mm.has_pinned = true;
  }
  for (Vpn page = first; page < first + pages; ++page) {
    COWHERD_TRY_ASSIGN(place, append(system, record));
    COWHERD_TRY_ASSIGN(frame, grab_page(system, mm, page, record.flags, record.times));
    *place = frame;
    ++record.pages;
  }
  return {};
}

/// Walks the part of a pin under [offset, offset + size).
template <class G, class Move>
Access access_pinned(System<G>& system, PinId id, ByteCount offset, std::size_t size, Move&& move) {
  const PinRecord& record = system.at(record_ref<G>(id));
  const std::uint64_t limit = record.pages * Geometry<G>::kPageBytes;
  if (offset.value() > limit || size > limit - offset.value()) {
    return {ByteCount{0}, Errno::kNoDevice};
  }
  std::size_t done = 0;
  while (done < size) {
    const std::uint64_t at = offset.value() + done;
    const std::size_t in_page = at % Geometry<G>::kPageBytes;
    const std::size_t part = std::min(size - done, Geometry<G>::kPageBytes - in_page);
    const FrameNumber frame = pinned_frame(system, id, PageCount{at / Geometry<G>::kPageBytes});
    move(system.frames().bytes(frame) + in_page, done, part);
    done += part;
  }
  return {ByteCount{done}};
}

}  // namespace

template <class G>
Result<Pinned> pin(System<G>& system, ProcessId process, Vaddr address, PageCount pages, PinFlags flags,
                   std::uint32_t times) {
  if (pages == PageCount{0} || times == 0 || (has(flags, PinFlags::kGet) && has(flags, PinFlags::kLongTerm))) {
    return Errno::kInvalid;
  }
  const Vpn first = Geometry<G>::page_of(address);
  if (first.value() >= Geometry<G>::kUserPages || pages.value() > Geometry<G>::kUserPages - first.value()) {
    return Errno::kFault;
  }
  auto made = system.frames().template make<PinRecord>();
  if (!made) {
    return made.error();
  }
  PinRecord& record = system.at(*made);
  record.flags = flags;
  record.times = times;
  push_front(system, system.pins(), *made);
  const PinId id{made->unit};
  auto filled = fill(system, mm_of(system, process), record, first, pages);
  if (!filled && (record.pages == 0 || filled.error() == Errno::kWouldBlock)) {
    unpin(system, id, false);
    return filled.error();
  }
  return Pinned{id, PageCount{record.pages}};
}

template <class G>
void unpin(System<G>& system, PinId id, bool dirty) {
  const Ref<PinRecord> gone = record_ref<G>(id);
  const PinRecord record = system.at(gone);
  std::uint32_t left = record.pages;
  for (Ref<PinFrames> chunk = record.first; chunk;) {
    const PinFrames frames = system.at(chunk);
    for (std::uint32_t i = 0; i < PinFrames::kCapacity && left != 0; ++i, --left) {
      drop_references(system, frames.frames[i], record.flags, record.times, dirty);
    }
    system.frames().destroy(chunk);
    chunk = frames.next;
  }
  unlink(system, system.pins(), gone);
  system.frames().destroy(gone);
}

template <class G>
FrameNumber pinned_frame(System<G>& system, PinId id, PageCount page) {
  Ref<PinFrames> chunk = system.at(record_ref<G>(id)).first;
  for (std::uint64_t skip = page.value() / PinFrames::kCapacity; skip != 0; --skip) {
    chunk = system.at(chunk).next;
  }
  return system.at(chunk).frames[page.value() % PinFrames::kCapacity];
}

template <class G>
Access dma_read(System<G>& system, PinId id, ByteCount offset, std::span<std::byte> to) {
  return access_pinned(system, id, offset, to.size(), [&](const std::byte* bytes, std::size_t done, std::size_t part) {
    std::memcpy(to.data() + done, bytes, part);
  });
}

template <class G>
Access dma_write(System<G>& system, PinId id, ByteCount offset, std::span<const std::byte> from) {
  if (!has(system.at(record_ref<G>(id)).flags, PinFlags::kWrite)) {
    return {ByteCount{0}, Errno::kPerm};
  }
  return access_pinned(system, id, offset, from.size(), [&](std::byte* bytes, std::size_t done, std::size_t part) {
    std::memcpy(bytes, from.data() + done, part);
  });
}

#define COWHERD_INSTANTIATE(G)                                                                      \
  template Result<Pinned> pin<G>(System<G>&, ProcessId, Vaddr, PageCount, PinFlags, std::uint32_t); \
  template void unpin<G>(System<G>&, PinId, bool);                                                  \
  template FrameNumber pinned_frame<G>(System<G>&, PinId, PageCount);                               \
  template Access dma_read<G>(System<G>&, PinId, ByteCount, std::span<std::byte>);                  \
  template Access dma_write<G>(System<G>&, PinId, ByteCount, std::span<const std::byte>);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
