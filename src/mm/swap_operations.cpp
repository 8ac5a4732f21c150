#include "base/mutant.hpp"
#include "mm/fault.hpp"
#include "mm/files.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/reclaim.hpp"
#include "mm/reclaim_folio.hpp"
#include "mm/shared_tables.hpp"
#include "mm/shmem_swap.hpp"

namespace cowherd::mm {

namespace {

/// What reclaim did to the page that a process has at an address. EAGAIN: its tables on the way have to be its own, and
/// small.
template <class G>
Result<void> swap_out_locked(System<G>& system, Mm& mm, Vpn page) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!vma) return Errno::kFault;
  COWHERD_TRY(reclaim_page(system, mm, vma, page, system.at(vma).pages));
  return {};
}

/// Makes the tables on the way to the page small and the address space's own, and says EAGAIN then; or that was a huge
/// page, and has gone whole.
template <class G>
Result<void> own_or_swap_out_huge(System<G>& system, Mm& mm, Vpn page) {
  const Live live(system, "own-or-swap-out-huge", page);
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  COWHERD_TRY_ASSIGN(gone, reclaim_huge(system, mm, page, {Vpn{0}, Vpn{Geometry<G>::kUserPages}}));
  return gone ? Result<void>() : Errno::kAgain;
}

template <class G>
Result<void> own_and_look_again(System<G>& system, Mm& mm, Vpn page) {
  COWHERD_TRY(lock_and_own_tables(system, mm, page));
  return Errno::kAgain;
}

template <class G>
Result<void> swap_in_locked(System<G>& system, Mm& mm, Vpn page) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (const Ref<File> file = vma ? shmem_of(system, system.at(vma)) : Ref<File>{}) [[unlikely]] {
    const auto index = static_cast<std::uint32_t>(system.at(vma).index_of(page).value());
    const Live live(system, "look-in-file", vma, file, index);
    COWHERD_TRY_ASSIGN(place, hold_place(system, file, index));
    if (place.frame != Frames<G>::kZeroPage) put_page(system, place.frame);
    if (place.slot) {
      COWHERD_TRY_ASSIGN(back, swap_in_shared(system, file, index, *place.slot));
      if (back == Frames<G>::kZeroPage) return Errno::kFault;
      unlock_cached_page(system, back);
      return {};
    }
  }
  {
    const Live live(system, "look-for-slot", vma);
    point(system, mm, Point::kReadEntry);
    if (!vma || !system.tables(mm).get(page).swap()) return Errno::kFault;
  }
  const auto faulted = handle_fault(system, mm, vma, page, FaultKind::kRead);
  if (!faulted) return faulted.error() == Errno::kHwPoison ? Errno::kFault : faulted.error();
  return *faulted == Faulted::kSharedTable ? Result<void>(Errno::kAgain) : Result<void>();
}

/// Does `operation`, and `own` where it says EAGAIN, until neither does.
template <class G, class Operation, class Own>
Result<void> with_own_tables(System<G>& system, ProcessId process, Vaddr address, Operation&& operation, Own&& own) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "with-own-tables", held.ref(), page);
  while (true) {
    auto done = operation(system, held.mm(), page);
    if (done || done.error() != Errno::kAgain) return done;
    auto owned = own(system, held.mm(), page);
    if (owned || owned.error() != Errno::kAgain) return owned;
  }
}

}  // namespace

template <class G>
Result<void> swap_out(System<G>& system, ProcessId process, Vaddr address) {
  if (!system.has_swap()) return Errno::kNoMemory;
  return with_own_tables(system, process, address, swap_out_locked<G>, own_or_swap_out_huge<G>);
}

template <class G>
Result<void> swap_in(System<G>& system, ProcessId process, Vaddr address) {
  if (!system.has_swap()) return Errno::kFault;
  return with_own_tables(system, process, address, swap_in_locked<G>, own_and_look_again<G>);
}

template <class G>
PageCount reclaim(System<G>& system, PageCount wanted) {
  return system.has_swap() ? reclaim_pages(system, wanted) : PageCount{0};
}

#define COWHERD_INSTANTIATE(G)                                     \
  template Result<void> swap_out<G>(System<G>&, ProcessId, Vaddr); \
  template Result<void> swap_in<G>(System<G>&, ProcessId, Vaddr);  \
  template PageCount reclaim<G>(System<G>&, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
