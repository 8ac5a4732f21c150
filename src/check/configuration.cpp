#include "check/configuration.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "check/handler_calls.hpp"

namespace cowherd::check {

namespace {

using Kind = Call::Kind;

bool has_page(std::uint16_t pages, unsigned page) { return (pages >> page & 1u) != 0; }

std::uint16_t range(unsigned first, unsigned count) {
  return static_cast<std::uint16_t>(((1u << count) - 1u) << first);
}

/// Goes from page to page, changes no contents, and ends at the first one that is in the way.
bool populates(Advice advice) {
  return advice == Advice::kPopulateRead || advice == Advice::kPopulateWrite || advice == Advice::kLock ||
         advice == Advice::kUnlock;
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
      case Kind::kUffdTell:
        if (!done.taken) to.push_back({.agent = agent, .index = 0, .refused = false});
        break;
      case Kind::kMakeExclusive:
      case Kind::kDeviceRead:
      case Kind::kDeviceWrite:
      case Kind::kDeviceAdd:
      case Kind::kFileRead:
      case Kind::kFileWrite:
      case Kind::kTruncate:
      case Kind::kPunch:
        if (!done.taken && !done.refused) to.push_back({.agent = agent, .index = 0, .refused = false});
        break;
      case Kind::kForceRead:
      case Kind::kForceWrite:
        if (done.taken || done.refused) break;
        to.push_back({.agent = agent, .index = 0, .refused = false});
        for (std::uint8_t space = 0; space < spec::kMaxSpaces; ++space) {
          if (!pending.has_left(spec::SpaceId{space}) || spec::SpaceId{space} == pending.space) continue;
          to.push_back({.agent = agent, .index = static_cast<std::uint8_t>(space + 1), .refused = false});
        }
        if (is_gone(in_flight, pending)) to.push_back({.agent = agent, .index = 0, .refused = true});
        break;
      case Kind::kUffdRegister:
      case Kind::kUffdFill:
      case Kind::kUffdContinue:
      case Kind::kUffdProtect:
      case Kind::kUffdMove:
      case Kind::kUffdRead:
        if (done.taken || done.refused) break;
        to.push_back({.agent = agent, .index = 0, .refused = false});
        to.push_back({.agent = agent, .index = 0, .refused = true});
        break;
      case Kind::kPin: {
        const auto next = static_cast<std::uint8_t>(std::popcount(done.pages));
        if (done.refused || next == call.count) break;
        to.push_back({.agent = agent, .index = next, .refused = false});
        to.push_back({.agent = agent, .index = next, .refused = true});
        break;
      }
      case Kind::kRead:
      case Kind::kWrite:
        if (spec.tracks_handlers()) to.push_back({.agent = agent, .index = 0, .refused = false});
        break;
      case Kind::kNothing:
      case Kind::kVfork:
      case Kind::kUnpin:
      case Kind::kDmaRead:
      case Kind::kDmaWrite:
      case Kind::kUffdAwait:
        break;
    }
  }
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
      spec.fork(pending.space, pending.fresh, has(call.uffd, UffdFlags::kReadsEvents));
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
    case Kind::kUffdRegister:
    case Kind::kUffdFill:
    case Kind::kUffdContinue:
    case Kind::kUffdProtect:
    case Kind::kUffdMove:
    case Kind::kUffdRead:
      return apply_of_handler(effect, pending, done);
    case Kind::kUffdTell: {
      const spec::Removal removal = spec.removal(pending.space, call.page, call.count, call.advice);
      if (removal.tells) spec.tell_of_removal(pending.space);
      done.value = value_of(removal);
      done.taken = true;
      return;
    }
    case Kind::kExec:
    case Kind::kExit:
      if (pending.drops && !in_flight.held(pending.space, effect.agent)) spec.drop_space(pending.space);
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
    case Kind::kRead:
    case Kind::kWrite:
      // It faults the page in, and comes to it later.
      spec.fault_in(pending.space, call.page, call.kind == Kind::kWrite);
      return;
    case Kind::kMakeExclusive:
      if (spec.must_wait(pending.space, call.page, true)) return;
      done.taken = spec.make_exclusive(pending.space, call.page, {}).ok();
      return;
    case Kind::kDeviceRead:
    case Kind::kDeviceWrite:
    case Kind::kDeviceAdd:
      return apply_of_device(in_flight, pending, done);
    case Kind::kForceRead:
    case Kind::kForceWrite:
      return apply_force(in_flight, effect, done);
    case Kind::kFileRead:
    case Kind::kFileWrite:
    case Kind::kTruncate:
    case Kind::kPunch:
      return apply_to_file(effect.agent, pending, done);
    default:
      return;
  }
}

