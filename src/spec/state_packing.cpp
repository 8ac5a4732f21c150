#include <bit>
#include <cassert>

#include "spec/state.hpp"

namespace cowherd::spec {

// The packed form holds what is in use and nothing else, in an order that follows from the state: address spaces and
// pins by number, detached pages as pins lead to them, values sorted. Where a detached page happens to be stored shows
// nowhere in it.

namespace {

constexpr std::uint16_t kUnnumbered = 0xffff;
/// Beside the writers of a page's words.
constexpr unsigned kSecret = 1u << 14;
/// In the byte that says how a pin was taken.
constexpr unsigned kMoved = 1u << 7;

bool contains(unsigned set, std::size_t element) { return ((set >> element) & 1u) != 0; }

/// The lowest element, taken out of a set that is not empty.
std::size_t take(unsigned& set) {
  const auto element = static_cast<std::size_t>(std::countr_zero(set));
  set &= set - 1;
  return element;
}

using Words = std::array<std::int64_t, kWordsPerPage>;

unsigned set_words(const Words& words) {
  unsigned set = 0;
  for (std::size_t word = 0; word < kWordsPerPage; ++word) set |= (words[word] != 0 ? 1u : 0u) << word;
  return set;
}

void pack_words(Packer& out, const Words& words) {
  for (const std::int64_t word : words) {
    if (word != 0) out.put(word);
  }
}

void unpack_words(Unpacker& in, Words& words, unsigned set) {
  for (std::size_t word = 0; word < kWordsPerPage; ++word) {
    words[word] = contains(set, word) ? in.get<std::int64_t>() : 0;
  }
}

/// Above the writers of the words lie those that MADV_FREE may have lost.
constexpr unsigned kWriterKinds = 5;
constexpr unsigned kLazyShift = 10;
static_assert(kWordsPerPage == 4 && kWriterKinds * kWriterKinds * kWriterKinds * kWriterKinds <= 1u << kLazyShift);

void pack_page(Packer& out, const Page& page) {
  const unsigned flags = (page.dont_fork ? 4u : 0u) | (page.wipe_on_fork ? 8u : 0u);
  out.put(static_cast<std::uint8_t>(static_cast<unsigned>(page.protection) | flags | set_words(page.words) << 4));
  unsigned writers = 0;
  for (const Writer writer : page.writers) writers = writers * kWriterKinds + static_cast<unsigned>(writer);
  out.put(static_cast<std::uint16_t>(writers | unsigned{page.lazy.words} << kLazyShift | (page.secret ? kSecret : 0u)));
  if (page.lazy.words != 0) out.put(static_cast<std::uint8_t>(page.lazy.may_go ? 1 : 0));
  pack_words(out, page.words);
}

void unpack_page(Unpacker& in, Page& page) {
  const unsigned head = in.get<std::uint8_t>();
  page.protection = static_cast<Protection>(head & 3u);
  page.dont_fork = (head & 4u) != 0;
  page.wipe_on_fork = (head & 8u) != 0;
  unsigned writers = in.get<std::uint16_t>();
  page.secret = (writers & kSecret) != 0;
  page.lazy.words = static_cast<std::uint8_t>(writers >> kLazyShift & 0xFu);
  page.lazy.may_go = page.lazy.words != 0 && in.get<std::uint8_t>() != 0;
  writers &= (1u << kLazyShift) - 1u;
  for (std::size_t word = kWordsPerPage; word-- > 0; writers /= kWriterKinds) {
    page.writers[word] = static_cast<Writer>(writers % kWriterKinds);
  }
  unpack_words(in, page.words, head >> 4);
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

/// Numbers detached pages as they are led to, and packs the words of each behind its first mention.
class State::DetachedPacker {
 public:
  DetachedPacker(const State& state, Packer& out) : state_(state), out_(out) {}

  void put(std::uint16_t slot) {
    if (numbered_ == 0) number_.fill(kUnnumbered);
    const bool first_time = number_[slot] == kUnnumbered;
    if (first_time) number_[slot] = numbered_++;
    out_.put(number_[slot]);
    if (!first_time) return;
    const Words& words = state_.detached_[slot];
    out_.put(static_cast<std::uint8_t>(set_words(words) | unsigned{state_.detached_lazy_[slot]} << kWordsPerPage));
    pack_words(out_, words);
  }

 private:
  const State& state_;
  Packer& out_;
  std::uint16_t numbered_ = 0;
  // Left alone until a page is detached: most states have none, and all states are packed.
  std::array<std::uint16_t, kMaxDetached> number_;
};

class State::DetachedUnpacker {
 public:
  DetachedUnpacker(State& state, Unpacker& in) : state_(state), in_(in) {}

  std::uint16_t get() {
    const auto slot = in_.get<std::uint16_t>();
    if (slot != numbered_) return slot;
    ++numbered_;
    const unsigned head = in_.get<std::uint8_t>();
    state_.detached_lazy_[slot] = static_cast<std::uint8_t>(head >> kWordsPerPage);
    unpack_words(in_, state_.detached_[slot], head & ((1u << kWordsPerPage) - 1));
    return slot;
  }

 private:
  State& state_;
  Unpacker& in_;
  std::uint16_t numbered_ = 0;
};

void State::pack_pins(Packer& out) const {
  unsigned existing = 0;
  for (std::size_t i = 0; i < kMaxPins; ++i) existing |= (pins_[i].count != 0 ? 1u : 0u) << i;
  out.put(static_cast<std::uint8_t>(existing));
  DetachedPacker detached(*this, out);
  while (existing != 0) {
    const Pin& pin = pins_[take(existing)];
    out.put(pin.count);
    out.put(pin.space.value());
    out.put(pin.first);
    out.put(static_cast<std::uint8_t>(static_cast<unsigned>(pin.strength) << 1 | (pin.get ? 1u : 0u) |
                                      (pin.moved ? kMoved : 0u)));
    out.put(pin.attached);
    for (unsigned pages = pin.moved ? pin.attached : 0u; pages != 0;) out.put(pin.at[take(pages)]);
    for (unsigned pages = detached_pages(pin); pages != 0;) detached.put(pin.slots[take(pages)]);
  }
  out.put(static_cast<std::uint8_t>(stale_.size()));
  for (const StalePage& stale : stale_) {
    out.put(stale.keeper);
    out.put(stale.space.value());
    out.put(stale.page);
    out.put(stale.protection);
    detached.put(stale.slot);
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
  DetachedUnpacker detached(*this, in);
  for (unsigned existing = in.get<std::uint8_t>(); existing != 0;) {
    Pin& pin = pins_[take(existing)];
    pin.count = in.get<std::uint8_t>();
    pin.space = SpaceId{in.get<std::uint8_t>()};
    pin.first = in.get<std::uint8_t>();
    const auto how = in.get<std::uint8_t>();
    pin.strength = static_cast<Strength>((how & ~kMoved) >> 1);
    pin.get = (how & 1u) != 0;
    pin.moved = (how & kMoved) != 0;
    pin.attached = in.get<std::uint16_t>();
    for (unsigned pages = pin.moved ? pin.attached : 0u; pages != 0;) {
      const std::size_t index = take(pages);
      pin.at[index] = in.get<std::uint8_t>();
    }
    for (unsigned pages = detached_pages(pin); pages != 0;) {
      const std::size_t index = take(pages);
      pin.slots[index] = detached.get();
    }
  }
  stale_.clear();
  for (auto left = in.get<std::uint8_t>(); left > 0; --left) {
    StalePage stale;
    stale.keeper = in.get<std::uint8_t>();
    stale.space = SpaceId{in.get<std::uint8_t>()};
    stale.page = in.get<std::uint8_t>();
    stale.protection = in.get<Protection>();
    stale.slot = detached.get();
    stale_.push_back(stale);
  }
}

}  // namespace cowherd::spec
