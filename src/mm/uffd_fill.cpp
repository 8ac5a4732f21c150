#include <cstring>

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/files.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// What the handler puts at an address.
enum class Fill : std::uint8_t { kCopy, kZeroPage, kContinue, kPoison };

template <class G>
void write_page(System<G>& system, FrameNumber frame, std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    std::memset(system.frames().bytes(frame), 0, Geometry<G>::kPageBytes);
  } else {
    std::memcpy(system.frames().bytes(frame), bytes.data(), Geometry<G>::kPageBytes);
  }
}

/// The place of the entry for `page`, with its tables. kTablesShared, ENOMEM, kWouldBlock.
template <class G>
Result<EntrySlot> place_of(System<G>& system, Mm& mm, Vpn page) {
  const auto walk = system.tables(mm).walk_to(page);
  if (walk.huge) return Errno::kExist;
  if (walk.shared) return kTablesShared;
  if (walk.slot) return walk.slot;
  return make_slot(system, mm, page);
}

/// Puts an entry there that lets nobody through: SIGBUS, as of memory that has failed. Nothing is allocated for it but
/// tables. EEXIST, kTablesShared, ENOMEM, kWouldBlock. Compare Linux mm/userfaultfd.c: mfill_atomic_pte_poison().
template <class G>
Result<void> forbid(System<G>& system, Mm& mm, Vpn page) {
  COWHERD_TRY_ASSIGN(slot, place_of(system, mm, page));
  PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  if (!slot.load().none()) return Errno::kExist;
  point(system, mm, Point::kSetEntry);
  guard.set(slot, Entry::forbidden());
  system.note({.kind = EventKind::kUffdForbidden, .page = page});
  return {};
}

/// The entry by which the handler lets a page of the file's cache be mapped. Compare Linux mm/userfaultfd.c:
/// mfill_atomic_install_pte().
template <class G>
Entry continued_entry(System<G>& system, const Vma& vma, FrameNumber frame) {
  const bool writable =
      (vma.flags.shared || COWHERD_MUTANT(uffd_continue_writable)) && has(vma.flags.protection, Protection::kWrite);
  return Entry::of(frame)
      .with_user(vma.flags.protection != Protection::kNone)
      .with_dirty(writable || system.rules().uffd_continue == UffdContinue::kDirty)
      .with_soft_dirty(writable)
      .with_writable(writable);
}

/// Maps a page of the file's cache, locked and held by the caller, who lets go of it, at `slot`. EEXIST, kWouldBlock.
template <class G>
Result<void> map_cached(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, EntrySlot slot, FrameNumber frame) {
  PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  const Entry there = slot.load();
  // What the handler has forbidden it may let be mapped after all.
  if (!there.is_empty() && !(there.is_forbidden() && !COWHERD_MUTANT(uffd_fill_stops_at_poison))) return Errno::kExist;
  FrameDescriptor& descriptor = system.descriptor(frame);
  descriptor.add_references(1);
  descriptor.add_mapcount();
  add_rss(system, slot, 1, system.rss_class(frame));
  point(system, mm, Point::kSetEntry);
  const Entry made = continued_entry(system, system.at(vma), frame);
  // What was there is counted already.
  there.none() ? guard.set(slot, made) : slot.store(made);
  system.note({.kind = EventKind::kUffdFilled, .decision = Decision::kUffdContinue, .page = page, .frame = frame});
  return {};
}

/// The page that the file has is mapped; or, unless it goes on with that, a new one that comes into the file, when
/// nothing can fail any more. SIGBUS: behind its end, or it has none.
template <class G>
Result<void> fill_from_file(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, Fill fill,
                            std::span<const std::byte> bytes) {
  COWHERD_TRY_ASSIGN(slot, place_of(system, mm, page));
  const Ref<File> file = file_of(system, system.at(vma));
  const auto index = static_cast<std::uint32_t>(system.at(vma).index_of(page).value());
  auto found = fill == Fill::kContinue
                   ? lock_if_cached(system, file, index)
                   : add_locked_page(system, file, index, [&](FrameNumber fresh) { write_page(system, fresh, bytes); });
  if (!found) return found.error();
  const FrameNumber frame = *found;
  const Live live(system, "fill-from-file", frame);
  const Result<void> mapped = map_cached(system, mm, vma, page, slot, frame);
  unlock_cached_page(system, frame);
  return mapped;
}

/// As fill_anonymous(), or forbid(), in place of what a mapping shows of a file:
///
///   handler                                truncation
///   is it behind the end? no
///                                          the file is shorter now
///   put a page there
///                                          clear what is mapped behind the end
///
/// and a page that came later would stay. Allowed because the file's lock is held, as by who makes it shorter. EFAULT:
/// behind the end. Compare Linux mm/userfaultfd.c: mfill_file_over_size(), which asks with the table locked.
template <class G>
Result<void> fill_here(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, Fill fill, std::span<const std::byte> bytes)
    COWHERD_REQUIRES(mm.mmap_lock) {
  const Ref<File> file = file_of(system, system.at(vma));
  const FileGuard<G> guard(system, file);
  if (guard.blocked()) return would_block(system, Point::kFileLock);
  if (system.at(vma).index_of(page).value() >= system.at(file).size()) return Errno::kFault;
  if (fill != Fill::kPoison) return fill_anonymous(system, mm, vma, page, bytes);
  COWHERD_TRY(forbid(system, mm, page));
  // A child's file mapping begins without entries: fork does not share the table.
  if (!COWHERD_MUTANT(fork_shares_forbidden)) note_pins_below(system, mm, page);
  return {};
}

