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

/// A CPU does not see what was last written in its own address space.
Judgement loss(const Judgement& judgement, Writer last) {
  switch (last) {
    case Writer::kPin:
    case Writer::kGet:
      return breach(judgement, Clause::kWritePin, Harm::kLostDma, last == Writer::kGet);
    case Writer::kForce:
      return breach(judgement, Clause::kForce, Harm::kLostWrite, false);
    case Writer::kCpu:
      return breach(judgement, Clause::kPrivate, Harm::kLostWrite, false);
    case Writer::kNone:
      break;
  }
  return breach(judgement, Clause::kPrivate, Harm::kGarbage, false);
}

}  // namespace

Judgement Spec::judge_view(SpaceId space, const Page& page, std::uint8_t word, std::int64_t seen) const {
  Judgement judgement;
  allow(judgement, page.words[word]);
  if (seen == page.words[word]) return judgement;
  const Origin origin = state_.provenance().origin(space, seen);
  return origin.foreign ? leak(judgement, origin.writer) : loss(judgement, page.writers[word]);
}

Judgement Spec::judge_dma(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t seen) const {
  Judgement judgement;
  bool right = state_.load(pin, page, word) == seen;
  allow(judgement, state_.load(pin, page, word));
  for (const PastValue& past : state_.past(pin, page, word)) {
    right = right || past.value == seen;
    allow(judgement, past.value);
  }
  if (right) return judgement;

  const bool by_get = state_.by_get(pin);
  const Origin origin = state_.provenance().origin(state_.owner(pin), seen);
  if (origin.foreign) return breach(judgement, Clause::kReference, Harm::kLeak, by_get);
  if (!state_.attached(pin, page)) return breach(judgement, Clause::kReference, Harm::kGarbage, by_get);
  const Clause clause = state_.strength(pin) == Strength::kWrite ? Clause::kWritePin : Clause::kReadPin;
  return breach(judgement, clause, origin.own ? Harm::kStaleDma : Harm::kGarbage, by_get);
}

}  // namespace cowherd::spec
