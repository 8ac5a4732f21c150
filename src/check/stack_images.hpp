#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "check/visited.hpp"

namespace cowherd::check {

/// Keeps byte strings, each different one once, by number: a program has a few hundred different stacks and millions of
/// states that refer to them. Not thread-safe.
class StackImages {
 public:
  using Number = std::uint32_t;
  static constexpr Number kNone = 0xffffffff;

  void clear();

  /// The number of these bytes. Images are told apart by their hash, as states are.
  Number intern(std::span<const std::byte> bytes);
  /// Precondition: `number` came from intern() since clear().
  [[nodiscard]] std::span<const std::byte> operator[](Number number) const { return images_[number]; }

  [[nodiscard]] std::size_t count() const { return images_.size(); }
  [[nodiscard]] std::size_t bytes() const { return reserved_ + known_.bytes(); }

 private:
  static constexpr std::size_t kSlab = std::size_t{1} << 18;

  VisitedSet known_;
  std::vector<std::span<const std::byte>> images_;
  std::vector<std::unique_ptr<std::byte[]>> slabs_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t reserved_ = 0;
};

}  // namespace cowherd::check
