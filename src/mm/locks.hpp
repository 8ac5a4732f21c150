#pragma once

#include "base/lock_ranks.hpp"
#include "mm/objects.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Holds a lock for a scope and checks the order of ranks. Where the lock was left held by an earlier operation the
/// guard is `blocked()`, and its holder has to return kWouldBlock without touching what the lock guards.
template <class G, LockRank kRank>
class COWHERD_SCOPED_CAPABILITY Guard {
 public:
  Guard(System<G>& system, Lock& lock) COWHERD_ACQUIRE(lock) : system_(system), lock_(lock), blocked_(lock.held) {
    if (!blocked_) {
      lock_.held = true;
      if (!system_.held_locks().push(kRank)) {
        system_.report(Violation::kLockOrder);
      }
    }
  }
  ~Guard() COWHERD_RELEASE() {
    if (!blocked_ && !leaked_) {
      lock_.held = false;
      system_.held_locks().pop(kRank);
    }
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  [[nodiscard]] bool blocked() const { return blocked_; }
  /// Leaves the lock held for ever, as a return in the wrong place does.
  void leak() {
    leaked_ = true;
    system_.held_locks().pop(kRank);
    system_.report(Violation::kLockHeld);
  }

 private:
  System<G>& system_;
  Lock& lock_;
  bool blocked_;
  bool leaked_ = false;
};

template <class G>
using MmapGuard = Guard<G, LockRank::kMmapLock>;
template <class G>
using PageTableGuard = Guard<G, LockRank::kPageTableLock>;

}  // namespace cowherd::mm
