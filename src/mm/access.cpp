#include <algorithm>

#include "mm/fault.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// Handles the fault of a thread that loads from or stores to `page`.
template <class G>
Result<void> fault_access(System<G>& system, Mm& mm, Vpn page, bool write) {
  const MmapGuard<G> guard(system, mm.mmap_lock);
  if (guard.blocked()) {
    return Errno::kWouldBlock;
  }
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma) {
    return Errno::kSigSegv;
  }
  const Protection protection = system.at(vma).flags.protection;
  // As on x86, what may be written may be read.
  if (write ? !has(protection, Protection::kWrite) : protection == Protection::kNone) {
    return Errno::kSigSegv;
  }
  auto done = handle_fault(system, mm, vma, page, write ? FaultKind::kWrite : FaultKind::kRead);
  return !done && done.error() == Errno::kNoMemory ? Result<void>(Errno::kSigBus) : done;
}

/// The frame that an access may go to, after as many faults as it takes. Sets the entry's accessed and dirty bits as
/// hardware does.
template <class G>
Result<FrameNumber> translate(System<G>& system, Mm& mm, Vpn page, bool write) {
  if (page.value() >= Geometry<G>::kUserPages) {
    return Errno::kSigSegv;
  }
  for (int tries = 0; tries < kMaxFaultRetries; ++tries) {
    auto tables = system.tables(mm);
    Entry* slot = tables.find(page);
    if (slot != nullptr && slot->present() && slot->user() && (!write || slot->writable())) {
      *slot = slot->with_young(true).with_dirty(slot->dirty() || write);
      return slot->frame();
    }
    COWHERD_TRY(fault_access(system, mm, page, write));
  }
  system.report(Violation::kFaultLoop);
  return Errno::kSigBus;
}

/// Walks the pages under [address, address + size) and moves each part; `move(frame bytes, done so far, part size)`.
template <class G, class Move>
Access access(System<G>& system, Mm& mm, Vaddr address, std::size_t size, bool write, Move&& move) {
  std::size_t done = 0;
  while (done < size) {
    const Vaddr at = address + ByteCount{done};
    const std::size_t offset = Geometry<G>::offset_of(at);
    const std::size_t part = std::min(size - done, Geometry<G>::kPageBytes - offset);
    auto frame = translate(system, mm, Geometry<G>::page_of(at), write);
    if (!frame) {
      return {ByteCount{done}, frame.error()};
    }
    move(system.frames().bytes(*frame) + offset, done, part);
    done += part;
  }
  return {ByteCount{done}};
}

/// One page at a time through a short reference. Compare Linux mm/memory.c: __access_remote_vm().
template <class G, class Move>
Access access_remote(System<G>& system, ProcessId process, Vaddr address, std::size_t size, PinFlags flags,
                     Move&& move) {
  std::size_t done = 0;
  while (done < size) {
    const Vaddr at = address + ByteCount{done};
    const std::size_t offset = Geometry<G>::offset_of(at);
    const std::size_t part = std::min(size - done, Geometry<G>::kPageBytes - offset);
    auto held = pin(system, process, at, PageCount{1}, flags);
    if (!held) {
      return {ByteCount{done}, held.error()};
    }
    const bool write = has(flags, PinFlags::kWrite);
    move(system.frames().bytes(pinned_frame(system, held->id, PageCount{0})) + offset, done, part);
    unpin(system, held->id, write);
    done += part;
  }
  return {ByteCount{done}};
}

}  // namespace

template <class G>
Access read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to) {
  return access(
      system, mm_of(system, process), address, to.size(), false,
      [&](const std::byte* bytes, std::size_t done, std::size_t part) { std::memcpy(to.data() + done, bytes, part); });
}

template <class G>
Access write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from) {
  return access(
      system, mm_of(system, process), address, from.size(), true,
      [&](std::byte* bytes, std::size_t done, std::size_t part) { std::memcpy(bytes, from.data() + done, part); });
}

template <class G>
Access ptrace_read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to) {
  return access_remote(
      system, process, address, to.size(), PinFlags::kGet | PinFlags::kForce | PinFlags::kRemote,
      [&](const std::byte* bytes, std::size_t done, std::size_t part) { std::memcpy(to.data() + done, bytes, part); });
}

template <class G>
Access ptrace_write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from) {
  return access_remote(
      system, process, address, from.size(), PinFlags::kGet | PinFlags::kForce | PinFlags::kRemote | PinFlags::kWrite,
      [&](std::byte* bytes, std::size_t done, std::size_t part) { std::memcpy(bytes, from.data() + done, part); });
}

#define COWHERD_INSTANTIATE(G)                                                        \
  template Access read<G>(System<G>&, ProcessId, Vaddr, std::span<std::byte>);        \
  template Access write<G>(System<G>&, ProcessId, Vaddr, std::span<const std::byte>); \
  template Access ptrace_read<G>(System<G>&, ProcessId, Vaddr, std::span<std::byte>); \
  template Access ptrace_write<G>(System<G>&, ProcessId, Vaddr, std::span<const std::byte>);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
