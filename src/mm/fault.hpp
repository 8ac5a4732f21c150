#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

enum class FaultKind : std::uint8_t {
  kRead,
  kWrite,
  /// A reference for reading is about to be taken: the page has to be the faulting process's own, and stays read-only.
  kUnshare,
};

/// How often an access tries again before it gives up on a fault that never lets it through.
inline constexpr int kMaxFaultRetries = 8;

/// Makes `page` of `vma` accessible, as far as the VMA allows. The caller has checked that it may ask for it.
/// ENOMEM, kWouldBlock; nothing has changed then. Compare Linux mm/memory.c: handle_mm_fault().
template <class G>
Result<void> handle_fault(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind)
    COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
