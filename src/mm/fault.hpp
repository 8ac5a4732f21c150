#pragma once

#include <cstddef>

#include "mm/system.hpp"

namespace cowherd::mm {

enum class FaultKind : std::uint8_t {
  kRead,
  kWrite,
  /// A reference for reading is about to be taken: the page has to be the faulting process's own, and stays read-only.
  kUnshare,
};

/// Counts how often an access faults before it comes through. Where nobody else runs meanwhile, a fault that never lets
/// it through is an error, and reported; where others do, each fault may have been undone by one of them.
template <class G>
class RetryLimit {
 public:
  explicit RetryLimit(System<G>& system) : system_(system) {}

  bool reached() {
    if (system_.scheduler() != nullptr || ++tries_ <= kMostTries) return false;
    system_.report(Violation::kFaultLoop);
    return true;
  }

 private:
  static constexpr std::uint32_t kMostTries = G::kExplored ? 8 : 1u << 20;

  System<G>& system_;
  std::uint32_t tries_ = 0;
};

/// What a fault has done.
enum class Faulted : std::uint8_t {
  /// The access is to be tried again; perhaps another agent was faster, and there was nothing to do.
  kRetry,
  /// As kRetry; and this fault itself broke copy-on-write, or found that there was nobody to share with. Compare Linux
  /// VM_FAULT_WRITE, until 6.0.
  kMadeOwn,
  /// Nothing yet: a table on the way belongs to other address spaces too, and has to become this one's own first
  /// (shared_tables.hpp).
  kSharedTable,
  /// As kRetry; but so far only what was in the way of a fault of that kind is gone: a NUMA hint, a page's journey, a
  /// device that had the page for itself.
  kGaveWay,
};

/// As `near` of handle_fault(): the page is one of many, more than caches hold, that come one after the other before
/// any is accessed.
inline constexpr std::size_t kOneOfMany = ~std::size_t{0};

/// The place of the entry for `page`, with the tables that it needs and that were not there. ENOMEM, and then no table
/// was made.
template <class G>
Result<EntrySlot> make_slot(System<G>& system, Mm& mm, Vpn page);

/// Gives the VMA an anon_vma of its own where it has none. ENOMEM. Compare Linux mm/rmap.c: __anon_vma_prepare().
template <class G>
Result<void> prepare_anon_vma(System<G>& system, Mm& mm, Ref<Vma> vma);

/// Makes `page` of `vma` accessible, as far as the VMA allows; the access has to be tried again, and may find that
/// another agent has undone it. The caller has checked that it may ask for it. ENOMEM, kWouldBlock; nothing has changed
/// then. kAsksToRead, kAsksToWrite: userfaultfd's handler decides (userfault.hpp). SIGBUS: the page lies behind the end
/// of its file. `near`: where in the page the access goes that comes next.
/// Compare Linux mm/memory.c: handle_mm_fault().
template <class G>
Result<Faulted> handle_fault(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, std::size_t near = 0)
    COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
