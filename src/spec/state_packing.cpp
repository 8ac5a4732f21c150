#include <cassert>

#include "spec/state.hpp"

namespace cowherd::spec {

// The packed form holds what is in use and nothing else, in an order that follows from the state: address spaces and
// pins by number, detached pages as pins lead to them, values sorted. Where a detached page happens to be stored shows
// nowhere in it.

namespace {

constexpr std::uint8_t kUnnumbered = 0xff;

bool contains(unsigned set, std::size_t element) { return ((set >> element) & 1u) != 0; }

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
  for (std::size_t i = 0; i < kMaxSpaces; ++i) {
    if (!contains(alive_, i)) continue;
    out.put(spaces_[i].mapped);
    for (std::size_t page = 0; page < kMaxPages; ++page) {
      if (contains(spaces_[i].mapped, page)) pack_page(out, spaces_[i].pages[page]);
    }
  }

  std::array<std::uint8_t, kMaxDetached> number;
  number.fill(kUnnumbered);
  std::uint8_t numbered = 0;
  for (const Pin& pin : pins_) {
    out.put(pin.count);
    if (pin.count == 0) continue;
    out.put(pin.space.value());
    out.put(pin.first);
    out.put(static_cast<std::uint8_t>(static_cast<unsigned>(pin.strength) << 1 | (pin.get ? 1u : 0u)));
    out.put(pin.attached);
    for (std::size_t index = 0; index < pin.count; ++index) {
      if (contains(pin.attached, index)) continue;
      const std::uint8_t slot = pin.slots[index];
      const bool first_time = number[slot] == kUnnumbered;
      if (first_time) number[slot] = numbered++;
      out.put(number[slot]);
      if (!first_time) continue;
      out.put(static_cast<std::uint8_t>(set_words(detached_[slot])));
      pack_words(out, detached_[slot]);
    }
  }

  out.put(static_cast<std::uint32_t>(past_.size()));
  for (const PastValue& value : past_) {
    out.put(value.place);
    out.put(value.value);
  }
  provenance_.pack(out);
}

void State::unpack(Unpacker& in) {
  alive_ = in.get<std::uint16_t>();
  for (std::size_t i = 0; i < kMaxSpaces; ++i) {
    spaces_[i].mapped = contains(alive_, i) ? in.get<std::uint16_t>() : std::uint16_t{0};
    for (std::size_t page = 0; page < kMaxPages; ++page) {
      if (contains(spaces_[i].mapped, page)) unpack_page(in, spaces_[i].pages[page]);
    }
  }

  std::uint8_t numbered = 0;
  for (Pin& pin : pins_) {
    pin.count = in.get<std::uint8_t>();
    if (pin.count == 0) continue;
    pin.space = SpaceId{in.get<std::uint8_t>()};
    pin.first = in.get<std::uint8_t>();
    const auto how = in.get<std::uint8_t>();
    pin.strength = static_cast<Strength>(how >> 1);
    pin.get = (how & 1u) != 0;
    pin.attached = in.get<std::uint16_t>();
    for (std::size_t index = 0; index < pin.count; ++index) {
      if (contains(pin.attached, index)) continue;
      const auto slot = in.get<std::uint8_t>();
      pin.slots[index] = slot;
      if (slot != numbered) continue;
      ++numbered;
      unpack_words(in, detached_[slot], in.get<std::uint8_t>());
    }
  }

  past_.clear();
  for (auto left = in.get<std::uint32_t>(); left > 0; --left) {
    const auto place = in.get<std::uint16_t>();
    past_.push_back({place, in.get<std::int64_t>()});
  }
  provenance_.unpack(in);
}

}  // namespace cowherd::spec
