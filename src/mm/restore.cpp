#include <atomic>

#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "base/try.hpp"
#include "mm/files.hpp"
#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/migrate.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

template <class G>
FrameNumber exchange_root(Mm& mm, FrameNumber root) {
  return std::atomic_ref(mm.root).exchange(root, order::kEntryChange);
}

/// From now on reverse maps lead to `owner` for the VMAs in the tree under `vmas`.
template <class G>
void give_vmas(System<G>& system, const Ref<Vma>& vmas, Mm& from, Ref<Mm> owner) {
  Ref<Vma> root = vmas;
  VmaTree areas(system.frames().objects(), root);
  Ref<Vma> vma = areas.first();
  const Live live(system, "give-vmas", vma);
  for (; vma; vma = areas.next(vma)) {
    const AnonVmaGuard<G> guard(system, from, vma);
    system.at(vma).mm = owner;
  }
}

/// Exchanges what is mapped in two address spaces. `nothing` is a root without entries, which both have meanwhile:
///
///   exchange                             fault in another process that maps one of the pages
///   b has the tables of a
///                                        find a VMA of a by the reverse map
///                                        look in the tables of a: the other's entry for the same page
///   the VMA belongs to b
///
/// and the entry would be taken for one of that VMA. Allowed because in between neither has any entry: a reverse map
/// leads to nothing, and who follows it looks again; a walker without a lock finds nothing, and its fault waits for the
/// mmap lock.
template <class G>
void exchange_contents(System<G>& system, Mm& a, Mm& b, FrameNumber nothing)
    COWHERD_REQUIRES(a.mmap_lock, b.mmap_lock) {
  const Ref<Mm> a_ref = system.ref(a);
  const Ref<Mm> b_ref = system.ref(b);
  point(system, Point::kClearEntry);
  const FrameNumber of_a = exchange_root<G>(a, nothing);
  const FrameNumber of_b = exchange_root<G>(b, nothing);
  const Live live(system, "exchange-contents", of_a, of_b);
  if (!COWHERD_MUTANT(restore_keeps_vma_owners)) {
    give_vmas(system, a.vmas, a, b_ref);
    give_vmas(system, b.vmas, b, a_ref);
  }
  std::swap(a.vmas, b.vmas);
  point(system, Point::kSetEntry);
  (void)exchange_root<G>(a, of_b);
  (void)exchange_root<G>(b, of_a);
}

/// The mapping locks of all files that two address spaces map, while their contents change places: who comes by a
/// file's list meanwhile would look for entries where there are none, and leave them as they are.
template <class G>
class HeldMappings {
 public:
  HeldMappings(System<G>& system, Mm& a, Mm& b) : system_(system), a_(a), b_(b) {
    // In the order of their places, so that two who do this never wait for each other.
    Ref<File> file = next({});
    const Live live(system, "hold-mappings", file);
    for (; file; file = next(file)) {
      if constexpr (G::kExplored) {
        if (system.scheduler() != nullptr) {
          (void)wait_until<G, LockWord>(system, Point::kMappingLock, system.at(file).mapping_lock,
                                        [](const LockWord& l) { return l.available(false); });
        }
      }
      (void)system.at(file).mapping_lock.lock(false);
      note_locked(system, LockRank::kMappingLock);
    }
  }
  ~HeldMappings() {
    for (Ref<File> file = next({}); file; file = next(file)) {
      note_unlocked(system_, LockRank::kMappingLock);
      system_.at(file).mapping_lock.unlock();
    }
  }
  HeldMappings(const HeldMappings&) = delete;
  HeldMappings& operator=(const HeldMappings&) = delete;

 private:
  Ref<File> next(Ref<File> after) {
    Ref<File> found;
    for (Mm* mm : {&a_, &b_}) {
      VmaTree areas = system_.areas(*mm);
      for (Ref<Vma> vma = areas.first(); vma; vma = areas.next(vma)) {
        const Ref<File> file = file_of(system_, system_.at(vma));
        if (file.unit > after.unit && (!found || file.unit < found.unit)) found = file;
      }
    }
    return found;
  }

  System<G>& system_;
  Mm& a_;
  Mm& b_;
};

/// `process` gets what `fresh` has, and the other way round. kWouldBlock.
template <class G>
Result<void> exchange_with(System<G>& system, ProcessId process, ProcessId fresh, FrameNumber nothing) {
  Mm& mm = mm_of(system, process);
  Mm& other = mm_of(system, fresh);
  const PageRange all{Vpn{0}, Vpn{Geometry<G>::kUserPages}};
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  const MmapWriteGuard<G> other_guard(system, other);
  if (!COWHERD_MUTANT(restore_passes_moving_pages)) wait_for_migrations(system);
  const HeldMappings<G> mappings(system, mm, other);
  exchange_contents(system, mm, other, nothing);
  // Who found a page or a table under this address space before is under no other's number.
  if (!COWHERD_MUTANT(restore_without_flush)) flush_range(system, mm, all);
  if (!COWHERD_MUTANT(restore_waits_for_nobody)) wait_for_walkers(system, mm, all);
  return {};
}

}  // namespace

template <class G>
Result<void> restore(System<G>& system, ProcessId process, ProcessId from) {
  // Everything that can fail comes first.
  COWHERD_TRY_ASSIGN(nothing, Tables<G>::create(system.frames()));
  auto fresh = fork(system, from, ForkMode::kSharedSubtrees, false);
  if (!fresh) {
    Tables<G>::destroy(system.frames(), nothing);
    return fresh.error();
  }
  disown(system, *fresh);
  const Live live(system, "restore", nothing, *fresh);
  const Result<void> exchanged = exchange_with(system, process, *fresh, nothing);
  Tables<G>::destroy(system.frames(), nothing);
  if (exchanged && COWHERD_MUTANT(restore_keeps_old_pages)) return {};
  const Result<void> gone = exit(system, *fresh);
  return exchanged ? gone : exchanged;
}

#define COWHERD_INSTANTIATE(G) template Result<void> restore<G>(System<G>&, ProcessId, ProcessId);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
