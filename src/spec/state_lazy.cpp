#include <bit>
#include <utility>

#include "spec/state.hpp"

namespace cowherd::spec {

void State::free_lazily(SpaceId space, std::uint8_t page) {
  Page& freed = spaces_[space.value()].pages[page];
  if (freed.has_failed()) return wipe(space, page);
  freed.failure = Failure::kNone;
  unsigned words = 0;
  for (std::uint8_t word = 0; word < kWordsPerPage; ++word) words |= (freed.words[word] != 0 ? 1u : 0u) << word;
  freed.lazy = {static_cast<std::uint8_t>(words), words != 0};
  if (freed.presence != Presence::kAbsent) freed.presence = Presence::kFreed;
  if (freed.mark == Mark::kYes) freed.mark = Mark::kMaybe;
}

void State::lose(SpaceId space, std::uint8_t page) {
  Page& lost = spaces_[space.value()].pages[page];
  for (std::uint8_t word = 0; word < kWordsPerPage; ++word) {
    if (!contains(lost.lazy.words, word)) continue;
    const std::int64_t before = lost.words[word];
    for_each_holder(space, page, [&](SpecPinId pin, std::uint8_t index) { note_past(pin, index, word, before, 0); });
    lost.words[word] = 0;
    lost.writers[word] = Writer::kNone;
  }
  lost.lazy = {};
}

void State::keep(SpaceId space, std::uint8_t page) {
  Lazy& lazy = spaces_[space.value()].pages[page].lazy;
  if (!lazy.may_go) lazy = {};
}

bool State::may_be_lost(SpecPinId pin, std::uint8_t page, std::uint8_t word) const {
  const Pin& of = pins_[pin.value()];
  if (!contains(of.attached, page)) return contains(detached_lazy_[of.slots[page]], word);
  return contains(spaces_[of.space.value()].pages[page_of(pin, page)].lazy.words, word);
}

void State::lose(SpecPinId pin, std::uint8_t page) {
  const Pin& of = pins_[pin.value()];
  if (contains(of.attached, page)) return lose(of.space, page_of(pin, page));
  const std::uint16_t slot = of.slots[page];
  for (unsigned words = std::exchange(detached_lazy_[slot], std::uint8_t{0}); words != 0; words &= words - 1) {
    (void)store_slot(slot, static_cast<std::uint8_t>(std::countr_zero(words)), 0, Writer::kNone);
  }
}

void State::keep(SpecPinId pin, std::uint8_t page) {
  const Pin& of = pins_[pin.value()];
  if (contains(of.attached, page)) return keep(of.space, page_of(pin, page));
  detached_lazy_[of.slots[page]] = 0;
}

}  // namespace cowherd::spec
