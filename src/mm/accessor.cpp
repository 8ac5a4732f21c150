#include "cowherd/accessor.hpp"

#include <algorithm>
#include <utility>

#include "base/process_fence.hpp"
#include "base/racing_bytes.hpp"
#include "mm/access.hpp"
#include "mm/fault.hpp"
#include "mm/machine_impl.hpp"
#include "mm/page.hpp"

namespace cowherd {

namespace {

using G = ProductionGeometry;

/// Pages that one visit moves at most: whoever flushes waits for its end.
constexpr unsigned kPagesPerVisit = 16;

}  // namespace

Result<Accessor> AddressSpace::accessor() {
  mm::System<G>& system = impl_->system;
  const std::uint32_t mm = system.ref(mm::mm_of(system, process_)).unit;
  AccessorSlot* slot = system.accessor_slots().claim(mm, !enable_process_fence());
  if (slot == nullptr) {
    return Errno::kAgain;
  }
  return Accessor(impl_, slot);
}

Accessor::Accessor(Machine::Impl* impl, AccessorSlot* slot) : slot_(slot), fenced_(slot->fenced != 0), impl_(impl) {
  forget();
}

Accessor::Accessor(Accessor&& other) noexcept
    : slot_(std::exchange(other.slot_, nullptr)), fenced_(other.fenced_), walks_(other.walks_), impl_(other.impl_) {
  forget();
}

Accessor& Accessor::operator=(Accessor&& other) noexcept {
  if (this != &other) {
    destroy();
    slot_ = std::exchange(other.slot_, nullptr);
    heeded_ = kNever;
    fenced_ = other.fenced_;
    walks_ = other.walks_;
    impl_ = other.impl_;
    forget();
  }
  return *this;
}

Accessor::~Accessor() { destroy(); }

void Accessor::destroy() {
  if (slot_ != nullptr) impl_->system.accessor_slots().release(*slot_);
}

void Accessor::forget() { table_.fill({kNoPage, 0}); }

Errno Accessor::find(Vaddr address, bool write) {
  mm::System<G>& system = impl_->system;
  mm::Mm& mm = system.at(Ref<mm::Mm>{slot_->mm});
  const Vpn page = Geometry<G>::page_of(address);
  const std::atomic_ref state(slot_->state);
  if (page.value() >= Geometry<G>::kUserPages) {
    return Errno::kSigSegv;
  }
  mm::RetryLimit<G> limit(system);
  while (true) {
    // A visit has a number, so that whoever waits for one is not kept by the next.
    state.exchange(++walks_ << AccessorSlot::kVisitShift | AccessorSlot::kWalking, order::kSlotEnter);
    const std::uint64_t generation = std::atomic_ref(slot_->generation).load(order::kGenerationLoad);
    if (generation != heeded_) {
      forget();
      heeded_ = generation;
      std::atomic_ref(slot_->heeded).store(generation, order::kSlotLeave);
    }
    const Entry entry = mm::walk(system, mm, page, write);
    if (entry.present()) {
      const std::uint64_t base = Geometry<G>::address_of(page).value();
      const bool stores = entry.writable() && entry.dirty();
      translation(address) = {base | (stores ? kWritable : 0),
                              reinterpret_cast<std::uintptr_t>(system.frames().bytes(entry.frame())) - base};
      leave();
      return Errno{0};
    }
    state.store(AccessorSlot::kAway, order::kSlotLeave);
    const auto handled = limit.reached() ? Result<void>(Errno::kSigBus) : mm::fault_access(system, mm, address, write);
    if (!handled) {
      // What was changed while it was away it has not been told for certain; the next access walks.
      heeded_ = kNever;
      return at_border(handled.error()).code;
    }
  }
}

template <bool kStore, class Byte>
Errno Accessor::move_bytes(Vaddr address, std::span<Byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    enter();
    bool known = current();
    for (unsigned pages = 0; known && pages < kPagesPerVisit && done < bytes.size(); ++pages) {
      const Vaddr at = address + ByteCount{done};
      const Translation& found = translation(at);
      known = (kStore ? found.tag : found.tag | kWritable) == ((at.value() & kPageMask) | kWritable);
      if (!known) break;
      auto* const place = reinterpret_cast<std::byte*>(at.value() + found.addend);  // NOLINT(performance-no-int-to-ptr)
      const std::size_t part = std::min(bytes.size() - done, kPageBytes - Geometry<G>::offset_of(at));
      if constexpr (kStore) {
        copy_racing(place, bytes.data() + done, part);
      } else {
        copy_racing(bytes.data() + done, place, part);
      }
      done += part;
    }
    leave();
    if (!known) {
      if (const Errno error = find(address + ByteCount{done}, kStore); error != Errno{0}) return error;
    }
  }
  return Errno{0};
}

Result<void> Accessor::read(Vaddr address, std::span<std::byte> to) {
  const Errno error = move_bytes<false>(address, to);
  return error == Errno{0} ? Result<void>() : Result<void>(error);
}

Result<void> Accessor::write(Vaddr address, std::span<const std::byte> from) {
  const Errno error = move_bytes<true>(address, from);
  return error == Errno{0} ? Result<void>() : Result<void>(error);
}

}  // namespace cowherd
