#include "spec/state.hpp"

#include <algorithm>
#include <bit>
#include <bitset>
#include <cassert>
#include <utility>

namespace cowherd::spec {

std::uint16_t State::place_of(SpecPinId pin, std::uint8_t page, std::uint8_t word) {
  static_assert(kMaxPages == 16 && kWordsPerPage == 4);
  return static_cast<std::uint16_t>(pin.value() << 6 | page << 2 | word);
}

SpaceId State::free_space() const {
  std::uint8_t chosen = kMaxSpaces;
  for (std::uint8_t i = 0; i < kMaxSpaces; ++i) {
    if (alive(SpaceId{i})) continue;
    if (!remembered(SpaceId{i})) return SpaceId{i};
    if (chosen == kMaxSpaces) chosen = i;
  }
  assert(chosen < kMaxSpaces);
  return SpaceId{chosen};
}

void State::create(SpaceId space) {
  assert(!alive(space));
  // Where a pin remembers the number, it names two spaces from now on; only the culprit of a wrong value can get the
  // wrong name by that.
  if (remembered(space)) provenance_.retire(space);
  alive_ = with(alive_, space.value());
  spaces_[space.value()].mapped = 0;
}

void State::fork(SpaceId parent, SpaceId child, bool told) {
  create(child);
  if (told) tell_of_fork(parent);
  copy_pages(parent, child);
}

void State::restore(SpaceId space, SpaceId from) {
  for (std::uint8_t i = 0; i < kMaxPages; ++i) unmap(space, i);
  copy_pages(from, space);
}

void State::copy_pages(SpaceId parent, SpaceId child) {
  Space& to = spaces_[child.value()];
  const Space& from = spaces_[parent.value()];
  std::uint16_t handed_on = 0xffff;
  for (std::uint8_t i = 0; i < kMaxPages; ++i) {
    if (!contains(from.mapped, i)) continue;
    const Page& page = from.pages[i];
    if (page.dont_fork || page.wipe_on_fork) handed_on = without(handed_on, i);
    if (page.dont_fork) continue;
    to.mapped = with(to.mapped, i);
    to.pages[i] = page;
    to.pages[i].locked = Mark::kNo;
    if (!has(page.uffd, UffdFlags::kEventFork)) {
      to.pages[i].uffd = UffdFlags::kNone;
      to.pages[i].mark = Mark::kNo;
    }
    // Nothing says of a file's page that the child's is forbidden, but what stands beside its owner's own ones.
    if (page.failure == Failure::kForbidden && (page.file != kAnonymous || page.view == View::kShared)) {
      to.pages[i].failure = page.view == View::kShared ? Failure::kNone : Failure::kMaybe;
    }
    if (page.wipe_on_fork) {
      to.pages[i].presence = absence();
      to.pages[i].mark = Mark::kNo;
      to.pages[i].words = {};
      to.pages[i].writers = {};
      to.pages[i].lazy = {};
      to.pages[i].failure = Failure::kNone;
    }
    for (std::uint8_t word = 0; word < kWordsPerPage && !alternatives_.empty(); ++word) {
      const std::span<const PastValue> more = alternatives(parent, i, word);
      for (const PastValue& value : std::vector<PastValue>(more.begin(), more.end())) {
        add_alternative(child, i, word, value.value);
      }
    }
  }
  provenance_.inherit(parent, child, handed_on);
}

void State::drop(SpaceId space) {
  for (std::uint8_t i = 0; i < kMaxPages; ++i) unmap(space, i);
  while (next_event(space) != 0) read_event(space);
  alive_ = without(alive_, space.value());
  if (!remembered(space)) provenance_.retire(space);
}

Page* State::find(SpaceId space, std::uint8_t page) {
  Space& in = spaces_[space.value()];
  return contains(in.mapped, page) ? &in.pages[page] : nullptr;
}

const Page* State::find(SpaceId space, std::uint8_t page) const {
  const Space& in = spaces_[space.value()];
  return contains(in.mapped, page) ? &in.pages[page] : nullptr;
}

void State::map(SpaceId space, std::uint8_t page, Protection protection) {
  unmap(space, page);
  Space& in = spaces_[space.value()];
  in.mapped = with(in.mapped, page);
  in.pages[page] = {.protection = protection, .presence = absence()};
}

void State::unmap(SpaceId space, std::uint8_t page) {
  Space& in = spaces_[space.value()];
  if (!contains(in.mapped, page)) return;
  discard(space, page);
  drop_alternatives(space, page);
  in.mapped = without(in.mapped, page);
}

void State::wipe(SpaceId space, std::uint8_t page) {
  Page& wiped = spaces_[space.value()].pages[page];
  wiped.failure = Failure::kNone;
  // What is shared is not the owner's to discard: it is there again at the next access.
  if (wiped.view == View::kShared) return;
  discard(space, page);
  drop_alternatives(space, page);
  wiped.words = {};
  wiped.writers = {};
  if (wiped.file != kAnonymous) wiped.view = View::kFollows;
  wiped.lazy = {};
  wiped.presence = has(wiped.uffd, UffdFlags::kMissing) ? Presence::kAbsent : absence();
  // Of a file's a marker stays.
  if (wiped.file == kAnonymous) wiped.mark = Mark::kNo;
}

Presence State::absence() const { return huge_ ? Presence::kMaybe : Presence::kAbsent; }

void State::touch(SpaceId space, std::uint8_t page, bool write) {
  Page& touched = spaces_[space.value()].pages[page];
  if (write || touched.presence != Presence::kFreed) touched.presence = Presence::kPresent;
  if (write) touched.mark = Mark::kNo;
}

void State::suspect_equals(SpaceId space, std::uint8_t page) {
  const Page& failed = spaces_[space.value()].pages[page];
  for (std::size_t other = 0; other < kMaxSpaces; ++other) {
    if (!alive(SpaceId{static_cast<std::uint8_t>(other)})) continue;
    for (unsigned pages = spaces_[other].mapped; pages != 0; pages &= pages - 1) {
      Page& suspect = spaces_[other].pages[static_cast<std::size_t>(std::countr_zero(pages))];
      // What MADV_FREE has been said of holds one thing or another.
      const bool vague = failed.lazy.words != 0 || suspect.lazy.words != 0;
      const bool same = vague || suspect.words == failed.words;
      if (&suspect != &failed && same && suspect.failure == Failure::kNone) suspect.failure = Failure::kMaybe;
    }
  }
}

void State::fail(SpaceId space, std::uint8_t page, Failure how) {
  discard(space, page);
  drop_alternatives(space, page);
  Page& failed = spaces_[space.value()].pages[page];
  failed.words = {};
  failed.writers = {};
  failed.lazy = {};
  failed.failure = how;
  failed.presence = Presence::kPresent;
  failed.mark = Mark::kNo;
}

void State::move(SpaceId space, std::uint8_t page, std::uint8_t to, bool stays_mapped) {
  unmap(space, to);
  Space& in = spaces_[space.value()];
  in.mapped = with(in.mapped, to);
  in.pages[to] = in.pages[page];
  if (!has(in.pages[to].uffd, UffdFlags::kEventRemap)) {
    in.pages[to].uffd = UffdFlags::kNone;
    in.pages[to].mark = Mark::kNo;
  }
  for (Pin& pin : pins_) {
    if (pin.count == 0 || pin.space != space) continue;
    for (std::uint8_t index = 0; index < pin.count; ++index) {
      if (!pin.moved) pin.at[index] = static_cast<std::uint8_t>(pin.first + index);
      if (contains(pin.attached, index) && pin.at[index] == page) pin.at[index] = to;
    }
    pin.moved = true;
    settle(pin);
  }
  for (std::uint8_t word = 0; word < kWordsPerPage; ++word) {
    const auto there = alternatives(space, page, word);
    for (const PastValue& value : std::vector<PastValue>(there.begin(), there.end()))
      add_alternative(space, to, word, value.value);
  }
  drop_alternatives(space, page);
  provenance_.moved(space, page, to);
  Page& left = in.pages[page];
  if (stays_mapped) {
    left.locked = Mark::kNo;
    if (left.view == View::kShared) return;
    left.words = {};
    left.writers = {};
    left.lazy = {};
    left.failure = Failure::kNone;
    left.mark = Mark::kNo;
    if (left.file != kAnonymous) {
      left.view = View::kFollows;
    } else {
      left.presence = absence();
    }
  } else {
    in.mapped = without(in.mapped, page);
  }
}

void State::move_content(SpaceId space, std::uint8_t page, std::uint8_t to) {
  const Page target = spaces_[space.value()].pages[to];
  const Mark locked = spaces_[space.value()].pages[page].locked;
  move(space, page, to, true);
  Page& moved = spaces_[space.value()].pages[to];
  moved.dont_fork = target.dont_fork;
  moved.wipe_on_fork = target.wipe_on_fork;
  moved.uffd = target.uffd;
  moved.locked = target.locked;
  moved.presence = Presence::kPresent;
  moved.mark = Mark::kNo;
  Page& left = spaces_[space.value()].pages[page];
  left.locked = locked;
  left.presence = has(left.uffd, UffdFlags::kMissing) ? Presence::kAbsent : absence();
  left.failure = Failure::kNone;
}

void State::settle(Pin& pin) {
  if (!pin.moved) return;
  pin.moved = false;
  for (std::uint8_t index = 0; index < pin.count; ++index) {
    if (contains(pin.attached, index) && pin.at[index] != pin.first + index) pin.moved = true;
  }
}

void State::discard(SpaceId space, std::uint8_t page) {
  const Page& gone = spaces_[space.value()].pages[page];
  std::uint16_t slot = shown(gone);
  // Behind the end of a file nobody holds anything.
  if (gone.view != View::kOwn && slot == kNoSlot) return;
  const auto detach = [&] {
    if (slot != kNoSlot) return;
    slot = free_slot();
    detached_[slot] = gone.words;
    detached_writers_[slot] = gone.writers;
    detached_lazy_[slot] = gone.lazy.words;
  };
  for_each_holder(space, page, [&](SpecPinId holder, std::uint8_t index) {
    detach();
    Pin& pin = pins_[holder.value()];
    const bool loose = contains(pin.loose, index);
    for (std::uint8_t word = 0; word < kWordsPerPage; ++word) {
      if (loose) add_past(holder, index, word, load(space, page, word));
      for (const PastValue& value : alternatives(space, page, word)) add_past(holder, index, word, value.value);
    }
    if (!loose) pin.slots[index] = slot;
    if (gone.view == View::kFollows && pin.strength != Strength::kWrite) pin.loose = with(pin.loose, index);
    pin.attached = without(pin.attached, index);
    settle(pin);
  });
  if (keeper_ == kNobody) return;
  detach();
  keep_stale(space, page, gone.protection, slot);
}

void State::keep_stale(SpaceId space, std::uint8_t page, Protection protection, std::uint16_t slot) {
  if (keeper_ == kNobody) return;
  const StalePage kept{.keeper = keeper_, .space = space, .page = page, .protection = protection, .slot = slot};
  stale_.insert(std::lower_bound(stale_.begin(), stale_.end(), kept,
                                 [](const StalePage& a, const StalePage& b) { return a.before(b); }),
                kept);
}

bool StalePage::before(const StalePage& other) const {
  if (keeper != other.keeper) return keeper < other.keeper;
  if (space != other.space) return space.value() < other.space.value();
  return page < other.page;
}

void State::forget(std::uint8_t keeper) {
  std::erase_if(stale_, [&](const StalePage& stale) { return stale.keeper == keeper; });
}

std::int64_t State::load(const StalePage& stale, std::uint8_t word) const { return detached_[stale.slot][word]; }

void State::store(const StalePage& stale, std::uint8_t word, std::int64_t value) {
  if (store_slot(stale.slot, word, value, Writer::kCpu)) return;
  provenance_.wrote(stale.space, Provenance::kNoPage, Writer::kCpu, value);
}

void State::store(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Writer writer) {
  own(space, page);
  Page& into = spaces_[space.value()].pages[page];
  if (into.view == View::kShared) {
    (void)store_slot(shown(into), word, value, writer);
    return;
  }
  // A page that several had would have been copied first.
  into.failure = Failure::kNone;
  const std::int64_t before = into.words[word];
  const bool may_be_lost = contains(into.lazy.words, word);
  for_each_holder(space, page, [&](SpecPinId pin, std::uint8_t index) {
    if (strength(pin) != Strength::kReadShort) return;
    for (const PastValue& other : alternatives(space, page, word)) add_past(pin, index, word, other.value);
  });
  drop_alternatives(space, page, word);
  for_each_holder(space, page, [&](SpecPinId pin, std::uint8_t index) {
    note_past(pin, index, word, before, value);
    if (may_be_lost) note_past(pin, index, word, 0, value);
  });
  into.words[word] = value;
  into.writers[word] = writer;
  if (into.lazy.words != 0) into.lazy = {static_cast<std::uint8_t>(into.lazy.words & ~(1u << word)), false};
  provenance_.wrote(space, page, writer, value);
}

void State::adopt(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  Page& into = spaces_[space.value()].pages[page];
  into.words[word] = value;
  into.lazy.words = static_cast<std::uint8_t>(into.lazy.words & ~(1u << word));
  if (into.lazy.words == 0) into.lazy.may_go = false;
  provenance_.wrote(space, page, into.writers[word], value);
}

void State::store(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  const Pin& by = pins_[pin.value()];
  const Writer writer = by.get ? Writer::kGet : Writer::kPin;
  if (contains(by.attached, page)) {
    store(by.space, page_of(pin, page), word, value, writer);
    return;
  }
  if (store_slot(by.slots[page], word, value, writer)) return;
  provenance_.wrote(by.space, Provenance::kNoPage, writer, value);
}

void State::note_past(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t from, std::int64_t to) {
  const Pin& noting = pins_[pin.value()];
  if ((noting.strength != Strength::kReadShort && !contains(noting.loose, page)) || from == to) return;
  const PastValue back{place_of(pin, page, word), to};
  add_past(pin, page, word, from);
  const auto again = std::lower_bound(past_.begin(), past_.end(), back);
  if (again != past_.end() && *again == back) past_.erase(again);
}

void State::add_past(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  const PastValue gone{place_of(pin, page, word), value};
  const auto at = std::lower_bound(past_.begin(), past_.end(), gone);
  if (at == past_.end() || *at != gone) past_.insert(at, gone);
}

std::span<const PastValue> State::past(SpecPinId pin, std::uint8_t page, std::uint8_t word) const {
  const std::uint16_t place = place_of(pin, page, word);
  const auto lower = [](const PastValue& value, std::uint16_t wanted) { return value.place < wanted; };
  const auto begin = std::lower_bound(past_.begin(), past_.end(), place, lower);
  const auto end = std::lower_bound(begin, past_.end(), static_cast<std::uint16_t>(place + 1), lower);
  return {begin, end};
}

SpecPinId State::free_pin() const {
  std::uint8_t free = 0;
  while (free < kMaxPins && pins_[free].count != 0) ++free;
  assert(free < kMaxPins);
  return SpecPinId{free};
}

void State::bind(SpecPinId pin, SpaceId space, std::uint8_t first, Strength strength, bool get) {
  assert(held(pin) == 0);
  pins_[pin.value()] = {.space = space,
                        .first = first,
                        .count = 0,
                        .strength = strength,
                        .get = get,
                        .attached = 0,
                        .loose = 0,
                        .moved = false,
                        .at = {},
                        .slots = {}};
}

void State::extend(SpecPinId pin) {
  Pin& extended = pins_[pin.value()];
  const auto page = static_cast<std::uint8_t>(extended.first + extended.count);
  const Page* held = find(extended.space, page);
  assert(held != nullptr);
  if (extended.strength == Strength::kWrite) own(extended.space, page);
  if (extended.strength == Strength::kReadShort && held->view == View::kFollows) {
    extended.loose = with(extended.loose, extended.count);
    extended.slots[extended.count] = shown(*held);
  }
  extended.attached = with(extended.attached, extended.count);
  extended.at[extended.count] = static_cast<std::uint8_t>(extended.first + extended.count);
  ++extended.count;
}

void State::release(SpecPinId pin) {
  if (held(pin) == 0) return;
  pins_[pin.value()].count = 0;
  std::erase_if(past_, [&](const PastValue& value) { return value.place >> 6 == pin.value(); });
  const SpaceId space = pins_[pin.value()].space;
  if (!alive(space) && !remembered(space)) provenance_.retire(space);
}

std::uint8_t State::held(SpecPinId pin) const { return pin.value() < kMaxPins ? pins_[pin.value()].count : 0; }

bool State::attached(SpecPinId pin, std::uint8_t page) const { return contains(pins_[pin.value()].attached, page); }

std::int64_t State::load(SpecPinId pin, std::uint8_t page, std::uint8_t word) const {
  const Pin& of = pins_[pin.value()];
  if (!contains(of.attached, page)) return detached_[of.slots[page]][word];
  return load(of.space, page_of(pin, page), word);
}

std::uint16_t State::attached_pages(SpaceId space) const {
  unsigned pages = 0;
  for (const Pin& pin : pins_) {
    if (pin.count == 0 || pin.space != space) continue;
    if (!pin.moved) {
      pages |= unsigned{pin.attached} << pin.first;
      continue;
    }
    for (std::uint8_t index = 0; index < pin.count; ++index) {
      if (contains(pin.attached, index)) pages |= 1u << pin.at[index];
    }
  }
  return static_cast<std::uint16_t>(pages);
}

bool State::remembered(SpaceId space) const {
  return std::any_of(pins_.begin(), pins_.end(), [&](const Pin& pin) { return pin.count != 0 && pin.space == space; });
}

std::uint16_t State::free_slot() const {
  std::bitset<kMaxDetached> taken;
  for (const Pin& pin : pins_) {
    for (std::uint8_t index = 0; index < pin.count; ++index) {
      if (!contains(pin.attached, index) || contains(pin.loose, index)) taken.set(pin.slots[index]);
    }
  }
  for (const FileState& file : files_) {
    for (std::uint8_t page = 0; file.exists && page < file.pages; ++page) taken.set(file.slots[page]);
  }
  for (std::uint8_t i = 0; i < kMaxSpaces; ++i) {
    for (std::uint8_t p = 0; alive(SpaceId{i}) && p < kMaxPages; ++p) {
      const Page* page = find(SpaceId{i}, p);
      if (page != nullptr && page->view == View::kShared && page->file == kAnonymous && page->file_page == 0)
        taken.set(page->slot);
    }
  }
  for (const StalePage& stale : stale_) taken.set(stale.slot);
  std::uint16_t slot = 0;
  while (taken[slot]) ++slot;
  return slot;
}

}  // namespace cowherd::spec
