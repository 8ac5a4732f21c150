#include "check/reference.hpp"

#include <algorithm>
#include <cassert>

#include "check/ending.hpp"
#include "check/handler_calls.hpp"

namespace cowherd::check {

namespace {

using Kind = Call::Kind;

std::uint8_t bit(std::uint8_t agent) { return static_cast<std::uint8_t>(1u << agent); }

/// Whether the operation has its whole effect in one part, or none before its end.
bool in_one_part(const Call& call) {
  const bool by_page = call.kind == Kind::kMmap || call.kind == Kind::kMunmap || call.kind == Kind::kMprotect ||
                       call.kind == Kind::kMadvise || call.kind == Kind::kPin || call.kind == Kind::kMremap;
  return !by_page || call.count == 1;
}

/// Adds what was allowed in another past.
void allow_too(spec::Judgement& judgement, const spec::Judgement& other) {
  for (std::size_t i = 0; i < std::min<std::size_t>(other.allowed_count, std::size(other.allowed)); ++i) {
    const std::size_t known = std::min<std::size_t>(judgement.allowed_count, std::size(judgement.allowed));
    const bool new_one =
        std::find(judgement.allowed, judgement.allowed + known, other.allowed[i]) == judgement.allowed + known;
    if (!new_one || judgement.allowed_count == 255) continue;
    if (known < std::size(judgement.allowed)) judgement.allowed[known] = other.allowed[i];
    ++judgement.allowed_count;
  }
}

}  // namespace

void Reference::clear() {
  space_of_.fill(kNoSpace);
  in_flight_.agents = 0;
  past_.clear();
  pasts_.assign(1, {});
  parsed_ = true;
  loaded_ = true;
  packed_is_current_ = false;
  overflowed_ = false;
}

void Reference::load(const Bytes& past) { past_.unpack(past); }

Reference::Bytes Reference::packed() const {
  Bytes bytes;
  past_.pack(bytes);
  return bytes;
}

bool Reference::under_way(std::uint8_t agent) const {
  parse();
  return in_flight_.has(agent);
}

std::size_t Reference::pasts() const {
  parse();
  return pasts_.size();
}

std::uint8_t Reference::pages_held(std::uint8_t device) const {
  parse();
  if (!loaded_) past_.unpack(pasts_[0]);
  loaded_ = pasts_.size() == 1;
  return past_.spec.pages_held(spec::SpecPinId{device});
}

bool Reference::attached(std::uint8_t device, std::uint8_t page) const {
  return page < pages_held(device) && past_.spec.attached(spec::SpecPinId{device}, page);
}

void Reference::create_file(std::uint8_t file, std::uint8_t pages, spec::FileStore store, std::int64_t value) {
  parse();
  assert(in_flight_.agents == 0 && pasts_.size() == 1);
  if (!loaded_) load(pasts_[0]);
  loaded_ = true;
  past_.spec.create_file(spec::FileNumber{file}, pages, store);
  for (std::uint8_t page = 0; value != 0 && page < pages; ++page) {
    past_.spec.fill_file(spec::FileNumber{file}, page, 0, value);
  }
  packed_is_current_ = false;
}

spec::Judgement Reference::judge_disk(std::uint8_t file, std::uint8_t page, std::uint8_t word,
                                      std::int64_t seen) const {
  parse();
  if (loaded_) return past_.spec.judge_disk(spec::FileNumber{file}, page, word, seen);
  spec::Judgement wrong;
  for (const Bytes& past : pasts_) {
    past_.unpack(past);
    const spec::Judgement judgement = past_.spec.judge_disk(spec::FileNumber{file}, page, word, seen);
    if (judgement.ok()) return judgement;
    if (wrong.ok()) wrong = judgement;
  }
  return wrong;
}

std::uint8_t Reference::file_size(std::uint8_t file) const {
  parse();
  if (!loaded_) past_.unpack(pasts_[0]);
  loaded_ = pasts_.size() == 1;
  return past_.spec.size(spec::FileNumber{file});
}

void Reference::track_handlers(bool huge) {
  parse();
  assert(in_flight_.agents == 0 && loaded_);
  past_.spec.track_handlers(huge);
  packed_is_current_ = false;
}

bool Reference::may_wait(std::uint8_t agent, const Call& call) const {
  parse();
  const bool inside = in_flight_.has(agent);
  const Call& asked = inside ? in_flight_.pending[agent].call : call;
  const spec::SpaceId space = inside ? in_flight_.pending[agent].space : space_of_[asked.process];
  if (loaded_) return past_.spec.exists(space) && may_wait_for_handler(past_.spec, space, asked);
  for (const Bytes& past : pasts_) {
    past_.unpack(past);
    if (past_.spec.exists(space) && may_wait_for_handler(past_.spec, space, asked)) return true;
  }
  return false;
}

void Reference::spawn(std::uint8_t process) {
  parse();
  assert(in_flight_.agents == 0 && pasts_.size() == 1 && space_of_[process] == kNoSpace);
  if (!loaded_) load(pasts_[0]);
  loaded_ = true;
  space_of_[process] = spec::SpaceId{process};
  past_.spec.create_space(space_of_[process]);
  packed_is_current_ = false;
}

spec::SpaceId Reference::free_space() const {
  // The first ones are for those who are forked, each of which is forked once; an exec takes one of the others, and not
  // its last one again, which a pin may still remember.
  constexpr std::uint8_t kFirst = litmus::kMaxBlocks;
  static_assert(spec::kMaxSpaces >= kFirst + litmus::kMaxBlocks);
  for (std::uint8_t number = kFirst; number < spec::kMaxSpaces; ++number) {
    const spec::SpaceId space{number};
    bool taken = std::find(space_of_.begin(), space_of_.end(), space) != space_of_.end();
    for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
      const Pending& pending = in_flight_.pending[agent];
      taken = taken ||
              (in_flight_.has(agent) && (pending.fresh == space || pending.space == space || pending.has_left(space)));
    }
    if (!taken) return space;
  }
  return kNoSpace;
}

