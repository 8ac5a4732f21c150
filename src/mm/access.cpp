#include "mm/access.hpp"

#include <algorithm>

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
#include "mm/fault.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/pinning.hpp"
#include "mm/reclaim.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// A load or store where a Scheduler decides. The CPU may use what it remembers of the entry, or may have forgotten it
/// at any time before; it writes through what it remembers only if it has set the dirty bit for it already.
template <class G>
struct ModelledAccess {
  System<G>& system;
  Mm& mm;
  Vpn page;
  bool write;

  [[nodiscard]] Entry remembered() const {
    const Entry entry{system.scheduler()->cached_translation(system.ref(mm).unit, page)};
    return permits(entry, write) && (!write || entry.dirty()) ? entry : Entry{};
  }
  [[nodiscard]] bool stale() const {
    const Entry entry = remembered();
    const Entry now = system.tables(mm).get(page);
    return entry.present() && (!permits(now, write) || now.frame() != entry.frame());
  }
  /// The frame that the access goes to; nothing: it faults.
  Entry translate() const {
    Scheduler& scheduler = *system.scheduler();
    const unsigned forgets = scheduler.suspend(
        Point::kAccess, [](const void* what) { return static_cast<const ModelledAccess*>(what)->stale() ? 2u : 1u; },
        this);
    if (forgets == 0 && remembered().present()) {
      return remembered();
    }
    const Entry entry = walk(system, mm, page, write);
    if (entry.present()) {
      scheduler.cache_translation(system.ref(mm).unit, page, entry.bits());
    } else {
      scheduler.forget_own_translation(system.ref(mm).unit, page);
    }
    return entry;
  }
};

/// Pages that one visit to the tables moves at most: whoever flushes waits for its end.
constexpr std::size_t kPagesPerVisit = 16;

/// Moves what the tables let through of [address, address + size), as far as one visit goes, and returns how much: 0
/// where the first page needs a fault. `move(frame bytes, done so far, part size)`. Precondition: size is not 0.
template <class G, class Move>
std::size_t try_access(System<G>& system, Mm& mm, Vaddr address, std::size_t size, bool write, Move&& move) {
  const Vpn first = Geometry<G>::page_of(address);
  const std::size_t offset = Geometry<G>::offset_of(address);
  if constexpr (G::kExplored) {
    const Entry entry = system.scheduler() != nullptr ? ModelledAccess<G>{system, mm, first, write}.translate()
                                                      : walk(system, mm, first, write);
    const std::size_t part = std::min(size, Geometry<G>::kPageBytes - offset);
    if (!entry.present()) return 0;
    move(system.frames().bytes(entry.frame()) + offset, std::size_t{0}, part);
    return part;
  } else {
    // Whoever changes the entry waits until this walker is out: see WalkerSlots. Its place there is that of one table.
    const typename WalkerSlots<G>::Inside inside(system.walker_slots(), system.ref(mm).unit, first,
                                                 WalkerKind::kAccess);
    const Vpn end = std::min(Tables<G>::table_end(first), first + PageCount{kPagesPerVisit});
    std::size_t done = 0;
    for (Vpn page = first; page < end && done < size; ++page) {
      const Entry entry = walk(system, mm, page, write);
      if (!entry.present()) break;
      const std::size_t from = page == first ? offset : 0;
      const std::size_t part = std::min(size - done, Geometry<G>::kPageBytes - from);
      move(system.frames().bytes(entry.frame()) + from, done, part);
      done += part;
    }
    return done;
  }
}