void Configuration::apply_of_handler(const Effect& effect, const Pending& pending, PartsDone& done) {
  if (effect.refused) {
    done.value = possible_refusals(spec, pending);
    done.refused = done.value != 0;
    return;
  }
  if (pending.call.kind == Kind::kUffdRead) {
    done.value = spec.next_event(pending.space);
    done.taken = done.value != 0;
    if (done.taken) (void)spec.uffd_read(pending.space, {.value = done.value});
    return;
  }
  spec.keep_discarded(effect.agent);
  done.taken = run_handler_call(spec, pending, {}).ok();
  spec.keep_discarded(spec::State::kNobody);
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
  const bool tells = done.pages == 0 && (call.kind == Kind::kMmap || call.kind == Kind::kMunmap) &&
                     spec.tells_of_unmap(pending.space, call.page, call.count);
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
      if (stops_early(pending, done, index)) return;
      if (index >= discarded_by(pending)) {
        done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
        return;
      }
      judgement = advise_page(pending, page);
      break;
  }
  if (judgement.ok()) {
    if (tells) spec.tell_of_unmap(pending.space);
    done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
    return;
  }
  done.refused = true;
  if (call.kind == Kind::kMadvise) done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
}

bool Configuration::stops_early(const Pending& pending, PartsDone& done, std::uint8_t index) const {
  if (done.value != 0) return index + 1 >= StoppedEarly::of(done.value).pages;
  for (std::uint8_t i = 0; i <= index; ++i) {
    const auto page = static_cast<std::uint8_t>(pending.call.page + i);
    const Errno stops = has_page(done.pages, i) || !spec.exists(pending.space)
                            ? Errno{0}
                            : spec.advice_stops(pending.space, page, pending.call.advice, true);
    if (stops == Errno{0}) continue;
    const bool first = i == index && done.pages >> index == 0;
    if (first) {
      done.pages = static_cast<std::uint16_t>(done.pages | range(index, 1u));
      done.value = StoppedEarly{static_cast<std::uint8_t>(index + 1), stops}.value();
    }
    return true;
  }
  return false;
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
  if (done.pages == 0) spec.tell_of(pending.space, remap);
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
  if (done.pages == 0 && (call.advice == Advice::kLock || call.advice == Advice::kUnlock)) {
    const spec::Mark locked = call.advice == Advice::kLock ? spec::Mark::kYes : spec::Mark::kNo;
    spec.note_locked(pending.space, call.page, call.count, locked);
  }
  const auto page = static_cast<std::uint8_t>(call.page + effect.index);
  const spec::Judgement judgement = spec.madvise(pending.space, page, 1, call.advice, {});
  done.pages = static_cast<std::uint16_t>(done.pages | range(effect.index, 1u));
  if (judgement.ok()) return;
  done.refused = true;
  done.value = static_cast<std::int64_t>(judgement.expected_error);
}

void Configuration::apply_force(const InFlight& in_flight, const Effect& effect, PartsDone& done) {
  const Pending& pending = in_flight.pending[effect.agent];
  const Call& call = pending.call;
  const spec::SpaceId space =
      effect.index == 0 ? pending.space : spec::SpaceId{static_cast<std::uint8_t>(effect.index - 1)};
  // Who cannot wait is refused where the process itself would have to.
  const bool waits = spec.must_wait(space, call.page, call.kind == Kind::kForceWrite);
  const auto before = spec.peek(space, call.page, call.word);
  if (effect.refused || waits || !before || spec.secret(space, call.page) || spec.failed(space, call.page)) {
    done.refused = true;
    return;
  }
  done.taken = true;
  if (call.kind == Kind::kForceRead) {
    done.value = *before;
    return;
  }
  (void)spec.force_write(space, call.page, call.word, call.value, {});
  note_store(in_flight, space, call.page, call.word, *before, call.value);
}

void Configuration::apply_of_device(const InFlight& in_flight, const Pending& pending, PartsDone& done) {
  const Call& call = pending.call;
  const auto before = spec.peek(pending.space, call.page, call.word);
  if (!before) return;
  done.taken = true;
  done.value = *before;
  if (call.kind == Kind::kDeviceRead) return;
  const bool adds = call.kind == Kind::kDeviceAdd;
  const std::int64_t stored = adds ? *before + call.value : call.value;
  (void)(adds ? spec.device_add(pending.space, call.page, call.word, call.value, {})
              : spec.device_write(pending.space, call.page, call.word, call.value, {}));
  note_store(in_flight, pending.space, call.page, call.word, *before, stored);
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

bool Configuration::is_being_left(const InFlight& in_flight, spec::SpaceId space) const {
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if (!in_flight.has(agent) || !done_[agent].taken) continue;
    const Pending& pending = in_flight.pending[agent];
    const bool leaves = pending.call.kind == Kind::kExec || pending.call.kind == Kind::kExit;
    if (leaves && pending.drops && pending.space == space) return true;
  }
  return false;
}

bool Configuration::is_gone(const InFlight& in_flight, const Pending& pending) const {
  return !spec.exists(pending.space) || pending.has_left(pending.space) || is_being_left(in_flight, pending.space);
}

void Configuration::forget(const InFlight& in_flight, std::uint8_t agent) {
  done_[agent] = {};
  if (!torn_.empty()) (void)take_torn(agent);
  if (!spec.stale().empty()) spec.flush(agent);
  const Pending& pending = in_flight.pending[agent];
  if (!pending.is_of_debugger()) return;
  for (std::uint8_t number = 0; number < spec::kMaxSpaces; ++number) {
    const spec::SpaceId space{number};
    if (!pending.may_hold(space) || !spec.exists(space) || in_flight.held(space, agent)) continue;
    if ((pending.orphans >> number & 1u) != 0 || is_being_left(in_flight, space)) spec.drop_space(space);
  }
}

}  // namespace cowherd::check
