#include "base/mutant.hpp"
#include "frame/frames.hpp"

namespace cowherd {

template <class G>
std::size_t Frames<G>::next_free(std::size_t from) const {
  std::size_t bits = header_->frame_count;
  // Up to the first word that has one, and down to it.
  for (std::size_t level = 0; level < level_count_; ++level) {
    if (from >= bits) break;
    const std::size_t word = from / kWordBits;
    const std::uint64_t left = levels_[level][word] & ~std::uint64_t{0} << from % kWordBits;
    if (left != 0) {
      std::size_t found = word * kWordBits + static_cast<std::size_t>(std::countr_zero(left));
      while (level-- > 0) {
        found = found * kWordBits + static_cast<std::size_t>(std::countr_zero(levels_[level][found]));
      }
      return found;
    }
    from = word + 1;
    bits = (bits + kWordBits - 1) / kWordBits;
  }
  return header_->frame_count;
}

template <class G>
std::size_t Frames<G>::find_between(std::size_t begin, std::size_t end, unsigned order, bool own_stripe) const {
  const std::size_t run = std::size_t{1} << order;
  for (std::size_t at = begin; (at = next_free(at)) < end;) {
    const std::size_t start = (at + run - 1) / run * run;
    if (start + run > end) break;
    std::size_t free = start;
    while (free < start + run && next_free(free) == free) ++free;
    const bool good = !own_stripe || in_stripe(FrameNumber{static_cast<std::uint32_t>(start)});
    if (free == start + run && good) return start;
    at = free == start + run ? free : free + 1;
  }
  return header_->frame_count;
}

template <class G>
std::size_t Frames<G>::find_free_in(Zone zone, unsigned order) const {
  const std::size_t none = header_->frame_count;
  const std::size_t movable = movable_first_;
  const std::size_t behind = movable + movable_count_;
  const auto find = [&](bool in_zone, bool own_stripe) {
    if (in_zone) return find_between(movable, behind, order, own_stripe);
    const std::size_t below = find_between(0, movable, order, own_stripe);
    return below != none ? below : find_between(behind, none, order, own_stripe);
  };
  for (const bool in_zone : {true, false}) {
    if (in_zone && (zone != Zone::kMovable || order != 0 || (movable_closed() && !COWHERD_MUTANT(offline_stays_open))))
      continue;
    const std::size_t own = stripes_ > 1 ? find(in_zone, true) : none;
    const std::size_t found = own != none ? own : find(in_zone, false);
    if (found != none) return found;
  }
  return none;
}

#define COWHERD_INSTANTIATE(G)                                                                  \
  template std::size_t Frames<G>::next_free(std::size_t) const;                                 \
  template std::size_t Frames<G>::find_between(std::size_t, std::size_t, unsigned, bool) const; \
  template std::size_t Frames<G>::find_free_in(Zone, unsigned) const;
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
