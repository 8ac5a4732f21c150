#include "check/configuration.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace cowherd::check {

namespace {

using F = Footprint;
using Kind = Call::Kind;

constexpr std::uint16_t kAllPages = 0xffff;

bool has_page(std::uint16_t pages, unsigned page) { return (pages >> page & 1u) != 0; }

std::uint16_t range(unsigned first, unsigned count) {
  return static_cast<std::uint16_t>(((1u << count) - 1u) << first);
}

/// The first page of a range, and the one behind it.
std::uint16_t edges(unsigned first, unsigned count) {
  return static_cast<std::uint16_t>(range(first, 1u) | (first + count < 16 ? range(first + count, 1u) : 0u));
}

/// Goes from page to page, changes no contents, and ends at the first one that is in the way.
bool populates(Advice advice) {
  return advice == Advice::kPopulateRead || advice == Advice::kPopulateWrite || advice == Advice::kLock ||
         advice == Advice::kUnlock;
}

/// Whether the operation takes effect page by page.
bool by_page(Kind kind) {
  return kind == Kind::kMmap || kind == Kind::kMunmap || kind == Kind::kMprotect || kind == Kind::kMadvise ||
         kind == Kind::kMremap;
}

std::uint32_t touches_of_mprotect(const spec::Spec& spec, spec::SpaceId space, std::uint8_t page, Protection wanted) {
  std::uint32_t touches = F::kReadsMapped | F::kWritesProtection;
  const auto now = spec.protection(space, page);
  if (!now) return touches;
  if ((*now == Protection::kNone) != (wanted == Protection::kNone)) touches |= F::kWritesReadable;
  if (has(*now, Protection::kWrite) != has(wanted, Protection::kWrite)) touches |= F::kWritesWritable;
  return touches;
}

std::uint32_t touches_of_madvise(Advice advice) {
  switch (advice) {
    case Advice::kDontNeed:
      return F::kReadsMapped | F::kDiscards;
    case Advice::kFree:
      return F::kReadsMapped | F::kWritesWords;
    case Advice::kCold:
    case Advice::kPageOut:
    case Advice::kSync:
      return F::kReadsMapped;
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
    case Advice::kLock:
    case Advice::kUnlock:
      return F::kReadsMapped | F::kReadsProtection;
    case Advice::kDontFork:
    case Advice::kDoFork:
    case Advice::kWipeOnFork:
    case Advice::kKeepOnFork:
    case Advice::kMergeable:
    case Advice::kUnmergeable:
    case Advice::kHugePage:
    case Advice::kNoHugePage:
    case Advice::kCollapse:
      break;
  }
  return F::kReadsMapped | F::kWritesMarks;
}

constexpr std::uint32_t kNewMapping = F::kReadsMapped | F::kWritesMapped | F::kDiscards | F::kWritesReadable |
                                      F::kWritesWritable | F::kWritesProtection | F::kWritesMarks;

std::uint32_t touches_of_pin(PinFlags flags) {
  const bool short_read = !has(flags, PinFlags::kWrite) && !has(flags, PinFlags::kLongTerm);
  const std::uint32_t rights = has(flags, PinFlags::kForce) ? 0u : std::uint32_t{F::kReadsProtection};
  const std::uint32_t value = has(flags, PinFlags::kWrite) ? F::kKeepsWords
                              : short_read                 ? std::uint32_t{F::kRemembersValue}
                                                           : 0u;
  return F::kReadsMapped | F::kHolds | rights | value;
}

}  // namespace

void Configuration::clear() {
  spec = spec::Spec();
  done_ = {};
  torn_.clear();
}

