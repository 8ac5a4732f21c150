#include <algorithm>
#include <limits>

#include "spec/spec.hpp"

namespace cowherd::spec {

// Whether a value is wrong is plain: it is not in the set of those allowed. The rest of this file finds the promise
// that the wrong value breaks, from whose past the value comes and who wrote the word last.

namespace {

void allow(Judgement& judgement, std::int64_t value) {
  if (judgement.allowed_count < std::size(judgement.allowed)) judgement.allowed[judgement.allowed_count] = value;
  if (judgement.allowed_count < std::numeric_limits<std::uint8_t>::max()) ++judgement.allowed_count;
}

Judgement breach(Judgement judgement, Clause clause, Harm harm, bool by_get) {
  judgement.broken = clause;
  judgement.harm = harm;
  judgement.by_get = by_get;
  return judgement;
}

/// A CPU saw what another address space got written.
Judgement leak(const Judgement& judgement, Writer writer) {
  switch (writer) {
    case Writer::kForce:
      return breach(judgement, Clause::kForce, Harm::kLeak, false);
    case Writer::kPin:
    case Writer::kGet:
      return breach(judgement, Clause::kReference, Harm::kLeak, writer == Writer::kGet);
    case Writer::kNone:
    case Writer::kCpu:
      break;
  }
  return breach(judgement, Clause::kPrivate, Harm::kLeak, false);
}

/// Somebody does not see what was last written; `memory` is what is promised of it.
Judgement loss(const Judgement& judgement, Writer last, Clause memory = Clause::kPrivate) {
  switch (last) {
    case Writer::kPin:
    case Writer::kGet:
      return breach(judgement, Clause::kWritePin, Harm::kLostDma, last == Writer::kGet);
    case Writer::kForce:
      return breach(judgement, Clause::kForce, Harm::kLostWrite, false);
    case Writer::kCpu:
      return breach(judgement, memory, Harm::kLostWrite, false);
    case Writer::kNone:
      break;
  }
  return breach(judgement, memory, Harm::kGarbage, false);
}

}  // namespace

Judgement Spec::judge_view(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t seen) {
  Judgement judgement;
  const std::int64_t now = state_.load(space, page, word);
  allow(judgement, now);
  bool right = seen == now;
  const std::span<const PastValue> others = state_.alternatives(space, page, word);
  for (const PastValue& other : others) {
    right = right || other.value == seen;
    allow(judgement, other.value);
  }
  if (right) {
    if (!others.empty()) change().settle(space, page, word, seen);
    return judgement;
  }
  const Origin origin = state_.provenance().origin(space, seen);
  if (origin.foreign) return leak(judgement, origin.writer);
  const bool shared = state_.find(space, page)->view != View::kOwn;
  return loss(judgement, state_.last_writer(space, page, word), shared ? Clause::kFile : Clause::kPrivate);
}

Judgement Spec::judge_shared(std::int64_t right, Writer last, std::int64_t seen) const {
  Judgement judgement;
  allow(judgement, right);
  if (seen == right) return judgement;
  const Origin origin = state_.provenance().origin_of_shared(seen);
  return origin.foreign ? leak(judgement, origin.writer) : loss(judgement, last, Clause::kFile);
}

Judgement Spec::read_file(FileNumber file, std::uint8_t page, std::uint8_t word, Observation seen) {
  if (seen.for_shortage()) return {};
  if (seen.error != Errno{0}) return judge_result(Errno{0}, seen);
  return judge_shared(state_.load(file, page, word), state_.last_writer(file, page, word), seen.value);
}

Judgement Spec::judge_disk(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t seen) const {
  return judge_shared(state_.load(file, page, word), state_.last_writer(file, page, word), seen);
}

Judgement Spec::judge_dma(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t seen) {
  Judgement judgement;
  bool right = state_.may_hold(pin, page, word, seen);
  allow(judgement, state_.load(pin, page, word));
  for (const PastValue& past : state_.past(pin, page, word)) {
    right = right || past.value == seen;
    allow(judgement, past.value);
  }
  if (right) {
    if (state_.settles(pin, page)) {
      const auto at = state_.page_of(pin, page);
      if (!state_.alternatives(state_.owner(pin), at, word).empty()) change().settle(state_.owner(pin), at, word, seen);
    }
    return judgement;
  }

  const bool by_get = state_.by_get(pin);
  const Origin origin = state_.provenance().origin(state_.owner(pin), seen);
  if (origin.foreign) return breach(judgement, Clause::kReference, Harm::kLeak, by_get);
  if (!state_.attached(pin, page)) return breach(judgement, Clause::kReference, Harm::kGarbage, by_get);
  const Clause clause = state_.strength(pin) == Strength::kWrite ? Clause::kWritePin : Clause::kReadPin;
  return breach(judgement, clause, origin.own ? Harm::kStaleDma : Harm::kGarbage, by_get);
}

}  // namespace cowherd::spec
