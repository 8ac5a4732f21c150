#include "check/configuration.hpp"

namespace cowherd::check {

using Kind = Call::Kind;

bool Configuration::refused_by_hugetlb(const Pending& pending) const {
  const Call& call = pending.call;
  const bool whole = call.backing.first % spec::kHugetlbPages == 0;
  switch (call.kind) {
    case Kind::kMmap:
      return (has(call.map_flags, MapFlags::kHugetlb) && !whole) ||
             spec.cuts_hugetlb(pending.space, call.page, call.count);
    case Kind::kMunmap:
      return spec.cuts_hugetlb(pending.space, call.page, call.count);
    case Kind::kMprotect:
      return spec.protects_part(pending.space, call.page, call.count, call.protection);
    case Kind::kMadvise:
      return spec.refuses_advice(pending.space, call.page, call.count, call.advice);
    default:
      return false;
  }
}

std::uint8_t Configuration::discarded_by(const Pending& pending) const {
  const Call& call = pending.call;
  return call.advice == Advice::kDontNeed ? spec.discarded(pending.space, call.page, call.count) : call.count;
}

spec::Judgement Configuration::advise_page(const Pending& pending, std::uint8_t page) {
  const Call& call = pending.call;
  if (call.advice == Advice::kRemove) return spec.remove(pending.space, page, call.page, call.count);
  return spec.madvise(pending.space, page, 1, call.advice, {});
}

bool Configuration::asks_for_hugetlb(const InFlight& in_flight, const Pending& pending) const {
  bool any = spec.exists(pending.space) && spec.has_hugetlb(pending.space);
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    any = any || (in_flight.has(agent) && has(in_flight.pending[agent].call.map_flags, MapFlags::kHugetlb));
  }
  return any;
}

}  // namespace cowherd::check
