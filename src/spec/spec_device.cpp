#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {

Judgement Spec::make_exclusive(SpaceId space, std::uint8_t page, Observation seen) {
  if (seen.for_shortage() || seen.error == Errno::kFault || seen.error == Errno::kInvalid) return {};
  const auto allowed = protection(space, page);
  const bool may = allowed && has(*allowed, Protection::kWrite) && !secret(space, page);
  if (!may || seen.error != Errno{0}) return judge_result(may ? Errno{0} : Errno::kFault, seen);
  return meets(space, page, true) ? Judgement{} : unasked();
}

/// Whether a device may have it for itself.
bool Spec::may_be_exclusive(const Page* page) const {
  return page != nullptr && !page->secret && !state_.beyond_end(*page);
}

Judgement Spec::device_read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen) {
  const Page* at = state_.find(space, page);
  if (!may_be_exclusive(at) || seen.error != Errno{0}) return judge_result(Errno::kNoDevice, seen);
  if (at->lazy.words != 0) return judge_lazy_view(space, page, word, seen.value);
  return judge_view(space, page, word, seen.value);
}

Judgement Spec::device_write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value,
                             Observation seen) {
  const Page* at = state_.find(space, page);
  if (!may_be_exclusive(at) || seen.error != Errno{0}) return judge_result(Errno::kNoDevice, seen);
  change().store(space, page, word, value, Writer::kPin);
  return {};
}

Judgement Spec::device_add(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen) {
  const Page* at = state_.find(space, page);
  const std::int64_t before = peek(space, page, word).value_or(0);
  std::vector<std::int64_t> others;
  for (const PastValue& other : state_.alternatives(space, page, word)) others.push_back(other.value);
  if (at != nullptr && contains(at->lazy.words, word)) others.push_back(0);
  const Judgement judgement = device_write(space, page, word, before + value, seen);
  if (!judgement.ok() || seen.error != Errno{0}) return judgement;
  for (const std::int64_t other : others) {
    if (other != before) change().add_alternative(space, page, word, other + value);
  }
  return judgement;
}

}  // namespace cowherd::spec
