#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace cowherd::check {

/// A state as a few runs of bytes, each with a fixed place for everything in it, so that two states can be compared run
/// by run. All but the last have whole words.
using StateParts = std::array<std::span<const std::byte>, 3>;

/// Keeps copies of states, each written as what differs from one state, the base: most of a state is what it was when
/// the program began, and most of the rest is zero. Not thread-safe.
class SnapshotStore {
 public:
  /// A stored state. Moving it about is the caller's business; release() it once.
  struct Handle {
    std::byte* data = nullptr;
    std::uint32_t stored_bytes = 0;

    explicit operator bool() const { return data != nullptr; }
  };

  /// Forgets everything; `base` is what later states are compared with.
  void reset(const StateParts& base);

  Handle store(const StateParts& state);
  /// The parts of the state, one behind the other. Valid until the next call.
  std::span<const std::byte> load(const Handle& handle);
  void release(Handle& handle);

  /// Bytes that stored states take now.
  [[nodiscard]] std::size_t bytes() const { return used_; }
  /// Bytes taken for stored states since reset().
  [[nodiscard]] std::size_t reserved() const { return reserved_; }

 private:
  static constexpr std::size_t kUnit = 64;
  static constexpr std::size_t kFirstSlab = std::size_t{1} << 17;
  static constexpr std::size_t kLargestSlab = std::size_t{1} << 20;

  std::byte* allocate(std::size_t units);
  /// Both return where the part ends, in encoded_ and in what load() reads.
  std::size_t encode(std::span<const std::byte> part, std::vector<std::uint64_t>& base, std::size_t out);
  const std::byte* decode(const std::byte* in, std::span<std::uint64_t> words, const std::vector<std::uint64_t>& base);

  std::array<std::vector<std::uint64_t>, 3> base_;
  std::vector<std::uint64_t> encoded_;
  std::vector<std::uint64_t> decoded_;
  std::vector<std::unique_ptr<std::byte[]>> slabs_;
  /// The rest of the newest slab.
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
  /// By size in units: released blocks.
  std::vector<std::vector<std::byte*>> free_;
  std::size_t used_ = 0;
  std::size_t reserved_ = 0;
};

}  // namespace cowherd::check
