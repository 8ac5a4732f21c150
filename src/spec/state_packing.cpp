#include <bit>
#include <cassert>

#include "spec/state.hpp"

namespace cowherd::spec {

// The packed form holds what is in use and nothing else, in an order that follows from the state: address spaces and
// pins by number, detached pages as pins lead to them, values sorted. Where a detached page happens to be stored shows
// nowhere in it.

namespace {

constexpr std::uint8_t kUnnumbered = 0xff;

bool contains(unsigned set, std::size_t element) { return ((set >> element) & 1u) != 0; }

/// The lowest element, taken out of a set that is not empty.
std::size_t take(unsigned& set) {
  const auto element = static_cast<std::size_t>(std::countr_zero(set));
  set &= set - 1;
  return element;
}

unsigned set_words(const Page& page) {
  unsigned set = 0;
  for (std::size_t word = 0; word < kWordsPerPage; ++word) set |= (page.words[word] != 0 ? 1u : 0u) << word;
  return set;
}

void pack_words(Packer& out, const Page& page) {
  for (const std::int64_t word : page.words) {
    if (word != 0) out.put(word);
  }
}

void unpack_words(Unpacker& in, Page& page, unsigned set) {
  for (std::size_t word = 0; word < kWordsPerPage; ++word) {
    page.words[word] = contains(set, word) ? in.get<std::int64_t>() : 0;
  }
}

void pack_page(Packer& out, const Page& page) {
  const unsigned flags = (page.dont_fork ? 4u : 0u) | (page.wipe_on_fork ? 8u : 0u);
  out.put(static_cast<std::uint8_t>(static_cast<unsigned>(page.protection) | flags | set_words(page) << 4));
  unsigned writers = 0;
  for (const Writer writer : page.writers) writers = writers << 3 | static_cast<unsigned>(writer);
  out.put(static_cast<std::uint16_t>(writers));
  pack_words(out, page);
}

void unpack_page(Unpacker& in, Page& page) {
  const unsigned head = in.get<std::uint8_t>();
  page.protection = static_cast<Protection>(head & 3u);
  page.dont_fork = (head & 4u) != 0;
  page.wipe_on_fork = (head & 8u) != 0;
  const unsigned writers = in.get<std::uint16_t>();
  for (std::size_t word = 0; word < kWordsPerPage; ++word) {
    page.writers[word] = static_cast<Writer>((writers >> (3 * (kWordsPerPage - 1 - word))) & 7u);
  }
  unpack_words(in, page, head >> 4);
}

}  // namespace

void State::pack(Packer& out) const {
  out.put(alive_);
  for (unsigned spaces = alive_; spaces != 0;) {
    const Space& space = spaces_[take(spaces)];
    out.put(space.mapped);
    for (unsigned pages = space.mapped; pages != 0;) pack_page(out, space.pages[take(pages)]);
  }
  pack_pins(out);
  out.put(static_cast<std::uint32_t>(past_.size()));
  for (const PastValue& value : past_) {
    out.put(value.place);
    out.put(value.value);
  }
  provenance_.pack(out);
}

void State::pack_pins(Packer& out) const {
  unsigned existing = 0;
  unsigned detached = 0;
  for (std::size_t i = 0; i < kMaxPins; ++i) {
    if (pins_[i].count == 0) continue;
    existing |= 1u << i;
    detached |= detached_pages(pins_[i]);
  }
  out.put(static_cast<std::uint8_t>(existing));

  std::array<std::uint8_t, kMaxDetached> number;
  if (detached != 0) number.fill(kUnnumbered);
  std::uint8_t numbered = 0;
  for (; existing != 0;) {
    const Pin& pin = pins_[take(existing)];
    out.put(pin.count);
    out.put(pin.space.value());
    out.put(pin.first);
    out.put(static_cast<std::uint8_t>(static_cast<unsigned>(pin.strength) << 1 | (pin.get ? 1u : 0u)));
    out.put(pin.attached);
    for (unsigned pages = detached_pages(pin); pages != 0;) {
      const std::uint8_t slot = pin.slots[take(pages)];
      const bool first_time = number[slot] == kUnnumbered;
      if (first_time) number[slot] = numbered++;
      out.put(number[slot]);
      if (!first_time) continue;
      out.put(static_cast<std::uint8_t>(set_words(detached_[slot])));
      pack_words(out, detached_[slot]);
    }
  }
}

void State::unpack(Unpacker& in) {
  alive_ = in.get<std::uint16_t>();
  for (unsigned spaces = alive_; spaces != 0;) {
    Space& space = spaces_[take(spaces)];
    space.mapped = in.get<std::uint16_t>();
    for (unsigned pages = space.mapped; pages != 0;) unpack_page(in, space.pages[take(pages)]);
  }
  unpack_pins(in);
  past_.clear();
  for (auto left = in.get<std::uint32_t>(); left > 0; --left) {
    const auto place = in.get<std::uint16_t>();
    past_.push_back({place, in.get<std::int64_t>()});
  }
  provenance_.unpack(in);
}

void State::unpack_pins(Unpacker& in) {
  for (Pin& pin : pins_) pin.count = 0;
  std::uint8_t numbered = 0;
  for (unsigned existing = in.get<std::uint8_t>(); existing != 0;) {
    Pin& pin = pins_[take(existing)];
    pin.count = in.get<std::uint8_t>();
    pin.space = SpaceId{in.get<std::uint8_t>()};
    pin.first = in.get<std::uint8_t>();
    const auto how = in.get<std::uint8_t>();
    pin.strength = static_cast<Strength>(how >> 1);
    pin.get = (how & 1u) != 0;
    pin.attached = in.get<std::uint16_t>();
    for (unsigned pages = detached_pages(pin); pages != 0;) {
      const auto slot = in.get<std::uint8_t>();
      pin.slots[take(pages)] = slot;
      if (slot != numbered) continue;
      ++numbered;
      unpack_words(in, detached_[slot], in.get<std::uint8_t>());
    }
  }
}

}  // namespace cowherd::spec
