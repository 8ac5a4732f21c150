#include <algorithm>
#include <cassert>

#include "spec/state.hpp"

namespace cowherd::spec {

// Files, shared memory, and private pages of files. What several may see lies in a slot; who shows a file's page comes
// by it through the file, so that a page that is cut off the file stays with those alone who hold it by a pin.

std::uint16_t State::place_of(SpaceId space, std::uint8_t page, std::uint8_t word) {
  return static_cast<std::uint16_t>(space.value() << 6 | page << 2 | word);
}

bool State::beyond_end(const Page& page) const {
  if (page.file == kAnonymous) return page.view == View::kShared && page.file_page != 0;
  return page.file_page >= files_[page.file.value()].pages;
}

std::uint16_t State::shown(const Page& page) const {
  if (page.view == View::kOwn || beyond_end(page)) return kNoSlot;
  return page.file == kAnonymous ? page.slot : files_[page.file.value()].slots[page.file_page];
}

std::uint16_t State::new_slot() {
  const std::uint16_t slot = free_slot();
  detached_[slot] = {};
  detached_writers_[slot] = {};
  detached_lazy_[slot] = 0;
  return slot;
}

void State::map_shared(SpaceId space, std::uint8_t page, Protection protection) {
  unmap(space, page);
  const std::uint16_t slot = new_slot();
  Space& in = spaces_[space.value()];
  in.mapped = with(in.mapped, page);
  in.pages[page] = {.protection = protection, .view = View::kShared, .slot = slot};
}

void State::map_beyond_end(SpaceId space, std::uint8_t page, Protection protection) {
  unmap(space, page);
  Space& in = spaces_[space.value()];
  in.mapped = with(in.mapped, page);
  in.pages[page] = {.protection = protection, .view = View::kShared, .file_page = 1};
}

void State::map_file(SpaceId space, std::uint8_t page, Protection protection, FileNumber file, std::uint8_t file_page,
                     bool shared) {
  unmap(space, page);
  Space& in = spaces_[space.value()];
  in.mapped = with(in.mapped, page);
  in.pages[page] = {
      .protection = protection, .view = shared ? View::kShared : View::kFollows, .file = file, .file_page = file_page};
}

void State::create_file(FileNumber file, std::uint8_t pages, FileStore store) {
  assert(!exists(file));
  files_[file.value()] = {.exists = true, .store = store};
  set_size(file, pages);
}

void State::set_size(FileNumber file, std::uint8_t pages) {
  FileState& of = files_[file.value()];
  for (std::uint8_t page = of.pages; page > pages; --page) {
    cut_off(file, static_cast<std::uint8_t>(page - 1), true);
    of.pages = static_cast<std::uint8_t>(page - 1);
  }
  for (; of.pages < pages; ++of.pages) of.slots[of.pages] = new_slot();
}

void State::punch(FileNumber file, std::uint8_t page, bool copies) {
  cut_off(file, page, copies);
  files_[file.value()].slots[page] = new_slot();
}

void State::clear(FileNumber file, std::uint8_t page) {
  for (std::uint8_t word = 0; word < kWordsPerPage; ++word) store(file, page, word, 0);
}

void State::clear(SpaceId space, std::uint8_t page) {
  const std::uint16_t slot = shown(spaces_[space.value()].pages[page]);
  for (std::uint8_t word = 0; slot != kNoSlot && word < kWordsPerPage; ++word) {
    (void)store_slot(slot, word, 0, Writer::kCpu);
  }
}

void State::punch(SpaceId space, std::uint8_t page, bool copies) {
  const Page hole = spaces_[space.value()].pages[page];
  if (beyond_end(hole)) return;
  if (hole.file != kAnonymous) return punch(hole.file, hole.file_page, copies);
  const auto for_each_other = [&](auto&& visit) {
    for (std::uint8_t i = 0; i < kMaxSpaces; ++i) {
      for (std::uint8_t p = 0; alive(SpaceId{i}) && p < kMaxPages; ++p) {
        const Page* seen = find(SpaceId{i}, p);
        if (seen != nullptr && shown(*seen) == hole.slot) visit(SpaceId{i}, p);
      }
    }
  };
  for_each_other([&](SpaceId in, std::uint8_t number) { discard(in, number); });
  const std::uint16_t slot = new_slot();
  for_each_other([&](SpaceId in, std::uint8_t number) { spaces_[in.value()].pages[number].slot = slot; });
}

void State::cut_off(FileNumber file, std::uint8_t file_page, bool copies) {
  const std::uint16_t slot = files_[file.value()].slots[file_page];
  for_each_page_of(file, file_page, [&](SpaceId space, std::uint8_t number, Page& page) {
    // What is forbidden outlives a hole, and not the end of the file.
    if (copies) page.failure = Failure::kNone;
    if (copies || page.view == View::kShared) {
      discard(space, number);
      drop_alternatives(space, number);
      if (page.view == View::kShared) return;
      page.view = View::kFollows;
      page.words = {};
      page.writers = {};
    } else if (page.view == View::kFollows) {
      // It may have been its owner's own for long, and then it stays.
      keep_stale(space, number, page.protection, slot);
      for (std::uint8_t word = 0; word < kWordsPerPage; ++word) {
        const std::int64_t before = detached_[slot][word];
        for_each_holder(space, number,
                        [&](SpecPinId pin, std::uint8_t index) { note_past(pin, index, word, before, 0); });
        if (before != 0) add_alternative(space, number, word, before);
        drop_alternative(space, number, word, 0);
      }
    }
  });
}

std::int64_t State::load(FileNumber file, std::uint8_t page, std::uint8_t word) const {
  const FileState& of = files_[file.value()];
  return page < of.pages ? detached_[of.slots[page]][word] : 0;
}

Writer State::last_writer(FileNumber file, std::uint8_t page, std::uint8_t word) const {
  const FileState& of = files_[file.value()];
  return page < of.pages ? detached_writers_[of.slots[page]][word] : Writer::kNone;
}

void State::store(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  (void)store_slot(files_[file.value()].slots[page], word, value, Writer::kCpu);
}

bool State::store_slot(std::uint16_t slot, std::uint8_t word, std::int64_t value, Writer writer) {
  const std::int64_t before = detached_[slot][word];
  detached_lazy_[slot] = static_cast<std::uint8_t>(detached_lazy_[slot] & ~(1u << word));
  for_each_holder_of_slot(slot, [&](SpecPinId pin, std::uint8_t index) { note_past(pin, index, word, before, value); });
  bool shared = false;
  for (std::uint8_t i = 0; i < kMaxSpaces; ++i) {
    if (!alive(SpaceId{i})) continue;
    for (std::uint8_t p = 0; p < kMaxPages; ++p) {
      const Page* page = find(SpaceId{i}, p);
      if (page == nullptr || shown(*page) != slot) continue;
      shared = true;
      if (page->view == View::kFollows && before != value) {
        add_alternative(SpaceId{i}, p, word, before);
        drop_alternative(SpaceId{i}, p, word, value);
      }
      for_each_holder(SpaceId{i}, p,
                      [&](SpecPinId pin, std::uint8_t index) { note_past(pin, index, word, before, value); });
    }
  }
  for (const FileState& file : files_) {
    for (std::uint8_t page = 0; file.exists && page < file.pages; ++page) shared = shared || file.slots[page] == slot;
  }
  detached_[slot][word] = value;
  detached_writers_[slot][word] = writer;
  if (shared) provenance_.wrote_shared(writer, value);
  return shared;
}

std::int64_t State::load(SpaceId space, std::uint8_t page, std::uint8_t word) const {
  const Page& of = spaces_[space.value()].pages[page];
  if (of.view == View::kOwn) return of.words[word];
  const std::uint16_t slot = shown(of);
  return slot == kNoSlot ? 0 : detached_[slot][word];
}

Writer State::last_writer(SpaceId space, std::uint8_t page, std::uint8_t word) const {
  const Page& of = spaces_[space.value()].pages[page];
  if (of.view == View::kOwn) return of.writers[word];
  const std::uint16_t slot = shown(of);
  return slot == kNoSlot ? Writer::kNone : detached_writers_[slot][word];
}

void State::own(SpaceId space, std::uint8_t page) {
  Page& of = spaces_[space.value()].pages[page];
  if (of.view != View::kFollows) return;
  const std::uint16_t slot = shown(of);
  assert(slot != kNoSlot);
  of.words = detached_[slot];
  of.writers = detached_writers_[slot];
  of.view = View::kOwn;
}

void State::forbid(SpaceId space, std::uint8_t page) {
  spaces_[space.value()].pages[page].failure = Failure::kForbidden;
}

void State::wipe_as_own(SpaceId space, std::uint8_t page) {
  wipe(space, page);
  Page& of = spaces_[space.value()].pages[page];
  of.view = View::kOwn;
}

std::span<const PastValue> State::alternatives(SpaceId space, std::uint8_t page, std::uint8_t word) const {
  if (alternatives_.empty()) return {};
  const std::uint16_t place = place_of(space, page, word);
  const auto lower = [](const PastValue& value, std::uint16_t wanted) { return value.place < wanted; };
  const auto begin = std::lower_bound(alternatives_.begin(), alternatives_.end(), place, lower);
  const auto end = std::lower_bound(begin, alternatives_.end(), static_cast<std::uint16_t>(place + 1), lower);
  return {begin, end};
}

void State::settle(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  if (load(space, page, word) != value) {
    own(space, page);
    spaces_[space.value()].pages[page].words[word] = value;
  }
  drop_alternatives(space, page, word);
}

void State::add_alternative(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  const PastValue added{place_of(space, page, word), value};
  const auto at = std::lower_bound(alternatives_.begin(), alternatives_.end(), added);
  if (at == alternatives_.end() || *at != added) alternatives_.insert(at, added);
}

void State::drop_alternative(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  const PastValue gone{place_of(space, page, word), value};
  const auto at = std::lower_bound(alternatives_.begin(), alternatives_.end(), gone);
  if (at != alternatives_.end() && *at == gone) alternatives_.erase(at);
}

void State::drop_alternatives(SpaceId space, std::uint8_t page, std::uint8_t word) {
  if (alternatives_.empty()) return;
  const std::uint16_t place = place_of(space, page, word);
  std::erase_if(alternatives_, [place](const PastValue& value) { return value.place == place; });
}

void State::drop_alternatives(SpaceId space, std::uint8_t page) {
  for (std::uint8_t word = 0; word < kWordsPerPage; ++word) drop_alternatives(space, page, word);
}

bool State::may_hold(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value) const {
  if (load(pin, page, word) == value) return true;
  const Pin& of = pins_[pin.value()];
  if (contains(of.loose, page) && detached_[of.slots[page]][word] == value) return true;
  if (!contains(of.attached, page)) return false;
  const auto others = alternatives(of.space, page_of(pin, page), word);
  return std::any_of(others.begin(), others.end(), [value](const PastValue& other) { return other.value == value; });
}

bool State::settles(SpecPinId pin, std::uint8_t page) const {
  const Pin& of = pins_[pin.value()];
  return contains(of.attached, page) && !contains(of.loose, page) && of.strength != Strength::kReadShort;
}

std::uint64_t State::slots_seen(SpaceId space, std::uint16_t pages) const {
  std::uint64_t slots = 0;
  for (std::uint8_t p = 0; p < kMaxPages; ++p) {
    const Page* page = contains(pages, p) ? find(space, p) : nullptr;
    const std::uint16_t slot = page != nullptr ? shown(*page) : kNoSlot;
    if (slot != kNoSlot) slots |= std::uint64_t{1} << slot % 64;
  }
  return slots;
}

std::uint64_t State::slots_held(SpecPinId pin, std::uint8_t page) const {
  const Pin& of = pins_[pin.value()];
  std::uint64_t slots = 0;
  const bool attached = contains(of.attached, page);
  if (!attached || contains(of.loose, page)) slots |= std::uint64_t{1} << of.slots[page] % 64;
  if (attached) slots |= slots_seen(of.space, static_cast<std::uint16_t>(1u << page_of(pin, page)));
  return slots;
}

std::uint64_t State::slots_of(FileNumber file) const {
  const FileState& of = files_[file.value()];
  std::uint64_t slots = 0;
  for (std::uint8_t page = 0; page < of.pages; ++page) slots |= std::uint64_t{1} << of.slots[page] % 64;
  return slots;
}

std::uint8_t State::files_seen(SpaceId space, std::uint16_t pages) const {
  unsigned files = 0;
  for (std::uint8_t p = 0; p < kMaxPages; ++p) {
    const Page* page = contains(pages, p) ? find(space, p) : nullptr;
    if (page != nullptr && page->file != kAnonymous) files |= 1u << page->file.value();
  }
  return static_cast<std::uint8_t>(files);
}

}  // namespace cowherd::spec
