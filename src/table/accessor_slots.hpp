#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/geometry.hpp"
#include "base/lock_word.hpp"
#include "base/memory_orders.h"
#include "base/process_fence.hpp"
#include "cowherd/accessor_slot.hpp"

namespace cowherd {

/// The accessors of a machine: who remembers translations, and is told to forget them. What processors with their TLBs
/// are to a kernel, and the shootdown.
///
/// An access through an entry that is remembered costs two plain stores and no fence. Who takes an entry away makes up
/// for that with a fence in every thread:
///
///   accessor                               whoever takes the entry away
///   state = inside
///   (compiler fence)
///                                          clear the entry
///                                          generation = generation + 1
///                                          full fence in every thread
///   read generation
///   load or store through the entry
///   state = outside
///                                          is it inside? wait
///                                          free the page
///
/// The accessor's fence comes either after its store of `state`, and then it is seen inside and waited for; or before
/// that, and then it reads the new generation, uses no entry that it remembers, and walks the tables: allowed because
/// the fence stands at one place of what the accessor does, and both its write and its read are on one side of it or
/// the other. An accessor that is inside again and again is not waited for for ever: once it has said that it heeds the
/// generation, what it uses was found after the change.
///
/// Who walks tables enters behind a fence of its own, so that no other fence is needed against that. While an accessor
/// is away, in a fault say, none is needed either: it comes back by walking. Where the host has no fence for all
/// threads each access has its own (AccessorSlot::fenced).
///
/// Lives in a Machine, zero is empty. In a geometry that is explored there are none: the modelled TLBs of a Scheduler
/// stand for the accessors, and forget_translations() for all that flush() does. There an access takes one move for the
/// entry that its agent remembers and one for having forgotten it, which is any moment at which an accessor's entry may
/// have been replaced; it stores through what it remembers only where the dirty bit was set when it was found, and so
/// does an accessor. An access is one step there, as it is here between `inside` and `outside` to whoever flushes.
template <class G>
class AccessorSlots {
 public:
  static constexpr std::size_t kSlots = 48;

  /// A slot for a new accessor of address space `mm`; null: there are kSlots already.
  AccessorSlot* claim(std::uint32_t mm, bool fenced) {
    for (std::size_t i = 0; i < kSlots; ++i) {
      AccessorSlot& slot = slots_[i];
      std::uint32_t free = 0;
      if (std::atomic_ref(slot.mm).load(std::memory_order_relaxed) != 0 ||
          !std::atomic_ref(slot.mm).compare_exchange_strong(free, kTaken, std::memory_order_acq_rel)) {
        continue;
      }
      std::atomic_ref(slot.fenced).store(fenced ? 1 : 0, std::memory_order_relaxed);
      std::atomic_ref(slot.state).store(AccessorSlot::kAway, std::memory_order_relaxed);
      std::uint32_t seen = std::atomic_ref(used_).load(std::memory_order_relaxed);
      while (seen < i + 1 && !std::atomic_ref(used_).compare_exchange_weak(seen, static_cast<std::uint32_t>(i + 1),
                                                                           order::kSlotEnter)) {
      }
      // From here on it is told. It has not walked before.
      std::atomic_ref(slot.mm).store(mm, order::kSlotEnter);
      return &slot;
    }
    return nullptr;
  }
  /// Precondition: its accessor is in no access.
  void release(AccessorSlot& slot) {
    std::atomic_ref(slot.state).store(AccessorSlot::kAway, order::kSlotLeave);
    std::atomic_ref(slot.mm).store(0, order::kSlotLeave);
  }

  /// Whether any accessor of `mm` is there.
  [[nodiscard]] bool any(std::uint32_t mm) {
    bool found = false;
    for_each(mm, [&](AccessorSlot&) { found = true; });
    return found;
  }

  /// The accessors of `mm` forget everything: when this returns nobody loads or stores through an entry that was there
  /// before the call. The caller may be an accessor's own thread if that is away.
  void flush(std::uint32_t mm) {
    bool needs_fence = false;
    for_each(mm, [&](AccessorSlot& slot) {
      std::atomic_ref(slot.generation).fetch_add(1, order::kGenerationChange);
      needs_fence = needs_fence || (std::atomic_ref(slot.fenced).load(std::memory_order_relaxed) == 0 &&
                                    std::atomic_ref(slot.state).load(order::kSlotLoad) != AccessorSlot::kAway);
    });
    if (needs_fence) fence_all_threads();
    for_each(mm, [](AccessorSlot& slot) { wait_outside(slot); });
  }

  /// When this returns no accessor of `mm` is in a walk that it was in when this was called.
  void wait_for_walks(std::uint32_t mm) {
    for_each(mm, [](AccessorSlot& slot) {
      const std::uint64_t seen = std::atomic_ref(slot.state).load(order::kSlotLoad);
      if (is_walking(seen)) wait_while(slot, [seen](std::uint64_t state) { return state == seen; });
    });
  }

 private:
  /// As `mm` of a slot: nobody's yet.
  static constexpr std::uint32_t kTaken = ~std::uint32_t{0};

  static bool is_walking(std::uint64_t state) { return (state & AccessorSlot::kWalking) == AccessorSlot::kWalking; }
  template <class Stays>
  static void wait_while(AccessorSlot& slot, Stays&& stays) {
    for (unsigned round = 0; stays(std::atomic_ref(slot.state).load(order::kSlotLoad)); ++round) spin_pause(round);
  }
  static void wait_outside(AccessorSlot& slot) {
    const std::uint64_t generation = std::atomic_ref(slot.generation).load(std::memory_order_relaxed);
    const std::uint64_t seen = std::atomic_ref(slot.state).load(order::kSlotLoad);
    if (is_walking(seen)) {
      wait_while(slot, [seen](std::uint64_t state) { return state == seen; });
    } else if (seen == AccessorSlot::kInside) {
      wait_while(slot, [&](std::uint64_t state) {
        return state == AccessorSlot::kInside && std::atomic_ref(slot.heeded).load(order::kSlotLoad) < generation;
      });
    }
  }
  template <class Visit>
  void for_each(std::uint32_t mm, Visit&& visit) {
    const std::size_t used = std::atomic_ref(used_).load(order::kSlotLoad);
    for (std::size_t i = 0; i < used; ++i) {
      if (std::atomic_ref(slots_[i].mm).load(order::kSlotLoad) == mm) visit(slots_[i]);
    }
  }

  /// Slots from here on were never claimed.
  alignas(64) std::uint32_t used_ = 0;
  std::array<AccessorSlot, kSlots> slots_{};
};

template <class G>
requires G::kExplored class AccessorSlots<G> {
};

}  // namespace cowherd
