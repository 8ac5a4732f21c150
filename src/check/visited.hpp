#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace cowherd::check {

/// A map from state hash to state number, with open addressing. Two states with one hash are one state here: what that
/// costs is Stats::miss_probability. Not thread-safe.
class VisitedSet {
 public:
  VisitedSet() { clear(); }

  void clear();

  /// The number of the state with this hash, and whether it is new; then it is `number` from now on.
  std::pair<std::uint32_t, bool> insert(std::uint64_t hash, std::uint32_t number);

  /// Precondition: the hash is in the map. It stands for the state `number` from now on.
  void rename(std::uint64_t hash, std::uint32_t number) { find(hash).number = number; }

  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  static constexpr std::size_t kFirstSlots = 256;
  static constexpr std::uint32_t kFree = 0xffffffff;

  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t number = kFree;
  };

  void grow();
  [[nodiscard]] Slot& find(std::uint64_t hash);

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace cowherd::check