bool Reference::shared(std::uint8_t process) const {
  return std::count(space_of_.begin(), space_of_.end(), space_of_[process]) > 1;
}

void Reference::begin(std::uint8_t agent, const Call& call) {
  parse();
  assert(!in_flight_.has(agent));
  Pending pending{.call = call, .space = space_of_[call.process], .fresh = kNoSpace, .drops = false};
  if (call.kind == Kind::kFork) pending.fresh = spec::SpaceId{call.child};
  if (call.kind == Kind::kRestore) pending.fresh = space_of_[call.child];
  if (call.kind == Kind::kExec) {
    pending.fresh = free_space();
    if (pending.fresh == kNoSpace) {
      forget_left();
      pending.fresh = free_space();
    }
  }
  if (call.kind == Kind::kExec || call.kind == Kind::kExit) pending.drops = !shared(call.process);
  in_flight_.pending[agent] = pending;
  in_flight_.agents = static_cast<std::uint8_t>(in_flight_.agents | bit(agent));
  packed_is_current_ = false;
}

spec::Judgement Reference::run(std::uint8_t agent, const Call& call, const spec::Observation& seen) {
  begin(agent, call);
  return complete(agent, seen);
}

spec::Judgement Reference::complete(std::uint8_t agent, const spec::Observation& seen) {
  parse();
  assert(in_flight_.has(agent));
  packed_is_current_ = false;
  if (in_flight_.agents == bit(agent) && pasts_.size() == 1 && in_flight_.pending[agent].left == 0) {
    // Nobody else to meet: one past, and one end of it, unless the operation was met itself.
    if (!loaded_) load(pasts_[0]);
    loaded_ = true;
    if (past_.untouched(agent)) {
      const spec::Judgement judgement = end(past_, in_flight_, agent, seen, nullptr);
      past_.forget(in_flight_, agent);
      conclude(agent, seen);
      return judgement;
    }
  }
  if (loaded_) pasts_[0] = packed();
  loaded_ = false;
  Outcome outcome;
  for (const Bytes& past : pasts_) end_in(past, agent, seen, outcome);
  const std::set<Bytes>& left = outcome.right.empty() ? outcome.wrong : outcome.right;
  pasts_.assign(left.begin(), left.end());
  conclude(agent, seen);
  return outcome.right.empty() ? outcome.judgement : spec::Judgement{};
}

void Reference::abandon(std::uint8_t agent) {
  parse();
  if (loaded_) pasts_[0] = packed();
  loaded_ = false;
  Outcome outcome;
  for (const Bytes& past : pasts_) {
    load(past);
    const bool is_fork = in_flight_.pending[agent].call.kind == Kind::kFork;
    const bool untouched = is_fork ? !past_.done(agent).taken : past_.untouched(agent);
    past_.forget(in_flight_, agent);
    add(untouched ? outcome.right : outcome.wrong);
  }
  const std::set<Bytes>& left = outcome.right.empty() ? outcome.wrong : outcome.right;
  pasts_.assign(left.begin(), left.end());
  in_flight_.agents = static_cast<std::uint8_t>(in_flight_.agents & ~bit(agent));
  packed_is_current_ = false;
}

