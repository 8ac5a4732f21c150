#include "stress/register.hpp"

#include <algorithm>

namespace cowherd::stress {

auto Register::of_value(std::uint64_t value) const -> std::pair<Writes::iterator, Writes::iterator> {
  if (!sorted_) {
    std::sort(writes_.begin(), writes_.end(), [](const Write& a, const Write& b) { return a.value < b.value; });
    sorted_ = true;
  }
  const auto first = std::lower_bound(writes_.begin(), writes_.end(), value,
                                      [](const Write& write, std::uint64_t wanted) { return write.value < wanted; });
  auto last = first;
  while (last != writes_.end() && last->value == value) ++last;
  return {first, last};
}

Tick Register::overwritten_at(Interval read) const {
  if (!indexed_) {
    ends_.clear();
    for (const Write& write : writes_) {
      if (write.certain) ends_.push_back(write.when);
    }
    std::sort(ends_.begin(), ends_.end(), [](Interval a, Interval b) { return a.end < b.end; });
    Tick latest = 0;
    for (Interval& when : ends_) when.begin = latest = std::max(latest, when.begin);
    indexed_ = true;
  }
  const auto after = std::lower_bound(ends_.begin(), ends_.end(), read.begin,
                                      [](Interval when, Tick begin) { return when.end < begin; });
  return after == ends_.begin() ? 0 : std::prev(after)->begin;
}

void Register::seen(std::uint64_t value, Tick end) {
  const auto [first, last] = of_value(value);
  for (auto write = first; write != last; ++write) write->when.end = std::min(write->when.end, end);
  indexed_ = false;
}

bool Register::written(std::uint64_t value, Interval read) const {
  const auto [first, last] = of_value(value);
  return std::any_of(first, last, [&](const Write& write) {
    return write.when.begin <= read.end && overwritten_at(read) <= write.when.end;
  });
}

bool Register::keeps_base(Interval read) const { return overwritten_at(read) == 0; }

const Register::Write* Register::last_before(Interval read) const {
  const Write* last = nullptr;
  for (const Write& write : writes_) {
    if (write.certain && write.when.before(read) && (last == nullptr || last->when.begin < write.when.begin)) {
      last = &write;
    }
  }
  return last;
}

}  // namespace cowherd::stress
