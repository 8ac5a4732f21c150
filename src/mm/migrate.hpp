#pragma once

#include "base/schedule.hpp"
#include "mm/fault.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Where a page that is moved may go.
enum class Destination : std::uint8_t {
  kAnywhere,
  /// To normal memory; a page that is there is where it has to be.
  kNormal,
  /// To a lower frame of the same zone, if there is one.
  kLower,
};

/// migrate() in an address space that the caller keeps from going away. Also EBUSY: there is no lower frame.
/// `waits`: for its lock, which it takes together with its reference, so that two who want the page moved do not keep
/// it from each other; EAGAIN, once somebody else has let go of the lock. The mmap lock is held only until the page is
/// found.
template <class G>
Result<void> move_page_at(System<G>& system, Mm& mm, Vpn page, Destination destination, bool waits);

/// Waits until `place` says something else than `entry`, a migration entry: until the page has arrived, or has come
/// back. Whoever moves it needs no lock that a fault holds. Compare Linux mm/filemap.c:
/// migration_entry_wait_on_locked().
template <class G>
Result<Faulted> wait_for_migration(System<G>& system, EntrySlot place, Entry entry) {
  if constexpr (G::kExplored) {
    struct Question {
      EntrySlot place;
      Entry entry;
    };
    const bool gone = wait_until<G, Question>(system, Point::kPageLock, {place, entry},
                                              [](const Question& q) { return q.place.load() != q.entry; });
    return gone ? Result<Faulted>(Faulted::kGaveWay) : Errno::kWouldBlock;
  } else {
    for (unsigned round = 0; place.load() == entry; ++round) spin_pause(round);
    return Faulted::kGaveWay;
  }
}

/// Waits until no page is on its way, for who is about to change where reverse maps lead. With the mmap lock of an
/// address space for writing none sets out in it meanwhile (keep_tables_unshared()).
template <class G>
void wait_for_migrations(System<G>& system) {
  if constexpr (G::kExplored) {
    if (!system.others_come_by_rmap()) return;
    (void)wait_until<G, System<G>>(system, Point::kPageLock, system,
                                   [](const System<G>& s) { return s.pages_on_their_way() == 0; });
  } else {
    for (unsigned round = 0; system.pages_on_their_way() != 0; ++round) spin_pause(round);
  }
}

}  // namespace cowherd::mm