void Configuration::effects(const InFlight& in_flight, std::vector<Effect>& to) const {
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if (!in_flight.has(agent)) continue;
    const Pending& pending = in_flight.pending[agent];
    const PartsDone& done = done_[agent];
    const Call& call = pending.call;
    switch (call.kind) {
      case Kind::kMmap:
      case Kind::kMunmap:
      case Kind::kMprotect:
      case Kind::kMadvise:
      case Kind::kMremap:
        for (std::uint8_t i = 0; i < call.count; ++i) {
          if (!has_page(done.pages, i)) to.push_back({.agent = agent, .index = i, .refused = false});
        }
        break;
      case Kind::kFork:
      case Kind::kRestore:
      case Kind::kPoison:
      case Kind::kExec:
      case Kind::kExit:
        if (!done.taken) to.push_back({.agent = agent, .index = 0, .refused = false});
        break;
      case Kind::kForceRead:
      case Kind::kForceWrite:
      case Kind::kFileRead:
      case Kind::kFileWrite:
      case Kind::kTruncate:
      case Kind::kPunch:
        if (!done.taken && !done.refused) to.push_back({.agent = agent, .index = 0, .refused = false});
        break;
      case Kind::kPin: {
        const auto next = static_cast<std::uint8_t>(std::popcount(done.pages));
        if (done.refused || next == call.count) break;
        to.push_back({.agent = agent, .index = next, .refused = false});
        to.push_back({.agent = agent, .index = next, .refused = true});
        break;
      }
      case Kind::kNothing:
      case Kind::kRead:
      case Kind::kWrite:
      case Kind::kVfork:
      case Kind::kUnpin:
      case Kind::kDmaRead:
      case Kind::kDmaWrite:
        break;
    }
  }
}

Footprint Configuration::footprint(const InFlight& in_flight, const Effect& effect) const {
  const Footprint print = footprint_in_space(in_flight, effect);
  // What others may have too the child has as well, whenever it was forked.
  return in_flight.pending[effect.agent].call.kind == Kind::kFork ? print : with_files(print);
}

Footprint Configuration::footprint(const Pending& pending) const { return with_files(footprint_in_space(pending)); }

Footprint Configuration::with_files(Footprint print) const {
  if (!spec.exists(print.space) || print.slots != 0) return print;
  print.slots = spec.slots_seen(print.space, static_cast<std::uint16_t>(print.pages | print.word_pages));
  print.files = static_cast<std::uint8_t>(print.files | spec.files_seen(print.space, print.pages));
  return print;
}

Footprint Configuration::footprint_in_space(const InFlight& in_flight, const Effect& effect) const {
  const Pending& pending = in_flight.pending[effect.agent];
  const Call& call = pending.call;
  Footprint print{.space = pending.space, .pages = range(call.page, 1u), .word_pages = 0, .touches = 0};
  if (by_page(call.kind)) {
    print.pages = range(call.page + unsigned{effect.index}, 1u);
    if (asks_for_hugetlb(in_flight, pending)) print.pages |= edges(call.page, call.count);
  }
  switch (call.kind) {
    case Kind::kMmap:
    case Kind::kMunmap:
      print.touches = kNewMapping;
      break;
    case Kind::kMremap:
      // The first part asks all pages, and new ones are as the last old one is.
      print.pages = static_cast<std::uint16_t>(range(call.remap.first, call.remap.count) |
                                               range(call.remap.to, call.remap.to_count));
      print.touches = kNewMapping | F::kReadsWords | F::kWritesWords | F::kReadsMarks | F::kReadsProtection;
      break;
    case Kind::kMprotect:
      print.touches = touches_of_mprotect(spec, pending.space, static_cast<std::uint8_t>(call.page + effect.index),
                                          call.protection);
      break;
    case Kind::kMadvise:
      print.touches = touches_of_madvise(call.advice);
      break;
    case Kind::kPin:
      // Its pages come one after the other, so that any later one is a reason to take the next.
      print.pages = range(call.page + unsigned{effect.index}, call.count - unsigned{effect.index});
      print.touches = touches_of_pin(call.pin_flags);
      break;
    case Kind::kFork:
      print.pages = kAllPages;
      print.touches = F::kReadsWords | F::kHolds | F::kReadsMapped | F::kReadsProtection | F::kReadsMarks;
      // Whatever a word of a pinned page held while the fork was under way, the child may have.
      print.word_pages = static_cast<std::uint16_t>(~done_[effect.agent].pages);
      return print;
    case Kind::kPoison:
      // Whoever may have had the same page may be told.
      print.space = F::kEverySpace;
      [[fallthrough]];
    case Kind::kRestore:
      print.pages = kAllPages;
      print.touches = kNewMapping | F::kWritesWords;
      break;
    case Kind::kExec:
    case Kind::kExit:
      print.pages = kAllPages;
      if (pending.drops) print.touches = kNewMapping;
      break;
    default:
      return footprint_in_space(pending);
  }
  print.word_pages = print.pages;
  return print;
}

