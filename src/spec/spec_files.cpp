#include "spec/spec.hpp"

namespace cowherd::spec {

Judgement Spec::write_file(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t value,
                           Observation seen) {
  if (seen.for_shortage()) return {};
  if (page >= state_.size(file)) change().set_size(file, static_cast<std::uint8_t>(page + 1));
  change().store(file, page, word, value);
  return judge_result(Errno{0}, seen);
}

Judgement Spec::truncate(FileNumber file, std::uint8_t pages, Observation seen) {
  if (seen.for_shortage()) return {};
  change().set_size(file, pages);
  return judge_result(Errno{0}, seen);
}

Judgement Spec::punch(FileNumber file, std::uint8_t first, std::uint8_t count, Observation seen) {
  if (seen.for_shortage()) return {};
  for (std::uint8_t page = first; page < first + count && page < state_.size(file); ++page) change().punch(file, page);
  return judge_result(Errno{0}, seen);
}

}  // namespace cowherd::spec
