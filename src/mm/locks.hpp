#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "back/anon_rmap.hpp"
#include "back/page_cache.hpp"
#include "base/lock_ranks.hpp"
#include "base/mutant.hpp"
#include "mm/biased_lock.hpp"
#include "mm/objects.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Books what the running agent holds, and reports a lock taken against the order of ranks.
template <class G>
void note_locked(System<G>& system, LockRank rank) {
  if constexpr (System<G>::kChecksLocks) {
    if (!system.held_locks().push(rank)) system.report(Violation::kLockOrder);
  }
}
template <class G>
void note_unlocked(System<G>& system, LockRank rank) {
  if constexpr (System<G>::kChecksLocks) system.held_locks().pop(rank);
}

/// The page lock of a user page, which may be slept for. Nobody frees the page while it is held or waited for.
template <class G>
void lock_page_of(System<G>& system, FrameNumber frame) {
  FrameDescriptor& page = system.descriptor(frame);
  if constexpr (G::kExplored) {
    (void)wait_until<G, FrameDescriptor>(system, Point::kPageLock, page,
                                         [](const FrameDescriptor& p) { return !p.locked(); });
  }
  page.lock(false);
  note_locked(system, LockRank::kPageLock);
}
/// Without waiting, and so in any order.
template <class G>
bool try_lock_page_of(System<G>& system, FrameNumber frame) {
  if (!system.descriptor(frame).try_lock()) return false;
  if constexpr (System<G>::kChecksLocks) (void)system.held_locks().push(LockRank::kPageLock);
  return true;
}
/// As lock_page_of(); kWouldBlock where nobody could let go of it, since operations run to their end.
template <class G>
Result<void> wait_for_page_lock(System<G>& system, FrameNumber frame) {
  if (G::kExplored && system.scheduler() == nullptr) {
    return try_lock_page_of(system, frame) ? Result<void>() : Errno::kWouldBlock;
  }
  lock_page_of(system, frame);
  return {};
}
template <class G>
void unlock_page_of(System<G>& system, FrameNumber frame) {
  note_unlocked(system, LockRank::kPageLock);
  system.descriptor(frame).unlock();
}

/// Whether a page-table lock of `mm` was left held for ever, so that nothing goes on in it.
inline bool stuck(const Mm& mm) { return mm.upper_lock.abandoned(); }

/// Holds a lock word for a scope, plain or biased. `blocked()`: it was not to be had, and its holder has to leave
/// without touching what the lock guards; only without a scheduler, or where the lock is abandoned.
template <class G, LockRank kRank, Point kPoint, bool kShared = false, class Lock = LockWord&>
class COWHERD_SCOPED_CAPABILITY WordGuard {
 public:
  /// `alone`: no other agent can ask for this lock now.
  WordGuard(System<G>& system, Lock lock, bool alone) COWHERD_ACQUIRE(lock) : system_(system), lock_(lock) {
    held_ = acquire(alone);
    if (held_) note_locked(system_, kRank);
  }
  ~WordGuard() COWHERD_RELEASE() { release(); }
  WordGuard(const WordGuard&) = delete;
  WordGuard& operator=(const WordGuard&) = delete;

  [[nodiscard]] bool blocked() const { return !held_; }
  void release() {
    if (!held_) return;
    held_ = false;
    note_unlocked(system_, kRank);
    if constexpr (kShared) {
      lock_.unlock_shared();
    } else {
      lock_.unlock();
    }
  }
  /// The lock's memory is gone, and nobody waits for it.
  void forget() {
    if (held_) note_unlocked(system_, kRank);
    held_ = false;
  }

 private:
  bool acquire(bool alone) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
    if constexpr (G::kExplored) {
      if (system_.scheduler() != nullptr && (!alone || !lock_.available(kShared))) {
        (void)wait_until<G, LockWord>(system_, kPoint, lock_, [](const LockWord& l) { return l.available(kShared); });
      }
      return kShared ? lock_.try_lock_shared() : lock_.try_lock();
    } else {
      constexpr bool kSpins = !kLockRanks[static_cast<std::size_t>(kRank)].may_sleep;
      return kShared ? lock_.lock_shared(kSpins) : lock_.lock(kSpins);
    }
  }

  System<G>& system_;
  Lock lock_;
  bool held_;
};

/// The mmap lock as it is taken: where agents are threads it is biased towards readers.
template <class G>
using MmapLock = std::conditional_t<G::kExplored, LockWord&, BiasedLock<G>>;
template <class G>
MmapLock<G> mmap_lock_of(System<G>& system, Mm& mm) {
  if constexpr (G::kExplored) {
    return mm.mmap_lock;
  } else {
    return BiasedLock<G>(mm, system.walker_slots(), system.ref(mm).unit);
  }
}