/// Walks the pages under [address, address + size) and moves each part; `move(frame bytes, done so far, part size)`.
template <class G, class Move>
Access access(System<G>& system, Mm& mm, Vaddr address, std::size_t size, bool write, Move&& move) {
  std::size_t done = 0;
  const Live live(system, "access", done);
  while (done < size) {
    const Vaddr at = address + ByteCount{done};
    const Vpn page = Geometry<G>::page_of(at);
    if (page.value() >= Geometry<G>::kUserPages) {
      return {ByteCount{done}, Errno::kSigSegv};
    }
    RetryLimit<G> limit(system);
    std::size_t moved = 0;
    while (moved == 0) {
      moved =
          try_access(system, mm, at, size - done, write,
                     [&](std::byte* bytes, std::size_t before, std::size_t part) { move(bytes, done + before, part); });
      if (moved != 0) break;
      if (limit.reached()) {
        return {ByteCount{done}, Errno::kSigBus};
      }
      if (auto handled = fault_access(system, mm, at, write); !handled) {
        return {ByteCount{done}, handled.error()};
      }
    }
    done += moved;
  }
  return {ByteCount{done}};
}

/// A fault that asked for userfaultfd's handler, looked at again with the lock of its table: whoever copies a page has
/// the entry cleared for a moment. EFAULT where it still does, since who keeps the mmap lock all the while cannot wait;
/// else `asked`, and all is tried again. Compare Linux mm/memory.c: get_user_page_vma_remote(), fs/userfaultfd.c:
/// handle_userfault().
template <class G>
Errno refuse_to_wait(System<G>& system, Mm& mm, Vpn page, Errno asked) COWHERD_REQUIRES(mm.mmap_lock) {
  const Ref<Vma> vma = system.areas(mm).at(page);
  const auto walk = system.tables(mm).walk_to(page);
  if (!vma || !walk.slot) return Errno::kFault;
  const Live live(system, "refuse-to-wait", vma, asked);
  const PageTableGuard<G> guard(system, mm, walk.slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  const FaultKind kind = asked == kAsksToWrite ? FaultKind::kWrite : FaultKind::kRead;
  return is_userfault(system, system.at(vma), page, walk.slot.load(), kind) ? Errno::kFault : asked;
}

/// Moves one part of a remote access, with the mmap lock from the look-up to the last byte: a fork that came between
/// would share the page, and the debugger would write what parent and child both have.
template <class G, class Move>
Result<void> access_remote_page(System<G>& system, Mm& mm, Vpn page, PinFlags flags, GupSoFar& so_far, Move&& move) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked()) {
    return would_block(system, Point::kMmapLock);
  }
  auto grabbed = grab_page(system, mm, page, flags, 1, so_far);
  if (!grabbed && asks_handler(grabbed.error())) return refuse_to_wait(system, mm, page, grabbed.error());
  if (!grabbed) return grabbed.error();
  const FrameNumber frame = *grabbed;
  const Live live(system, "access-remote-page", frame);
  point(system, Point::kDevice);
  move(system.frames().bytes(frame));
  const FrameNumber folio = system.folio(frame);
  if (has(flags, PinFlags::kWrite) && counted(system, folio)) {
    system.descriptor(folio).set_dirty(true);
  }
  drop_references(system, folio, flags, 1);
  return {};
}

/// One page at a time through a short reference. Compare Linux mm/memory.c: __access_remote_vm().
template <class G, class Move>
Access access_remote(System<G>& system, ProcessId process, Vaddr address, std::size_t size, PinFlags flags,
                     Move&& move) {
  const HeldMm<G> held(system, process);
  if (!held) {
    return {ByteCount{0}, Errno::kNoProcess};
  }
  std::size_t done = 0;
  GupSoFar so_far;
  const Live live(system, "access-remote", held.ref(), done, so_far);
  while (done < size) {
    const Vaddr at = address + ByteCount{done};
    const Vpn page = Geometry<G>::page_of(at);
    const std::size_t offset = Geometry<G>::offset_of(at);
    const std::size_t part = std::min(size - done, Geometry<G>::kPageBytes - offset);
    if (page.value() >= Geometry<G>::kUserPages) {
      return {ByteCount{done}, Errno::kFault};
    }
    auto moved = access_remote_page(system, held.mm(), page, flags, so_far,
                                    [&](std::byte* bytes) { move(bytes + offset, done, part); });
    if (!moved && asks_handler(moved.error())) {
      so_far = {};
      continue;
    }
    if (!moved && moved.error() == Errno::kAgain) {
      moved = own_for_gup(system, held.mm(), page, so_far);
      if (moved) continue;
    }
    if (!moved) {
      return {ByteCount{done}, moved.error()};
    }
    so_far = {};
    done += part;
  }
  return {ByteCount{done}};
}