template <class G>
Result<void> fill_locked(System<G>& system, Mm& mm, Vpn page, Fill fill, std::span<const std::byte> bytes) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  if (has_unread(mm) && !COWHERD_MUTANT(uffd_fill_ignores_events)) return Errno::kAgain;
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma || system.at(vma).flags.uffd == UffdFlags::kNone) return Errno::kNoEntry;
  if (!system.at(vma).mapping) {
    if (fill == Fill::kPoison) return forbid(system, mm, page);
    return fill == Fill::kContinue ? Result<void>(Errno::kInvalid) : fill_anonymous(system, mm, vma, page, bytes);
  }
  // A private mapping gets a page of its own, whatever the file has.
  if (fill == Fill::kPoison || (fill != Fill::kContinue && !system.at(vma).flags.shared)) {
    return fill_here(system, mm, vma, page, fill, bytes);
  }
  const Result<void> filled = fill_from_file(system, mm, vma, page, fill, bytes);
  // Behind the end of the file. Compare Linux mm/shmem.c: shmem_get_folio_gfp(), for a page that may not come to be.
  const bool behind = !filled && filled.error() == Errno::kSigBus;
  return behind ? Result<void>(fill == Fill::kContinue ? Errno::kInvalid : Errno::kFault) : filled;
}

template <class G>
Result<void> fill(System<G>& system, ProcessId process, Vaddr address, Fill fill, std::span<const std::byte> bytes) {
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, ByteCount{Geometry<G>::kPageBytes}));
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "uffd-fill", held.ref(), range);
  while (true) {
    auto done = fill_locked(system, held.mm(), range.begin, fill, bytes);
    if (done || done.error() != kTablesShared) return done;
    COWHERD_TRY(lock_and_own_tables(system, held.mm(), range.begin));
  }
}

}  // namespace

/// Two may fill the same place, or one may fill it while a pin or a debugger faults there that began before the memory
/// was registered:
///
///   handler                                another one
///   the place is empty
///                                          put a page there; a thread stores to it
///   put a page there: the store is lost
///
/// Allowed because the entry is looked at with the lock of its table held. Compare Linux mm/userfaultfd.c:
/// mfill_atomic_pte_copy().
template <class G>
Result<void> fill_anonymous(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, std::span<const std::byte> bytes) {
  const bool zero_page = bytes.empty();
  FrameNumber frame = Frames<G>::kZeroPage;
  // Fork hands on what a private mapping of a file has of its own by that.
  if (!zero_page || system.at(vma).mapping) COWHERD_TRY(prepare_anon_vma(system, mm, vma));
  if (!zero_page) {
    COWHERD_TRY_ASSIGN(allocated, allocate_page_for(system, system.at(vma)));
    frame = allocated;
    write_page(system, frame, bytes);
  }
  const Live live(system, "fill-anonymous", frame);
  const auto give_up = [&](Errno why) {
    if (!zero_page && !COWHERD_MUTANT(uffd_fill_leaks_page)) system.frames().free(frame);
    return why;
  };
  auto place = place_of(system, mm, page);
  if (!place) return give_up(place.error());
  PageTableGuard<G> guard(system, mm, *place);
  if (guard.blocked()) {
    (void)give_up(Errno::kWouldBlock);
    return would_block(system, Point::kPageTableLock);
  }
  // What the handler has forbidden it may bring after all.
  const Entry there = place->load();
  const bool may_bring = there.is_marker() || (there.is_forbidden() && !COWHERD_MUTANT(uffd_fill_stops_at_poison));
  const bool free = there.none() || (!zero_page && may_bring);
  if (!free && !COWHERD_MUTANT(uffd_fill_recheck_dropped)) {
    guard.release();
    return give_up(Errno::kExist);
  }
  const Vma& area = system.at(vma);
  if (!zero_page) {
    add_new_anon_page(system, frame, area, page);
    add_rss(system, *place, 1);
  }
  point(system, mm, Point::kSetEntry);
  const Entry made = make_entry(frame, area, !zero_page);
  // What was there is counted already.
  there.none() ? guard.set(*place, made) : place->store(made);
  system.note({.kind = EventKind::kUffdFilled, .decision = Decision::kUffdContinue, .page = page, .frame = frame});
  return {};
}

template <class G>
Result<void> uffd_copy(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> page) {
  return fill(system, process, address, Fill::kCopy, page);
}

template <class G>
Result<void> uffd_zeropage(System<G>& system, ProcessId process, Vaddr address) {
  return fill(system, process, address, Fill::kZeroPage, {});
}

template <class G>
Result<void> uffd_poison(System<G>& system, ProcessId process, Vaddr address) {
  return fill(system, process, address, Fill::kPoison, {});
}

template <class G>
Result<void> uffd_continue(System<G>& system, ProcessId process, Vaddr address) {
  return fill(system, process, address, Fill::kContinue, {});
}

#define COWHERD_INSTANTIATE(G)                                                                         \
  template Result<void> fill_anonymous<G>(System<G>&, Mm&, Ref<Vma>, Vpn, std::span<const std::byte>); \
  template Result<void> uffd_copy<G>(System<G>&, ProcessId, Vaddr, std::span<const std::byte>);        \
  template Result<void> uffd_zeropage<G>(System<G>&, ProcessId, Vaddr);                                \
  template Result<void> uffd_poison<G>(System<G>&, ProcessId, Vaddr);                                  \
  template Result<void> uffd_continue<G>(System<G>&, ProcessId, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