Footprint Configuration::footprint_in_space(const Pending& pending) const {
  const Call& call = pending.call;
  Footprint print{.space = pending.space, .pages = range(call.page, 1u), .word_pages = range(call.page, 1u)};
  switch (call.kind) {
    case Kind::kRead:
      print.touches = F::kReadsWords | F::kReadsMapped | F::kReadsReadable;
      break;
    case Kind::kWrite:
      print.touches = F::kWritesWords | F::kReadsMapped | F::kReadsWritable;
      break;
    case Kind::kForceRead:
      print.touches = F::kReadsWords | F::kReadsMapped;
      break;
    case Kind::kForceWrite:
      print.touches = F::kWritesWords | F::kReadsMapped;
      break;
    case Kind::kDmaRead:
    case Kind::kDmaWrite: {
      const spec::SpecPinId pin = pending.pin();
      if (call.page >= spec.pages_held(pin)) break;
      print.slots = spec.slots_held(pin, call.page);
      print.touches = call.kind == Kind::kDmaRead ? F::kDeviceReads : F::kDeviceWrites;
      if (!spec.attached(pin, call.page)) break;
      print.space = spec.owner(pin);
      print.pages = print.word_pages = range(spec.page_of(pin, call.page), 1u);
      break;
    }
    case Kind::kFileRead:
    case Kind::kFileWrite:
    case Kind::kTruncate:
    case Kind::kPunch:
      // Of no address space.
      print.pages = print.word_pages = 0;
      print.slots = spec.slots_of(call.backing.file);
      print.files = static_cast<std::uint8_t>(1u << call.backing.file.value());
      print.touches = call.kind == Kind::kFileRead    ? F::kReadsWords
                      : call.kind == Kind::kFileWrite ? F::kWritesWords
                                                      : F::kWritesWords | F::kWritesSize;
      if (call.kind == Kind::kFileWrite && call.page >= spec.size(call.backing.file)) print.touches |= F::kWritesSize;
      break;
    default:
      break;
  }
  return print;
}

