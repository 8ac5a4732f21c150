#include "spec/spec.hpp"

namespace cowherd::spec {

bool Spec::cuts_hugetlb(SpaceId space, std::uint8_t first, std::uint8_t count) const {
  const auto within = [&](unsigned page) {
    const Page* at = page < kMaxPages ? state_.find(space, static_cast<std::uint8_t>(page)) : nullptr;
    return at != nullptr && at->hugetlb > 1;
  };
  return within(first) || within(first + unsigned{count});
}

bool Spec::has_hugetlb(SpaceId space) const {
  for (std::uint8_t i = 0; i < kMaxPages; ++i) {
    const Page* page = state_.find(space, i);
    if (page != nullptr && page->hugetlb != 0) return true;
  }
  return false;
}

bool Spec::refuses_advice(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice) const {
  switch (advice) {
    case Advice::kWipeOnFork:
    case Advice::kFree:
    case Advice::kCold:
    case Advice::kPageOut:
    case Advice::kRemove:
      break;
    default:
      return false;
  }
  for (std::uint8_t i = first; i < first + count; ++i) {
    const Page* page = state_.find(space, i);
    if (page != nullptr && page->hugetlb != 0) return true;
  }
  return false;
}

}  // namespace cowherd::spec
