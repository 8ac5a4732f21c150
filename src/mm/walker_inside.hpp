#pragma once

#include <atomic>

#include "base/memory_orders.h"
#include "mm/system.hpp"

namespace cowherd::mm {

/// While one is there, nobody frees a table of the address space under it. Compare Linux: interrupts off in
/// gup_fast(), RCU around a walk without the mmap lock.
template <class G>
class WalkerInside {
 public:
  WalkerInside(System<G>& system, Mm& mm, Vpn page) requires(!G::kExplored)
      : inside_(system.walker_slots(), system.ref(mm).unit, page, WalkerKind::kGup) {}

 private:
  typename WalkerSlots<G>::Inside inside_;
};

template <class G>
requires G::kExplored class WalkerInside<G> {
 public:
  WalkerInside(System<G>&, Mm& mm, Vpn) : walkers_(mm.walkers) { walkers_.fetch_add(1, order::kSlotEnter); }
  ~WalkerInside() { walkers_.fetch_sub(1, order::kSlotLeave); }
  WalkerInside(const WalkerInside&) = delete;
  WalkerInside& operator=(const WalkerInside&) = delete;

 private:
  std::atomic_ref<std::uint8_t> walkers_;
};

}  // namespace cowherd::mm