void Configuration::apply(const InFlight& in_flight, const Effect& effect) {
  const Pending& pending = in_flight.pending[effect.agent];
  const Call& call = pending.call;
  PartsDone& done = done_[effect.agent];
  switch (call.kind) {
    case Kind::kMmap:
    case Kind::kMunmap:
    case Kind::kMprotect:
    case Kind::kMadvise:
    case Kind::kMremap:
      if (call.kind == Kind::kMadvise && populates(call.advice)) return populate(pending, done, effect);
      spec.keep_discarded(effect.agent);
      apply_to_page(pending, done, effect.index);
      spec.keep_discarded(spec::State::kNobody);
      return;
    case Kind::kFork:
      spec.fork(pending.space, pending.fresh);
      done.taken = true;
      return;
    case Kind::kPoison:
      if (!spec.protection(pending.space, call.page)) return;
      spec.keep_discarded(effect.agent);
      (void)spec.poison(pending.space, call.page, {});
      spec.keep_discarded(spec::State::kNobody);
      done.taken = true;
      return;
    case Kind::kRestore:
      spec.keep_discarded(effect.agent);
      spec.restore(pending.space, pending.fresh);
      spec.keep_discarded(spec::State::kNobody);
      done.taken = true;
      return;
    case Kind::kExec:
    case Kind::kExit:
      if (pending.drops) spec.drop_space(pending.space);
      done.taken = true;
      return;
    case Kind::kPin: {
      const auto page = static_cast<std::uint8_t>(call.page + effect.index);
      if (effect.refused) {
        done.refused = spec.may_refuse_pin(pending.space, page, call.pin_flags);
      } else if (spec.pin_next(pending.pin(), pending.space, call.page, call.pin_flags)) {
        done.pages = static_cast<std::uint16_t>(done.pages | range(effect.index, 1u));
      }
      return;
    }
    case Kind::kForceRead:
    case Kind::kForceWrite:
      return apply_force(in_flight, pending, done);
    case Kind::kFileRead:
    case Kind::kFileWrite:
    case Kind::kTruncate:
    case Kind::kPunch:
      return apply_to_file(effect.agent, pending, done);
    default:
      return;
  }
}

void Configuration::apply_to_page(const Pending& pending, PartsDone& done, std::uint8_t index) {
  if (done.taken) return;
  if (done.pages == 0 && !done.refused && refused_by_hugetlb(pending)) {
    // As a whole, before its first part.
    done.taken = true;
    done.refused = true;
    return;
  }
  const Call& call = pending.call;
  const auto page = static_cast<std::uint8_t>(call.page + index);
  const std::uint16_t later = static_cast<std::uint16_t>(done.pages >> index);
  spec::Judgement judgement;
  switch (call.kind) {
    case Kind::kMremap:
      return remap_page(pending, done, index);
    case Kind::kMmap:
      if (done.refused) return;
      judgement = spec.mmap(pending.space, page, 1, call.protection, call.map_flags, {}, call.backing_of(index));
      // It looks at all its pages before it maps the first.
      if (!judgement.ok() && done.pages != 0) return;
      break;
    case Kind::kMunmap:
      judgement = spec.munmap(pending.space, page, 1, {});
      break;
    case Kind::kMprotect:
      // It stops at a hole: nothing behind that is done.
      if (done.refused && index >= done.value) return;
      for (std::uint8_t i = 0; i < index; ++i) {
        const bool in_the_way = !has_page(done.pages, i) &&
                                !spec.protection(pending.space, static_cast<std::uint8_t>(call.page + i)).has_value();
        if (in_the_way) return;
      }
      if (!spec.protection(pending.space, page)) {
        if (later != 0 || done.refused) return;
        done.value = index;
      }
      judgement = spec.mprotect(pending.space, page, 1, call.protection, {});
      break;
    default:
      judgement = spec.madvise(pending.space, page, 1, call.advice, {});
      break;
  }
  if (judgement.ok()) {
    done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
    return;
  }
  done.refused = true;
  if (call.kind == Kind::kMadvise) done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
}

void Configuration::remap_page(const Pending& pending, PartsDone& done, std::uint8_t index) {
  if (done.refused) return;
  const spec::Remap& remap = pending.call.remap;
  if (done.pages == 0) {
    const Errno error = spec.remap_error(pending.space, remap);
    if (error != Errno{0}) {
      done.refused = true;
      done.value = static_cast<std::int64_t>(error);
      return;
    }
  }
  const bool last_moved = has_page(done.pages, remap.kept() - 1u);
  spec.remap_part(pending.space, remap, index, last_moved);
  done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
}

