#include <algorithm>

#include "spec/spec.hpp"

namespace cowherd::spec {

namespace {

/// Whether `page`, `distance` pages behind `first`, shows what a mapping of both would show there.
bool continues(const Page& first, std::uint8_t distance, const Page& page) {
  if (page.file != first.file || (page.view == View::kShared) != (first.view == View::kShared)) return false;
  return page.file == kAnonymous || page.file_page == first.file_page + distance;
}

}  // namespace

Errno Spec::remap_error(SpaceId space, const Remap& remap) const {
  const bool fixed = has(remap.flags, RemapFlags::kFixed);
  const bool leaves = has(remap.flags, RemapFlags::kDontUnmap);
  if ((fixed || leaves) && !has(remap.flags, RemapFlags::kMayMove)) return Errno::kInvalid;
  if (leaves && remap.count != remap.to_count) return Errno::kInvalid;
  const bool overlap = remap.to < remap.first + remap.count && remap.first < remap.to + remap.to_count;
  if (fixed && overlap) return Errno::kInvalid;
  const Page* first = state_.find(space, remap.first);
  if (first == nullptr) return Errno::kFault;
  for (std::uint8_t i = 0; i < remap.count; ++i) {
    const Page* page = state_.find(space, static_cast<std::uint8_t>(remap.first + i));
    if (page != nullptr && page->hugetlb != 0) return Errno::kInvalid;
  }
  if (fixed && cuts_hugetlb(space, remap.to, remap.to_count)) return Errno::kInvalid;
  if (remap.to_count <= remap.count) return Errno{0};
  for (std::uint8_t i = 1; i < remap.count; ++i) {
    const Page* page = state_.find(space, static_cast<std::uint8_t>(remap.first + i));
    const bool alike = page != nullptr && page->protection == first->protection &&
                       page->dont_fork == first->dont_fork && page->wipe_on_fork == first->wipe_on_fork &&
                       page->secret == first->secret && page->uffd == first->uffd && continues(*first, i, *page);
    if (!alike) return Errno::kFault;
  }
  for (std::uint8_t i = remap.count; !fixed && i < remap.to_count; ++i) {
    if (state_.find(space, static_cast<std::uint8_t>(remap.first + i)) != nullptr) return Errno::kNoMemory;
  }
  return Errno{0};
}

void Spec::remap_part(SpaceId space, const Remap& remap, std::uint8_t part, bool last_moved) {
  const auto from = static_cast<std::uint8_t>(remap.first + part);
  const auto to = static_cast<std::uint8_t>(remap.to + part);
  if (part >= remap.to_count) return change().unmap(space, from);
  if (part >= remap.count) {
    const int last = (last_moved ? remap.to : remap.first) + remap.count - 1;
    const Page like = *state_.find(space, static_cast<std::uint8_t>(last));
    const bool shared = like.view == View::kShared;
    if (like.file != kAnonymous) {
      const auto file_page = static_cast<std::uint8_t>(like.file_page + part - remap.count + 1);
      change().map_file(space, to, like.protection, like.file, file_page, shared);
    } else if (shared) {
      change().map_beyond_end(space, to, like.protection);
    } else {
      change().map(space, to, like.protection);
    }
    Page& page = *state_.find(space, to);
    page.dont_fork = like.dont_fork;
    page.wipe_on_fork = like.wipe_on_fork;
    page.secret = like.secret;
    page.locked = like.locked;
    page.uffd =
        last_moved || remap.first == remap.to || has(like.uffd, UffdFlags::kEventRemap) ? like.uffd : UffdFlags::kNone;
    return;
  }
  if (from == to) return;
  if (state_.find(space, from) == nullptr) return change().unmap(space, to);
  change().move(space, from, to, has(remap.flags, RemapFlags::kDontUnmap));
}

Judgement Spec::mremap(SpaceId space, const Remap& remap, Observation seen) {
  if (seen.for_shortage()) return {};
  const Errno expected = remap_error(space, remap);
  const bool several = remap.count > 1 && (expected == Errno{0} || expected == Errno::kNoMemory);
  if (several && seen.error == Errno::kFault) return {};
  if (expected == Errno{0}) {
    tell_of(space, remap);
    for (std::uint8_t part = 0; part < remap.parts(); ++part) remap_part(space, remap, part, part >= remap.kept());
  }
  return judge_result(expected, seen);
}

}  // namespace cowherd::spec
