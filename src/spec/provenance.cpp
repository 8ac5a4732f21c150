#include "spec/provenance.hpp"

#include <algorithm>

namespace cowherd::spec {

namespace {

std::uint16_t bit(SpaceId space) { return static_cast<std::uint16_t>(1u << space.value()); }

}  // namespace

bool Provenance::Entry::before(const Entry& other) const {
  if (value != other.value) return value < other.value;
  if (writer != other.writer) return writer < other.writer;
  return page < other.page;
}

void Provenance::wrote(SpaceId space, std::uint8_t page, Writer writer, std::int64_t value) {
  add({.value = value, .spaces = bit(space), .page = page, .writer = writer});
}

void Provenance::wrote_shared(Writer writer, std::int64_t value) {
  add({.value = value, .spaces = 0xffff, .page = kSharedPage, .writer = writer});
}

void Provenance::add(const Entry& wanted) {
  if (wanted.value == 0) return;
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), wanted,
                                   [](const Entry& a, const Entry& b) { return a.before(b); });
  if (at != entries_.end() && !wanted.before(*at)) {
    at->spaces = static_cast<std::uint16_t>(at->spaces | wanted.spaces);
  } else {
    entries_.insert(at, wanted);
  }
}

void Provenance::inherit(SpaceId parent, SpaceId child, std::uint16_t pages) {
  for (Entry& entry : entries_) {
    const bool handed_on = entry.page < kNoPage && ((pages >> entry.page) & 1u) != 0;
    if (handed_on && (entry.spaces & bit(parent)) != 0) {
      entry.spaces = static_cast<std::uint16_t>(entry.spaces | bit(child));
    }
  }
}

void Provenance::moved(SpaceId space, std::uint8_t page, std::uint8_t to) {
  std::vector<Entry> found;
  for (const Entry& entry : entries_) {
    if (entry.page == page && (entry.spaces & bit(space)) != 0) found.push_back(entry);
  }
  for (const Entry& entry : found) wrote(space, to, entry.writer, entry.value);
}

void Provenance::retire(SpaceId space) {
  for (Entry& entry : entries_) {
    if (entry.page == kSharedPage) continue;
    entry.spaces = static_cast<std::uint16_t>(entry.spaces & ~bit(space));
  }
}

Origin Provenance::origin(SpaceId space, std::int64_t value) const {
  if (value == 0) return {.own = true};
  Origin origin;
  auto at = std::lower_bound(entries_.begin(), entries_.end(), value,
                             [](const Entry& entry, std::int64_t wanted) { return entry.value < wanted; });
  for (; at != entries_.end() && at->value == value; ++at) {
    if ((at->spaces & bit(space)) != 0) return {.own = true};
    if (origin.foreign) continue;
    origin = {.own = false, .foreign = true, .writer = at->writer};
  }
  return origin;
}

Origin Provenance::origin_of_shared(std::int64_t value) const {
  Origin origin{.own = value == 0};
  for (const Entry& entry : entries_) {
    if (entry.value != value) continue;
    if (entry.page == kSharedPage) return {.own = true};
    origin = {.own = false, .foreign = true, .writer = entry.writer};
  }
  return origin;
}

void Provenance::pack(Packer& out) const {
  out.put(static_cast<std::uint32_t>(entries_.size()));
  for (const Entry& entry : entries_) {
    out.put(entry.value);
    out.put(entry.spaces);
    out.put(entry.page);
    out.put(entry.writer);
  }
}

void Provenance::unpack(Unpacker& in) {
  entries_.clear();
  for (auto left = in.get<std::uint32_t>(); left > 0; --left) {
    Entry entry;
    entry.value = in.get<std::int64_t>();
    entry.spaces = in.get<std::uint16_t>();
    entry.page = in.get<std::uint8_t>();
    entry.writer = in.get<Writer>();
    entries_.push_back(entry);
  }
}

}  // namespace cowherd::spec
