#include "mm/device_exclusive.hpp"

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
#include "mm/flush.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/pinning.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Closes the entry for `page` to processors, if it maps `frame` for writing still. Whoever got the reference by it has
/// it, and with the write permission nobody else maps the page:
///
///   make_exclusive                         a thread of the process
///                                          its CPU remembers the entry
///   hide the entry
///                                          store to the page
///   flush
///   the device has the page
///                                          store: fault, take the page back
///
/// Allowed because the lock of the table is held until the flush is done, and a device asks for that lock.
///
/// Returns whether it has. EAGAIN: its tables have to become the own ones first.
template <class G>
Result<bool> close_entry(System<G>& system, Mm& mm, Vpn page, FrameNumber frame) {
  const MmapReadGuard<G> mmap(system, mm);
  if (mmap.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  const auto walk = system.tables(mm).walk_to(page);
  if (walk.shared) return Errno::kAgain;
  if (!walk.slot) return false;
  const EntrySlot place = walk.slot;
  const PageTableGuard<G> guard(system, mm, place);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  Entry entry = place.load();
  if (!entry.present() || !entry.writable() || entry.frame() != frame) return false;
  const Live live(system, "close-entry", entry);
  point(system, mm, Point::kClearEntry);
  entry = hide_entry<G>(place);
  PendingFlush<G> flush(system, mm);
  if (!COWHERD_MUTANT(make_exclusive_without_flush)) flush.add({page, page + PageCount{1}});
  const Live pending(system, "flush", flush.range());
  flush.before_unlock();
  flush.after_unlock();
  point(system, mm, Point::kSetEntry);
  // What the device writes has been written through this entry.
  place.store(entry.with_dirty(true).for_device());
  system.note({.kind = EventKind::kGivenToDevice, .page = page, .frame = frame});
  return true;
}

/// Calls move(bytes) with those at `address`, with the lock of the table, while a device has the page there for itself.
/// ENXIO: none has. Compare Linux lib/test_hmm.c: dmirror_do_read(), which looks into the tables of the device; those
/// and the entries for it are one here.
template <class G, class Move>
Access access_as_device(System<G>& system, ProcessId process, Vaddr address, std::size_t size, Move&& move) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return {ByteCount{0}, Errno::kNoDevice};
  const HeldMm<G> held(system, process);
  if (!held) return {ByteCount{0}, Errno::kNoProcess};
  Mm& mm = held.mm();
  const Live live(system, "access-as-device", held.ref());
  const MmapReadGuard<G> mmap(system, mm);
  if (mmap.blocked() || stuck(mm)) return {ByteCount{0}, Errno::kWouldBlock};
  const auto walk = system.tables(mm).walk_to(page);
  if (!walk.slot || walk.shared || walk.huge) return {ByteCount{0}, Errno::kNoDevice};
  const PageTableGuard<G> guard(system, mm, walk.slot);
  const Entry entry = guard.blocked() ? Entry{} : walk.slot.load();
  if (!entry.on_device()) return {ByteCount{0}, Errno::kNoDevice};
  const std::size_t in_page = address.value() % Geometry<G>::kPageBytes;
  const Live open(system, "device-has", entry);
  point(system, Point::kDevice);
  move(system.frames().bytes(entry.frame()) + in_page);
  return {ByteCount{size}};
}

}  // namespace

template <class G>
Result<void> make_exclusive(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "make-exclusive", held.ref(), page);
  bool closed = false;
  for (RetryLimit<G> limit(system); !closed && !limit.reached();) {
    // As any write does: the page is there, and the address space's alone.
    COWHERD_TRY_ASSIGN(pinned, pin_in(system, held.mm(), address, PageCount{1}, PinFlags::kGet | PinFlags::kWrite, 1));
    const PinId id = pinned.id;
    const Live taken(system, "taken", id);
    const FrameNumber frame = pinned_frame(system, id, PageCount{0});
    // Others come by the page of a file, or of shared memory, in more ways than this entry.
    const bool anon = system.descriptor(frame).use() == FrameUse::kAnon && !system.in_pool(frame);
    const auto done = anon ? close_entry(system, held.mm(), page, frame) : Result<bool>(Errno::kInvalid);
    const Errno error = done ? Errno{0} : done.error();
    closed = done && *done;
    const Live tried(system, "tried", error, closed);
    unpin(system, id, false);
    if (error == Errno::kAgain) {
      COWHERD_TRY(lock_and_own_tables(system, held.mm(), page));
    } else if (error != Errno{0}) {
      return error;
    }
  }
  return {};
}

template <class G>
Access device_read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to) {
  return access_as_device(system, process, address, to.size(),
                          [&](const std::byte* bytes) { copy_racing(to.data(), bytes, to.size()); });
}

template <class G>
Access device_write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from) {
  return access_as_device(system, process, address, from.size(),
                          [&](std::byte* bytes) { copy_racing(bytes, from.data(), from.size()); });
}

template <class G>
Access device_add(System<G>& system, ProcessId process, Vaddr address, std::int64_t value) {
  return access_as_device(system, process, address, sizeof value, [&](std::byte* bytes) {
    std::int64_t word = 0;
    const Live live(system, "device-add", word);
    copy_racing(reinterpret_cast<std::byte*>(&word), bytes, sizeof word);
    point(system, Point::kDevice);
    word = static_cast<std::int64_t>(static_cast<std::uint64_t>(word) + static_cast<std::uint64_t>(value));
    copy_racing(bytes, reinterpret_cast<const std::byte*>(&word), sizeof word);
  });
}

#define COWHERD_INSTANTIATE(G)                                                               \
  template Result<void> make_exclusive<G>(System<G>&, ProcessId, Vaddr);                     \
  template Access device_read<G>(System<G>&, ProcessId, Vaddr, std::span<std::byte>);        \
  template Access device_write<G>(System<G>&, ProcessId, Vaddr, std::span<const std::byte>); \
  template Access device_add<G>(System<G>&, ProcessId, Vaddr, std::int64_t);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