template <class G, bool kShared>
class COWHERD_SCOPED_CAPABILITY MmapGuard
    : public WordGuard<G, LockRank::kMmapLock, Point::kMmapLock, kShared, MmapLock<G>> {
 public:
  MmapGuard(System<G>& system, Mm& mm) COWHERD_ACQUIRE(mm.mmap_lock) COWHERD_NO_THREAD_SAFETY_ANALYSIS
      : WordGuard<G, LockRank::kMmapLock, Point::kMmapLock, kShared, MmapLock<G>>(system, mmap_lock_of(system, mm),
                                                                                  alone(system, mm)) {}
  ~MmapGuard() COWHERD_RELEASE() = default;
};
template <class G>
using MmapReadGuard = MmapGuard<G, true>;
template <class G>
using MmapWriteGuard = MmapGuard<G, false>;

template <class G>
class COWHERD_SCOPED_CAPABILITY UpperTableGuard
    : public WordGuard<G, LockRank::kUpperTableLock, Point::kPageTableLock> {
 public:
  UpperTableGuard(System<G>& system, Mm& mm) COWHERD_ACQUIRE(mm.upper_lock)
      : WordGuard<G, LockRank::kUpperTableLock, Point::kPageTableLock>(system, mm.upper_lock, alone(system, mm)) {}
  ~UpperTableGuard() COWHERD_RELEASE() = default;
};

template <class G>
class COWHERD_SCOPED_CAPABILITY ListGuard : public WordGuard<G, LockRank::kListLock, Point::kProcesses> {
 public:
  explicit ListGuard(System<G>& system, bool alone = false) COWHERD_ACQUIRE(system.list_lock())
      : WordGuard<G, LockRank::kListLock, Point::kProcesses>(system, system.list_lock(), alone) {}
  ~ListGuard() COWHERD_RELEASE() = default;
};

/// Over the list of a file's mappings and the index of its cached pages.
template <class G, bool kShared>
class COWHERD_SCOPED_CAPABILITY MappingGuard
    : public WordGuard<G, LockRank::kMappingLock, Point::kMappingLock, kShared> {
 public:
  MappingGuard(System<G>& system, Ref<File> file) COWHERD_ACQUIRE(system.at(file).mapping_lock)
      : WordGuard<G, LockRank::kMappingLock, Point::kMappingLock, kShared>(system, system.at(file).mapping_lock,
                                                                           false) {}
  ~MappingGuard() COWHERD_RELEASE() = default;
};

/// Over the size of a file.
template <class G>
class COWHERD_SCOPED_CAPABILITY FileGuard : public WordGuard<G, LockRank::kFileLock, Point::kFileLock> {
 public:
  FileGuard(System<G>& system, Ref<File> file) COWHERD_ACQUIRE(system.at(file).file_lock)
      : WordGuard<G, LockRank::kFileLock, Point::kFileLock>(system, system.at(file).file_lock, false) {}
  ~FileGuard() COWHERD_RELEASE() = default;
};

/// Over the blocks of the disk, which are those of the swap area.
template <class G>
class COWHERD_SCOPED_CAPABILITY BlockGuard : public WordGuard<G, LockRank::kSwapLock, Point::kDisk> {
 public:
  explicit BlockGuard(System<G>& system) COWHERD_ACQUIRE(system.swap().lock())
      : WordGuard<G, LockRank::kSwapLock, Point::kDisk>(system, system.swap().lock(), false) {}
  ~BlockGuard() COWHERD_RELEASE() = default;
};

/// Over faults on hugetlb memory. Compare Linux mm/hugetlb.c: hugetlb_fault_mutex_table, of which this is one.
template <class G>
class COWHERD_SCOPED_CAPABILITY HugetlbFaultGuard
    : public WordGuard<G, LockRank::kHugetlbFaultLock, Point::kHugetlbFaultLock> {
 public:
  explicit HugetlbFaultGuard(System<G>& system) COWHERD_ACQUIRE(system.pool().fault_lock)
      : WordGuard<G, LockRank::kHugetlbFaultLock, Point::kHugetlbFaultLock>(system, system.pool().fault_lock, false) {}
  ~HugetlbFaultGuard() COWHERD_RELEASE() = default;
};

/// Over the hugetlb pool.
template <class G>
class COWHERD_SCOPED_CAPABILITY PoolGuard : public WordGuard<G, LockRank::kPoolLock, Point::kPoolLock> {
 public:
  explicit PoolGuard(System<G>& system) COWHERD_ACQUIRE(system.pool().lock)
      : WordGuard<G, LockRank::kPoolLock, Point::kPoolLock>(system, system.pool().lock, false) {}
  ~PoolGuard() COWHERD_RELEASE() = default;
};

/// For writing, over the list that a VMA is on; nothing where it maps no file.
template <class G>
class VmaMappingGuard {
 public:
  VmaMappingGuard(System<G>& system, Ref<Vma> vma) : system_(system) {
    if (system.at(vma).mapping) lock(system.at(system.at(vma).mapping).file);
  }
  ~VmaMappingGuard() {
    if (lock_ == nullptr) return;
    note_unlocked(system_, LockRank::kMappingLock);
    lock_->unlock();
  }
  VmaMappingGuard(const VmaMappingGuard&) = delete;
  VmaMappingGuard& operator=(const VmaMappingGuard&) = delete;

