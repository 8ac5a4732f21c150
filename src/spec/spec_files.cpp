#include "spec/spec.hpp"

namespace cowherd::spec {

Judgement Spec::write_file(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t value,
                           Observation seen) {
  if (seen.for_shortage()) return {};
  if (state_.store_of(file) == FileStore::kHugetlb) return judge_result(Errno::kInvalid, seen);
  if (page >= state_.size(file)) change().set_size(file, static_cast<std::uint8_t>(page + 1));
  change().store(file, page, word, value);
  return judge_result(Errno{0}, seen);
}

Judgement Spec::truncate(FileNumber file, std::uint8_t pages, Observation seen) {
  if (seen.for_shortage()) return {};
  const bool hugetlb = state_.store_of(file) == FileStore::kHugetlb;
  if (hugetlb && pages % kHugetlbPages != 0) return judge_result(Errno::kInvalid, seen);
  change().set_size(file, pages);
  return judge_result(Errno{0}, seen);
}

Judgement Spec::punch(FileNumber file, std::uint8_t first, std::uint8_t count, Observation seen) {
  if (seen.for_shortage()) return {};
  const bool hugetlb = state_.store_of(file) == FileStore::kHugetlb;
  for (std::uint8_t page = first; page < first + count && page < state_.size(file); ++page) {
    const int begins = page - page % kHugetlbPages;
    // Of a hugetlb page that is punched whole private copies go too; a part of one becomes zeros.
    if (hugetlb && (begins < first || begins + kHugetlbPages > first + count)) {
      change().clear(file, page);
    } else {
      change().punch(file, page, hugetlb);
    }
  }
  return judge_result(Errno{0}, seen);
}

}  // namespace cowherd::spec
