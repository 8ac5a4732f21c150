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
constexpr unsigned kLoose = 1u << 3;

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
/// Above those: what few pages have follows in a byte.
constexpr unsigned kHasMore = 1u << 15;
constexpr unsigned kMayGo = 1;
constexpr unsigned kHasFile = 2;
constexpr unsigned kFailureShift = 2;
constexpr unsigned kHugetlbShift = 4;
/// Two bytes say what userfaultfd's handler decides, and what it and mlock have done.
constexpr unsigned kHandled = 128;
constexpr unsigned kMarkShift = 2;
constexpr unsigned kLockedShift = 4;
/// Of the number of past values: events of userfaultfd's come before them.
constexpr std::uint32_t kHasUnread = 1u << 31;
/// Of a file's number of pages.
constexpr unsigned kStoreShift = 6;

unsigned pack_writers(const std::array<Writer, kWordsPerPage>& writers) {
  unsigned packed = 0;
  for (const Writer writer : writers) packed = packed * kWriterKinds + static_cast<unsigned>(writer);
  return packed;
}

void unpack_writers(std::array<Writer, kWordsPerPage>& writers, unsigned packed) {
  packed &= (1u << kLazyShift) - 1u;
  for (std::size_t word = kWordsPerPage; word-- > 0; packed /= kWriterKinds) {
    writers[word] = static_cast<Writer>(packed % kWriterKinds);
  }
}

}  // namespace

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
    const unsigned more = pack_writers(state_.detached_writers_[slot]) | unsigned{state_.detached_lazy_[slot]}
                                                                             << kLazyShift;
    out_.put(static_cast<std::uint8_t>(set_words(words) | (more != 0 ? 16u : 0u)));
    if (more != 0) out_.put(static_cast<std::uint16_t>(more));
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
    const unsigned more = (head & 16u) != 0 ? in_.get<std::uint16_t>() : 0u;
    unpack_writers(state_.detached_writers_[slot], more);
    state_.detached_lazy_[slot] = static_cast<std::uint8_t>(more >> kLazyShift);
    unpack_words(in_, state_.detached_[slot], head & 15u);
    return slot;
  }

 private:
  State& state_;
  Unpacker& in_;
  std::uint16_t numbered_ = 0;
};

bool State::is_handled(const Page& page) const {
  const bool of_others = page.view != View::kOwn || page.file != kAnonymous;
  return tracks_handlers_ && (page.uffd != UffdFlags::kNone || (!of_others && page.presence != Presence::kPresent) ||
                              page.mark != Mark::kNo);
}

void State::pack_page(Packer& out, DetachedPacker& detached, const Page& page) const {
  const unsigned flags = (page.dont_fork ? 4u : 0u) | (page.wipe_on_fork ? 8u : 0u);
  out.put(static_cast<std::uint8_t>(static_cast<unsigned>(page.protection) | flags | set_words(page.words) << 4));
  const bool has_file = page.view != View::kOwn || page.file != kAnonymous;
  const unsigned more = (page.lazy.may_go ? kMayGo : 0u) | (has_file ? kHasFile : 0u) |
                        static_cast<unsigned>(page.failure) << kFailureShift | unsigned{page.hugetlb} << kHugetlbShift |
                        (is_handled(page) || page.locked != Mark::kNo ? kHandled : 0u);
  out.put(static_cast<std::uint16_t>(pack_writers(page.writers) | unsigned{page.lazy.words} << kLazyShift |
                                     (page.secret ? kSecret : 0u) | (more != 0 ? kHasMore : 0u)));
  if (more != 0) out.put(static_cast<std::uint8_t>(more));
  if ((more & kHandled) != 0) {
    out.put(page.uffd);
    // Where nobody decides, nobody keeps account of what is there.
    const unsigned handled =
        !is_handled(page) ? 0u : static_cast<unsigned>(page.presence) | static_cast<unsigned>(page.mark) << kMarkShift;
    out.put(static_cast<std::uint8_t>(handled | static_cast<unsigned>(page.locked) << kLockedShift));
  }
  pack_words(out, page.words);
  if (!has_file) return;
  out.put(page.view);
  out.put(page.file.value());
  out.put(page.file_page);
  if (page.view == View::kShared && page.file == kAnonymous && page.file_page == 0) detached.put(page.slot);
}

