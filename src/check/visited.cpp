#include "check/visited.hpp"

namespace cowherd::check {

void VisitedSet::clear() {
  if (slots_.size() != kFirstSlots || used_ != 0) {
    slots_.assign(kFirstSlots, Slot{});
    used_ = 0;
  }
}

VisitedSet::Slot& VisitedSet::find(std::uint64_t hash) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].number != kFree && slots_[at].hash != hash) at = (at + 1) & mask;
  return slots_[at];
}

std::pair<std::uint32_t, bool> VisitedSet::insert(std::uint64_t hash, std::uint32_t number) {
  Slot& slot = find(hash);
  if (slot.number != kFree) return {slot.number, false};
  slot = {hash, number};
  if (++used_ * 3 > slots_.size() * 2) grow();
  return {number, true};
}

void VisitedSet::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.number != kFree) find(slot.hash) = slot;
  }
}

}  // namespace cowherd::check
