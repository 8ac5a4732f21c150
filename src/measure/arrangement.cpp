#include "measure/arrangement.hpp"

#include <algorithm>
#include <numeric>

namespace cowherd::measure {
namespace {

/// xorshift64*: the same numbers on every machine, unlike the standard library's distributions.
class Random {
 public:
  /// Below `limit`.
  std::uint64_t below(std::uint64_t limit) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545F4914F6CDD1DULL >> 11) % limit;
  }

 private:
  std::uint64_t state_ = 0x9E3779B97F4A7C15ULL;
};

}  // namespace

std::vector<std::uint64_t> order_of(std::uint64_t count, bool shuffled) {
  std::vector<std::uint64_t> order(count);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  if (!shuffled) return order;
  Random random;
  for (std::uint64_t left = count; left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
  return order;
}

std::vector<std::uint64_t> scattered(std::uint64_t count, std::uint64_t pages) {
  // One from each of `count` parts of equal size: different without asking, and as far apart as random pages are.
  std::vector<std::uint64_t> chosen;
  Random random;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t begin = i * pages / count;
    const std::uint64_t end = (i + 1) * pages / count;
    chosen.push_back(begin + random.below(end - begin));
  }
  return chosen;
}

std::vector<std::uint64_t> scattered_words() {
  std::vector<std::uint64_t> offsets(4096);
  Random random;
  for (std::uint64_t& offset : offsets) offset = random.below(kHitPages * 512) * sizeof(std::uint64_t);
  return offsets;
}

std::vector<std::uint64_t> scattered_pages(std::uint64_t pages) {
  std::vector<std::uint64_t> numbers(1 << 16);
  Random random;
  for (std::uint64_t& number : numbers) number = random.below(pages);
  return numbers;
}

}  // namespace cowherd::measure