template <class G>
Result<Faulted> fault_locked(System<G>& system, Mm& mm, Vaddr address, bool write) COWHERD_REQUIRES(mm.mmap_lock) {
  const Vpn page = Geometry<G>::page_of(address);
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma) {
    return Errno::kSigSegv;
  }
  const Protection protection = system.at(vma).flags.protection;
  // As on x86, what may be written may be read.
  if (write ? !has(protection, Protection::kWrite) : protection == Protection::kNone) {
    return Errno::kSigSegv;
  }
  return handle_fault(system, mm, vma, page, write ? FaultKind::kWrite : FaultKind::kRead,
                      Geometry<G>::offset_of(address));
}

}  // namespace

namespace {

template <class G>
Result<void> try_fault_access(System<G>& system, Mm& mm, Vaddr address, bool write) {
  Result<void> done;
  bool shared_table = false;
  {
    MmapReadGuard<G> guard(system, mm);
    if (guard.blocked()) {
      return would_block(system, Point::kMmapLock);
    }
    if (COWHERD_MUTANT(fault_drops_mmap_lock)) guard.release();
    auto faulted = fault_locked(system, mm, address, write);
    shared_table = faulted && *faulted == Faulted::kSharedTable;
    if (!faulted) done = faulted.error();
  }
  if (shared_table) {
    const OnHuge on_huge = write ? OnHuge::kWrite : OnHuge::kOwn;
    COWHERD_TRY(lock_and_own_tables(system, mm, Geometry<G>::page_of(address), on_huge));
  }
  return after_handler(system, mm, Geometry<G>::page_of(address), done);
}

}  // namespace

template <class G>
Result<void> fault_access(System<G>& system, Mm& mm, Vaddr address, bool write) {
  const Result<void> done = with_reclaim(system, [&] { return try_fault_access(system, mm, address, write); });
  const bool bus = !done && (done.error() == Errno::kNoMemory || done.error() == Errno::kHwPoison);
  return bus ? Errno::kSigBus : done;
}

template <class G>
Access read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to) {
  return access(
      system, mm_of(system, process), address, to.size(), false,
      [&](const std::byte* bytes, std::size_t done, std::size_t part) { copy_racing(to.data() + done, bytes, part); });
}

template <class G>
Access write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from) {
  return access(
      system, mm_of(system, process), address, from.size(), true,
      [&](std::byte* bytes, std::size_t done, std::size_t part) { copy_racing(bytes, from.data() + done, part); });
}

template <class G>
Access ptrace_read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to) {
  return access_remote(
      system, process, address, to.size(), PinFlags::kGet | PinFlags::kForce | PinFlags::kRemote,
      [&](const std::byte* bytes, std::size_t done, std::size_t part) { copy_racing(to.data() + done, bytes, part); });
}

template <class G>
Access ptrace_write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from) {
  return access_remote(
      system, process, address, from.size(), PinFlags::kGet | PinFlags::kForce | PinFlags::kRemote | PinFlags::kWrite,
      [&](std::byte* bytes, std::size_t done, std::size_t part) { copy_racing(bytes, from.data() + done, part); });
}

#define COWHERD_INSTANTIATE(G)                                                        \
  template Result<void> fault_access<G>(System<G>&, Mm&, Vaddr, bool);                \
  template Access read<G>(System<G>&, ProcessId, Vaddr, std::span<std::byte>);        \
  template Access write<G>(System<G>&, ProcessId, Vaddr, std::span<const std::byte>); \
  template Access ptrace_read<G>(System<G>&, ProcessId, Vaddr, std::span<std::byte>); \
  template Access ptrace_write<G>(System<G>&, ProcessId, Vaddr, std::span<const std::byte>);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