void State::unpack_page(Unpacker& in, DetachedUnpacker& detached, Page& page) {
  const unsigned head = in.get<std::uint8_t>();
  page.protection = static_cast<Protection>(head & 3u);
  page.dont_fork = (head & 4u) != 0;
  page.wipe_on_fork = (head & 8u) != 0;
  const unsigned writers = in.get<std::uint16_t>();
  const unsigned more = (writers & kHasMore) != 0 ? in.get<std::uint8_t>() : 0u;
  unpack_writers(page.writers, writers);
  page.secret = (writers & kSecret) != 0;
  page.lazy = {static_cast<std::uint8_t>(writers >> kLazyShift & 0xFu), (more & kMayGo) != 0};
  page.failure = static_cast<Failure>(more >> kFailureShift & 3u);
  page.hugetlb = static_cast<std::uint8_t>(more >> kHugetlbShift & 7u);
  page.uffd = (more & kHandled) != 0 ? in.get<UffdFlags>() : UffdFlags::kNone;
  const unsigned handled = (more & kHandled) != 0 ? in.get<std::uint8_t>() : 0u;
  page.presence = static_cast<Presence>(handled & 3u);
  page.mark = static_cast<Mark>(handled >> kMarkShift & 3u);
  page.locked = static_cast<Mark>(handled >> kLockedShift);
  unpack_words(in, page.words, head >> 4);
  page.view = View::kOwn;
  page.file = kAnonymous;
  page.file_page = 0;
  if ((more & kHasFile) == 0) return;
  page.view = in.get<View>();
  page.file = FileNumber{in.get<std::uint8_t>()};
  page.file_page = in.get<std::uint8_t>();
  if (page.view == View::kShared && page.file == kAnonymous && page.file_page == 0) page.slot = detached.get();
}

void State::pack_files(Packer& out, DetachedPacker& detached) const {
  constexpr unsigned kHasAlternatives = 0x80;
  static_assert(kMaxFiles < 8);
  unsigned existing = alternatives_.empty() ? 0u : kHasAlternatives;
  for (std::size_t i = 0; i < kMaxFiles; ++i) existing |= (files_[i].exists ? 1u : 0u) << i;
  out.put(static_cast<std::uint8_t>(existing));
  for (const FileState& file : files_) {
    if (!file.exists) continue;
    out.put(static_cast<std::uint8_t>(file.pages | static_cast<unsigned>(file.store) << kStoreShift));
    for (std::uint8_t page = 0; page < file.pages; ++page) detached.put(file.slots[page]);
  }
  if (alternatives_.empty()) return;
  out.put(static_cast<std::uint16_t>(alternatives_.size()));
  for (const PastValue& value : alternatives_) {
    out.put(value.place);
    out.put(value.value);
  }
}

void State::unpack_files(Unpacker& in, DetachedUnpacker& detached) {
  const unsigned existing = in.get<std::uint8_t>();
  for (std::size_t i = 0; i < kMaxFiles; ++i) {
    files_[i].exists = contains(existing, i);
    const unsigned head = files_[i].exists ? in.get<std::uint8_t>() : 0u;
    files_[i].pages = static_cast<std::uint8_t>(head & ((1u << kStoreShift) - 1u));
    files_[i].store = static_cast<FileStore>(head >> kStoreShift);
    for (std::uint8_t page = 0; page < files_[i].pages; ++page) files_[i].slots[page] = detached.get();
  }
  alternatives_.clear();
  if ((existing & 0x80u) == 0) return;
  for (auto left = in.get<std::uint16_t>(); left > 0; --left) {
    const auto place = in.get<std::uint16_t>();
    alternatives_.push_back({place, in.get<std::int64_t>()});
  }
}

