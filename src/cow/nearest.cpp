#include "cow/nearest.hpp"

#include <algorithm>
#include <array>

namespace cowherd {
namespace {

// Longer texts are no misspelt names; the bound keeps the rows of the distance table in fixed arrays.
constexpr std::size_t kLongest = 40;

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  if (a.size() > kLongest || b.size() > kLongest) return std::max(a.size(), b.size());
  using Line = std::array<std::size_t, kLongest + 1>;
  Line before_last{};
  Line last{};
  Line line{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    line[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t exchanged = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      line[j] = std::min({last[j] + 1, line[j - 1] + 1, exchanged});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        line[j] = std::min(line[j], before_last[j - 2] + 1);
      }
    }
    // Distances never shrink from line to line, but a swap of neighbours reaches over one.
    const auto least = [&b](const Line& l) { return *std::min_element(l.begin(), l.begin() + b.size() + 1); };
    if (least(line) >= limit && least(last) >= limit) return limit;
    before_last = last;
    last = line;
  }
  return last[b.size()];
}

Nearest::Nearest(std::string_view wanted) : wanted_(wanted), limit_(std::max<std::size_t>(wanted.size() / 3, 1) + 1) {}

void Nearest::offer(std::string_view candidate) {
  const std::size_t longer = std::max(wanted_.size(), candidate.size());
  if (longer - std::min(wanted_.size(), candidate.size()) >= limit_) return;
  const std::size_t distance = edit_distance(wanted_, candidate, limit_);
  if (distance >= limit_) return;
  limit_ = distance;
  best_ = candidate;
}

}  // namespace cowherd