void Configuration::populate(const Pending& pending, PartsDone& done, const Effect& effect) {
  if (done.refused) return;
  if (done.pages == 0 && refused_by_hugetlb(pending)) {
    done.taken = true;
    done.refused = true;
    return;
  }
  const Call& call = pending.call;
  const auto page = static_cast<std::uint8_t>(call.page + effect.index);
  const spec::Judgement judgement = spec.madvise(pending.space, page, 1, call.advice, {});
  done.pages = static_cast<std::uint16_t>(done.pages | range(effect.index, 1u));
  if (judgement.ok()) return;
  done.refused = true;
  done.value = static_cast<std::int64_t>(judgement.expected_error);
}

void Configuration::apply_force(const InFlight& in_flight, const Pending& pending, PartsDone& done) {
  const Call& call = pending.call;
  const auto before = spec.peek(pending.space, call.page, call.word);
  if (!before || spec.secret(pending.space, call.page) || spec.failed(pending.space, call.page)) {
    done.refused = true;
    return;
  }
  done.taken = true;
  if (call.kind == Kind::kForceRead) {
    done.value = *before;
    return;
  }
  (void)spec.force_write(pending.space, call.page, call.word, call.value, {});
  note_store(in_flight, pending.space, call.page, call.word, *before, call.value);
}

void Configuration::apply_to_file(std::uint8_t agent, const Pending& pending, PartsDone& done) {
  const Call& call = pending.call;
  done.taken = true;
  spec.keep_discarded(agent);
  switch (call.kind) {
    case Kind::kFileRead:
      done.value = spec.peek(call.backing.file, call.page, call.word);
      break;
    case Kind::kFileWrite:
      (void)spec.write_file(call.backing.file, call.page, call.word, call.value, {});
      break;
    case Kind::kTruncate:
      (void)spec.truncate(call.backing.file, call.page, {});
      break;
    default:
      (void)spec.punch(call.backing.file, call.page, call.count, {});
      break;
  }
  spec.keep_discarded(spec::State::kNobody);
}

void Configuration::note_pinned(const InFlight& in_flight) {
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if (!in_flight.has(agent) || in_flight.pending[agent].call.kind != Kind::kFork) continue;
    const spec::SpaceId parent = in_flight.pending[agent].space;
    unsigned pages = done_[agent].pages | spec.pinned_pages(parent);
    for (std::uint8_t other = 0; other < kBlocks; ++other) {
      const Pending& pending = in_flight.pending[other];
      // What is not yet pinned for good may already look so to fork.
      const bool pins = in_flight.has(other) && pending.call.kind == Kind::kPin && pending.space == parent;
      if (pins) pages |= range(pending.call.page, pending.call.count);
    }
    done_[agent].pages = static_cast<std::uint16_t>(pages);
  }
}

void Configuration::note_store(const InFlight& in_flight, spec::SpaceId space, std::uint8_t page, std::uint8_t word,
                               std::int64_t before, std::int64_t after) {
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if (!in_flight.has(agent) || in_flight.pending[agent].call.kind != Kind::kFork) continue;
    if (in_flight.pending[agent].space != space || !has_page(done_[agent].pages, page)) continue;
    for (const std::int64_t value : {before, after}) {
      const Torn torn{.agent = agent, .page = page, .word = word, .value = value};
      const auto at = std::lower_bound(torn_.begin(), torn_.end(), torn);
      if (at == torn_.end() || *at != torn) torn_.insert(at, torn);
    }
  }
}

std::vector<Configuration::Torn> Configuration::take_torn(std::uint8_t agent) {
  std::vector<Torn> taken;
  for (const Torn& torn : torn_) {
    if (torn.agent == agent) taken.push_back(torn);
  }
  std::erase_if(torn_, [&](const Torn& torn) { return torn.agent == agent; });
  return taken;
}

bool Configuration::untouched(std::uint8_t agent) const {
  const PartsDone& done = done_[agent];
  return done.pages == 0 && !done.taken && !done.refused;
}

void Configuration::forget(std::uint8_t agent) {
  done_[agent] = {};
  if (!torn_.empty()) (void)take_torn(agent);
  if (!spec.stale().empty()) spec.flush(agent);
}

}  // namespace cowherd::check