void State::pack(Packer& out) const {
  DetachedPacker detached(*this, out);
  out.put(alive_);
  for (unsigned spaces = alive_; spaces != 0;) {
    const Space& space = spaces_[take(spaces)];
    out.put(space.mapped);
    for (unsigned pages = space.mapped; pages != 0;) pack_page(out, detached, space.pages[take(pages)]);
  }
  pack_files(out, detached);
  pack_pins(out, detached);
  out.put(static_cast<std::uint32_t>(past_.size() | (unread_.empty() ? 0u : kHasUnread)));
  if (!unread_.empty()) {
    out.put(static_cast<std::uint8_t>(unread_.size()));
    for (const UnreadEvent& unread : unread_) {
      out.put(unread.space.value());
      out.put(unread.event);
    }
  }
  for (const PastValue& value : past_) {
    out.put(value.place);
    out.put(value.value);
  }
  provenance_.pack(out);
}

void State::pack_pins(Packer& out, DetachedPacker& detached) const {
  unsigned existing = 0;
  for (std::size_t i = 0; i < kMaxPins; ++i) existing |= (pins_[i].count != 0 ? 1u : 0u) << i;
  out.put(static_cast<std::uint8_t>(existing));
  while (existing != 0) {
    const Pin& pin = pins_[take(existing)];
    out.put(pin.count);
    out.put(pin.space.value());
    out.put(pin.first);
    const unsigned loose = pin.loose != 0 ? kLoose : 0u;
    out.put(static_cast<std::uint8_t>(static_cast<unsigned>(pin.strength) << 1 | (pin.get ? 1u : 0u) |
                                      (pin.moved ? kMoved : 0u) | loose));
    out.put(pin.attached);
    if (loose != 0) out.put(pin.loose);
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
  DetachedUnpacker detached(*this, in);
  alive_ = in.get<std::uint16_t>();
  for (unsigned spaces = alive_; spaces != 0;) {
    Space& space = spaces_[take(spaces)];
    space.mapped = in.get<std::uint16_t>();
    for (unsigned pages = space.mapped; pages != 0;) unpack_page(in, detached, space.pages[take(pages)]);
  }
  unpack_files(in, detached);
  unpack_pins(in, detached);
  past_.clear();
  unread_.clear();
  const auto behind = in.get<std::uint32_t>();
  for (unsigned left = (behind & kHasUnread) != 0 ? in.get<std::uint8_t>() : 0u; left > 0; --left) {
    const SpaceId space{in.get<std::uint8_t>()};
    unread_.push_back({space, in.get<UffdEvent>()});
  }
  for (std::uint32_t left = behind & ~kHasUnread; left > 0; --left) {
    const auto place = in.get<std::uint16_t>();
    past_.push_back({place, in.get<std::int64_t>()});
  }
  provenance_.unpack(in);
}

void State::unpack_pins(Unpacker& in, DetachedUnpacker& detached) {
  for (Pin& pin : pins_) pin.count = 0;
  for (unsigned existing = in.get<std::uint8_t>(); existing != 0;) {
    Pin& pin = pins_[take(existing)];
    pin.count = in.get<std::uint8_t>();
    pin.space = SpaceId{in.get<std::uint8_t>()};
    pin.first = in.get<std::uint8_t>();
    const auto how = in.get<std::uint8_t>();
    pin.strength = static_cast<Strength>(how >> 1 & 3u);
    pin.get = (how & 1u) != 0;
    pin.moved = (how & kMoved) != 0;
    pin.attached = in.get<std::uint16_t>();
    pin.loose = (how & kLoose) != 0 ? in.get<std::uint16_t>() : std::uint16_t{0};
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