void Reference::conclude(std::uint8_t agent, const spec::Observation& seen) {
  in_flight_.agents = static_cast<std::uint8_t>(in_flight_.agents & ~bit(agent));
  if (seen.error != Errno{0}) return;
  const Pending& pending = in_flight_.pending[agent];
  const Call& call = pending.call;
  switch (call.kind) {
    case Kind::kFork:
      space_of_[call.child] = pending.fresh;
      break;
    case Kind::kVfork:
      space_of_[call.child] = pending.space;
      break;
    case Kind::kExec:
      space_of_[call.process] = pending.fresh;
      note_left(agent);
      // Whoever looks for the process's memory from another one finds the new memory.
      for (std::uint8_t other = 0; other < kBlocks; ++other) {
        Pending& met = in_flight_.pending[other];
        if (in_flight_.has(other) && met.call.process == call.process) met.space = pending.fresh;
      }
      break;
    case Kind::kExit:
      space_of_[call.process] = kNoSpace;
      note_left(agent);
      break;
    default:
      break;
  }
}

void Reference::note_left(std::uint8_t agent) {
  const Pending& pending = in_flight_.pending[agent];
  const auto left = static_cast<std::uint16_t>(1u << pending.space.value());
  for (std::uint8_t other = 0; other < kBlocks; ++other) {
    Pending& met = in_flight_.pending[other];
    if (!in_flight_.has(other) || !met.may_hold(pending.space)) continue;
    if (met.call.process == pending.call.process) met.left = static_cast<std::uint16_t>(met.left | left);
    if (pending.drops) met.orphans = static_cast<std::uint16_t>(met.orphans | left);
  }
}

void Reference::forget_left() {
  overflowed_ = true;
  if (loaded_) pasts_[0] = packed();
  loaded_ = false;
  std::set<Bytes> left;
  for (const Bytes& past : pasts_) {
    load(past);
    for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
      if (!in_flight_.has(agent)) continue;
      for (std::uint8_t number = 0; number < spec::kMaxSpaces; ++number) {
        const bool orphan = (in_flight_.pending[agent].orphans >> number & 1u) != 0;
        if (orphan && past_.spec.exists(spec::SpaceId{number})) past_.spec.drop_space(spec::SpaceId{number});
      }
    }
    add(left);
  }
  pasts_.assign(left.begin(), left.end());
  for (Pending& pending : in_flight_.pending) pending.left = pending.orphans = 0;
}

void Reference::end_in(const Bytes& past, std::uint8_t agent, const spec::Observation& seen, Outcome& outcome) {
  load(past);
  past_.note_pinned(in_flight_);
  const std::uint32_t keepers = stale_keepers(agent);
  std::vector<Bytes> reached{packed()};
  std::set<Bytes> known(reached.begin(), reached.end());
  std::vector<Effect> relevant;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    const Bytes now = reached[i];
    load(now);
    find_relevant(agent, relevant);
    end_at(now, i != 0, agent, seen, keepers, outcome);
    for (const Effect& effect : relevant) {
      load(now);
      past_.apply(in_flight_, effect);
      Bytes next = packed();
      if (!known.insert(next).second) continue;
      if (known.size() > kMaxPasts) {
        overflowed_ = true;
        return;
      }
      reached.push_back(std::move(next));
    }
  }
}

void Reference::find_relevant(std::uint8_t agent, std::vector<Effect>& relevant) {
  struct Candidate {
    Effect effect;
    Footprint print;
    bool relevant = false;
    /// Not only because a fork looks at all pages.
    bool by_page = false;
  };
  relevant.clear();
  std::vector<Effect> effects;
  past_.effects(in_flight_, effects);
  const Pending& ending = in_flight_.pending[agent];
  std::vector<Candidate> candidates;
  struct Met {
    Footprint print;
    std::uint8_t by = 0;
    bool is_fork = false;
  };
  std::vector<Met> met;
  for (const Effect& effect : effects) {
    const Footprint print = past_.footprint(in_flight_, effect);
    if (effect.agent == agent) met.push_back({print, agent, ending.call.kind == Kind::kFork});
    if (effect.agent != agent || !in_one_part(ending.call)) candidates.push_back({.effect = effect, .print = print});
  }
  if (met.empty()) met.push_back({past_.footprint(ending), agent, false});

  bool others = false;
  for (std::size_t i = 0; i < met.size(); ++i) {
    const auto [print, met_by, is_fork] = met[i];
    for (Candidate& candidate : candidates) {
      const std::uint8_t by = candidate.effect.agent;
      if ((by == agent && !others) || (candidate.relevant && (candidate.by_page || is_fork))) continue;
      if (by == met_by || !conflict(candidate.print, print)) continue;
      if (!candidate.relevant) met.push_back({candidate.print, by, in_flight_.pending[by].call.kind == Kind::kFork});
      candidate.relevant = true;
      candidate.by_page = candidate.by_page || !is_fork;
      if (by != agent && !others) {
        others = true;
        // Its own parts count only where somebody else may come between them: look again.
        i = static_cast<std::size_t>(-1);
        break;
      }
    }
  }
  // Pages are done in their order. A fork meets those before some page; for all else only its own page counts, and the
  // ones before it may as well come later.
  std::uint8_t behind = 0;
  for (const Candidate& candidate : candidates) {
    const Effect& effect = candidate.effect;
    const bool first = (behind & bit(effect.agent)) == 0;
    if (in_flight_.pending[effect.agent].call.kind != Kind::kPin) {
      behind = static_cast<std::uint8_t>(behind | bit(effect.agent));
    }
    if (candidate.relevant && (candidate.by_page || first)) relevant.push_back(effect);
  }
}

