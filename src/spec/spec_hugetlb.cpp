#include <algorithm>

#include "spec/spec.hpp"

namespace cowherd::spec {

namespace {

/// Calls is(page) for the hugetlb pages within which [first, first + count) begins or ends; whether one of them is.
template <class Is>
bool any_cut(const State& state, SpaceId space, std::uint8_t first, std::uint8_t count, Is&& is) {
  const auto cuts = [&](unsigned page) {
    const Page* at = page < kMaxPages ? state.find(space, static_cast<std::uint8_t>(page)) : nullptr;
    return at != nullptr && at->hugetlb > 1 && is(*at);
  };
  return cuts(first) || cuts(first + unsigned{count});
}

}  // namespace

bool Spec::cuts_hugetlb(SpaceId space, std::uint8_t first, std::uint8_t count) const {
  return any_cut(state_, space, first, count, [](const Page&) { return true; });
}

bool Spec::protects_part(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection) const {
  return any_cut(state_, space, first, count, [&](const Page& page) { return page.protection != protection; });
}

std::uint8_t Spec::discarded(SpaceId space, std::uint8_t first, std::uint8_t count) const {
  const unsigned end = first + unsigned{count};
  if (!any_cut(state_, space, static_cast<std::uint8_t>(end), 0, [](const Page&) { return true; })) return count;
  const unsigned in_it = state_.find(space, static_cast<std::uint8_t>(end))->hugetlb - 1u;
  return static_cast<std::uint8_t>(count - std::min<unsigned>(count, in_it));
}

bool Spec::has_hugetlb(SpaceId space) const {
  for (std::uint8_t i = 0; i < kMaxPages; ++i) {
    const Page* page = state_.find(space, i);
    if (page != nullptr && page->hugetlb != 0) return true;
  }
  return false;
}

bool Spec::refuses_advice(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice) const {
  const auto cut = [&](auto&& is) { return any_cut(state_, space, first, count, is); };
  switch (advice) {
    case Advice::kDontNeed:
      // What it ends within is spared.
      return any_cut(state_, space, first, 0, [](const Page&) { return true; });
    case Advice::kDontFork:
      return cut([](const Page& page) { return !page.dont_fork; });
    case Advice::kDoFork:
      return cut([](const Page& page) { return page.dont_fork; });
    case Advice::kHugePage:
    case Advice::kNoHugePage:
      return cut([](const Page&) { return true; });
    case Advice::kWipeOnFork:
    case Advice::kFree:
    case Advice::kCold:
    case Advice::kPageOut:
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

Judgement Spec::remove(SpaceId space, std::uint8_t page, std::uint8_t first, std::uint8_t count) {
  if (const Errno stops = advice_stops(space, page, Advice::kRemove, true); stops != Errno{0}) {
    return judge_result(stops, {});
  }
  if (state_.find(space, page) == nullptr) return judge_result(Errno::kNoMemory, {});
  punch_page(space, page, first, count);
  return {};
}

void Spec::punch_page(SpaceId space, std::uint8_t page, std::uint8_t first, std::uint8_t count) {
  const Page& hole = *state_.find(space, page);
  if (hole.hugetlb == 0) return change().punch(space, page);
  const int begins = page - (hole.hugetlb - 1);
  const bool whole = begins >= first && begins + kHugetlbPages <= first + count;
  return whole ? change().punch(space, page, true) : change().clear(space, page);
}

void Spec::extend_file(const Page& mapped) {
  if (mapped.file == kAnonymous || mapped.hugetlb == 0 || !has(mapped.protection, Protection::kWrite)) return;
  const auto end = static_cast<std::uint8_t>(mapped.file_page + (kHugetlbPages - mapped.hugetlb) + 1);
  if (end > state_.size(mapped.file)) change().set_size(mapped.file, end);
}

}  // namespace cowherd::spec