 private:
  void lock(Ref<File> file) {
    if constexpr (G::kExplored) {
      if (system_.scheduler() != nullptr) {
        (void)wait_until<G, LockWord>(system_, Point::kMappingLock, system_.at(file).mapping_lock,
                                      [](const LockWord& l) { return l.available(false); });
      }
    }
    lock_ = &system_.at(file).mapping_lock;
    (void)lock_->lock(false);
    note_locked(system_, LockRank::kMappingLock);
  }

  System<G>& system_;
  LockWord* lock_ = nullptr;
};

template <class G>
class COWHERD_SCOPED_CAPABILITY SwapGuard : public WordGuard<G, LockRank::kSwapLock, Point::kSwapSlot> {
 public:
  explicit SwapGuard(System<G>& system) COWHERD_ACQUIRE(system.swap().lock())
      : WordGuard<G, LockRank::kSwapLock, Point::kSwapSlot>(system, system.swap().lock(), false) {}
  ~SwapGuard() COWHERD_RELEASE() = default;
};

/// For writing, over the family of anon_vmas that `vma` belongs to; nothing where it belongs to none.
template <class G>
class AnonVmaGuard {
 public:
  AnonVmaGuard(System<G>& system, const Mm& mm, Ref<Vma> vma) : system_(system) {
    const Ref<AnonVma> root = anon_vma_root(system.frames(), vma);
    if (root) {
      // Only the address spaces of one family of processes share lists. What is read for that is not locked yet, and
      // natively is not read.
      const bool only_one =
          !kWatched && alone(system, mm) && system.at(root).chains == 1 && system.at(root).children == 0;
      if constexpr (G::kExplored) {
        if (system.scheduler() != nullptr && !only_one) {
          (void)wait_until<G, LockWord>(system, Point::kAnonVmaLock, system.at(root).lock,
                                        [](const LockWord& l) { return l.available(false); });
        }
      }
      lock_ = &system.at(root).lock;
      (void)lock_->lock(false);
      note_locked(system, LockRank::kAnonVmaLock);
    }
  }
  ~AnonVmaGuard() {
    if (lock_ != nullptr) {
      note_unlocked(system_, LockRank::kAnonVmaLock);
      lock_->unlock();
    }
  }
  AnonVmaGuard(const AnonVmaGuard&) = delete;
  AnonVmaGuard& operator=(const AnonVmaGuard&) = delete;

 private:
  System<G>& system_;
  LockWord* lock_ = nullptr;
};

/// The lock of the lowest table that holds `slot`.
template <class G>
class PageTableGuard {
 public:
  PageTableGuard(System<G>& system, Mm& mm, EntrySlot slot)
      : system_(system), mm_(mm), table_(system.tables(mm).table_of(slot)) {
    held_ = acquire();
    if (held_) note_locked(system_, LockRank::kPageTableLock);
  }
  ~PageTableGuard() { release(); }
  PageTableGuard(const PageTableGuard&) = delete;
  PageTableGuard& operator=(const PageTableGuard&) = delete;

  [[nodiscard]] bool blocked() const { return !held_; }
  /// Sets an entry of this table that was none. Natively it is counted when the lock goes, in the same access: who asks
  /// how many there are holds the lock.
  void set(EntrySlot slot, Entry entry) {
    if constexpr (G::kExplored) {
      system_.tables(mm_).set(slot, entry);
    } else {
      slot.store(entry);
      ++used_;
    }
  }
  void release() {
    if (!held_) return;
    held_ = false;
    note_unlocked(system_, LockRank::kPageTableLock);
    system_.descriptor(table_).unlock_table(std::exchange(used_, 0));
  }
  /// After release(): false as blocked().
  bool lock_again() {
    held_ = acquire();
    if (held_) note_locked(system_, LockRank::kPageTableLock);
    return held_;
  }
  /// Leaves the lock held for ever, as a return in the wrong place does.
  void leak() {
    held_ = false;
    note_unlocked(system_, LockRank::kPageTableLock);
    system_.report(Violation::kLockHeld);
    mm_.upper_lock.abandon();
  }

 private:
  bool acquire() {
    if (COWHERD_MUTANT(table_lock_ignored)) return true;
    FrameDescriptor& table = system_.descriptor(table_);
    if constexpr (G::kExplored) {
      // A table that other address spaces have too is nobody's alone.
      const bool only_one = alone(system_, mm_) && table.references() == 1;
      if (system_.scheduler() != nullptr && (!only_one || table.locked())) {
        (void)wait_until<G, FrameDescriptor>(system_, Point::kPageTableLock, table,
                                             [](const FrameDescriptor& t) { return !t.locked(); });
      }
      return table.try_lock();
    } else {
      for (unsigned round = 0; !table.try_lock(); ++round) {
        if (stuck(mm_)) return false;
        spin_pause(round);
      }
      return true;
    }
  }

  System<G>& system_;
  Mm& mm_;
  FrameNumber table_;
  std::uint32_t used_ = 0;
  bool held_;
};

}  // namespace cowherd::mm