std::uint32_t Reference::stale_keepers(std::uint8_t agent) const {
  const Pending& pending = in_flight_.pending[agent];
  if (pending.call.kind != Kind::kRead && pending.call.kind != Kind::kWrite) return 0;
  std::uint32_t keepers = 0;
  for (const spec::StalePage& stale : past_.spec.stale()) {
    if (stale.space == pending.space && stale.page == pending.call.page) keepers |= 1u << stale.keeper;
  }
  return keepers;
}

void Reference::end_at(const Bytes& past, bool early, std::uint8_t agent, const spec::Observation& seen,
                       std::uint32_t stale_keepers, Outcome& outcome) {
  load(past);
  const spec::Judgement judgement = end(past_, in_flight_, agent, seen, nullptr);
  if (judgement.ok()) {
    keep(agent, outcome);
  } else if (!early) {
    past_.forget(in_flight_, agent);
    if (outcome.wrong.empty()) {
      outcome.judgement = judgement;
    } else {
      allow_too(outcome.judgement, judgement);
    }
    add(outcome.wrong);
  }
  Pending& pending = in_flight_.pending[agent];
  const spec::SpaceId found = pending.space;
  for (std::uint8_t number = 0; number < spec::kMaxSpaces && seen.error != Errno::kNoProcess; ++number) {
    if (!pending.has_left(spec::SpaceId{number}) || spec::SpaceId{number} == found) continue;
    load(past);
    pending.space = spec::SpaceId{number};
    const bool there = end(past_, in_flight_, agent, seen, nullptr).ok();
    pending.space = found;
    if (there) keep(agent, outcome);
  }
  // A load that both explain leaves no trace of which it was.
  if (judgement.ok() && pending.call.kind == Kind::kRead) return;
  for (std::uint8_t keeper = 0; keeper < kBlocks; ++keeper) {
    if ((stale_keepers >> keeper & 1u) == 0) continue;
    load(past);
    for (const spec::StalePage& stale : past_.spec.stale()) {
      if (stale.keeper != keeper || stale.space != pending.space || stale.page != pending.call.page) continue;
      if (end(past_, in_flight_, agent, seen, &stale).ok()) keep(agent, outcome);
      break;
    }
  }
}

void Reference::keep(std::uint8_t agent, Outcome& outcome) {
  const Pending& pending = in_flight_.pending[agent];
  const std::vector<Configuration::Torn> torn = past_.take_torn(agent);
  past_.forget(in_flight_, agent);
  if (pending.call.kind == Kind::kFork && past_.spec.exists(pending.fresh)) {
    keep_torn(torn, 0, pending.fresh, outcome);
  } else {
    add(outcome.right);
  }
}

void Reference::keep_torn(const std::vector<Configuration::Torn>& torn, std::size_t from, spec::SpaceId child,
                          Outcome& outcome) {
  if (from == torn.size() || overflowed_) return add(outcome.right);
  // All values of one word, and beside them the one that it has.
  std::size_t to = from;
  while (to < torn.size() && torn[to].page == torn[from].page && torn[to].word == torn[from].word) ++to;
  keep_torn(torn, to, child, outcome);
  const Bytes as_it_was = packed();
  for (std::size_t i = from; i < to; ++i) {
    const auto now = past_.spec.peek(child, torn[i].page, torn[i].word);
    if (!now || !past_.spec.hands_on(child, torn[i].page)) break;
    past_.spec.tear(child, torn[i].page, torn[i].word, torn[i].value);
    keep_torn(torn, to, child, outcome);
    load(as_it_was);
  }
}

void Reference::add(std::set<Bytes>& to) {
  if (to.size() >= kMaxPasts) {
    overflowed_ = true;
    return;
  }
  to.insert(packed());
}

}  // namespace cowherd::check
