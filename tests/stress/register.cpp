#include "stress/register.hpp"

#include <algorithm>

namespace cowherd::stress {

void Register::seen(std::uint64_t value, Tick end) {
  for (Write& write : writes_) {
    if (write.value == value) write.when.end = std::min(write.when.end, end);
  }
}

bool Register::written(std::uint64_t value, Interval read) const {
  return std::any_of(writes_.begin(), writes_.end(), [&](const Write& write) {
    if (write.value != value || write.when.begin > read.end) return false;
    return std::none_of(writes_.begin(), writes_.end(), [&](const Write& later) {
      return later.certain && write.when.before(later.when) && later.when.before(read);
    });
  });
}

bool Register::keeps_base(Interval read) const {
  return std::none_of(writes_.begin(), writes_.end(),
                      [&](const Write& write) { return write.certain && write.when.before(read); });
}

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
