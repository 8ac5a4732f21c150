#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "check/call.hpp"
#include "check/footprint.hpp"
#include "spec/spec.hpp"

namespace cowherd::check {

/// A part of an operation that takes effect at one moment, while the operation is under way.
struct Effect {
  std::uint8_t agent = 0;
  /// Of the pages of the operation; 0 where it takes effect as a whole. Of a debugger's access: one more than the
  /// number of the address space that it got hold of, where the process has left that.
  std::uint8_t index = 0;
  /// The operation finds that it may not, and goes no further.
  bool refused = false;
};

/// How far an operation under way has taken effect.
struct PartsDone {
  /// Pages done. Of a fork: pages that a pin held at some moment since it began, so that it may have copied them.
  std::uint16_t pages = 0;
  /// It has taken effect as a whole.
  bool taken = false;
  /// It has met what makes it fail or end early.
  bool refused = false;
  /// What made it so: an error; or what a read has read; or where an madvise stopped, as StoppedEarly.
  std::int64_t value = 0;
};

/// What an madvise has met that ends it: how many pages it went over, that one included, and its error.
struct StoppedEarly {
  std::uint8_t pages = 0;
  Errno error{0};

  [[nodiscard]] std::int64_t value() const { return static_cast<std::int64_t>(error) << 8 | pages; }
  static StoppedEarly of(std::int64_t value) {
    return {static_cast<std::uint8_t>(value & 0xFF), static_cast<Errno>(value >> 8)};
  }
};

/// One past that explains what was seen: the reference as it would be then, and which parts of the operations under way
/// have taken effect in it. Not thread-safe.
class Configuration {
 public:
  spec::Spec spec;

  void clear();
  /// Appends: equal pasts give equal bytes, and those in which less has happened early come first.
  void pack(std::vector<std::byte>& to) const;
  /// Precondition: `bytes` is what pack() appended.
  void unpack(std::span<const std::byte> bytes);

  /// The effects that may come next.
  void effects(const InFlight& in_flight, std::vector<Effect>& to) const;
  [[nodiscard]] Footprint footprint(const InFlight& in_flight, const Effect& effect) const;
  /// Of the last moment of an operation that takes effect there and nowhere before.
  [[nodiscard]] Footprint footprint(const Pending& pending) const;
  /// Precondition: among effects().
  void apply(const InFlight& in_flight, const Effect& effect);

  /// Whether the operation, of which nothing has taken effect, fails with EINVAL for what is true of hugetlb memory:
  /// it would cut a page, or advises what cannot be.
  [[nodiscard]] bool refused_by_hugetlb(const Pending& pending) const;
  /// How many pages of an madvise it is about: MADV_DONTNEED leaves alone a hugetlb page that it ends within.
  [[nodiscard]] std::uint8_t discarded_by(const Pending& pending) const;
  /// What an madvise does to one of its pages.
  spec::Judgement advise_page(const Pending& pending, std::uint8_t page);

  /// Notes for every fork under way which of its pages pins hold now.
  void note_pinned(const InFlight& in_flight);
  /// The word of a page was stored to: what a fork under way copies of a pinned page may be either value.
  void note_store(const InFlight& in_flight, spec::SpaceId space, std::uint8_t page, std::uint8_t word,
                  std::int64_t before, std::int64_t after);
  /// A value that a word of a pinned page held while a fork was under way.
  struct Torn {
    std::uint8_t agent = 0;
    std::uint8_t page = 0;
    std::uint8_t word = 0;
    std::int64_t value = 0;

    auto operator<=>(const Torn&) const = default;
  };
  /// Takes out what was noted for the fork of `agent`, sorted.
  std::vector<Torn> take_torn(std::uint8_t agent);

  /// Nothing of the operation of `agent` has taken effect.
  [[nodiscard]] bool untouched(std::uint8_t agent) const;
  [[nodiscard]] const PartsDone& done(std::uint8_t agent) const { return done_[agent]; }
  /// The operation of `agent`, which is among those under way still, has ended.
  void forget(const InFlight& in_flight, std::uint8_t agent);
  /// Whether the process that the operation looks for has no memory any more.
  [[nodiscard]] bool is_gone(const InFlight& in_flight, const Pending& pending) const;

 private:
  /// Whether refused_by_hugetlb() may come to be true.
  [[nodiscard]] bool asks_for_hugetlb(const InFlight& in_flight, const Pending& pending) const;
  /// Whether what mlock keeps matters to the operation, or may come to.
  [[nodiscard]] bool asks_for_lock(const InFlight& in_flight, const Pending& pending) const;
  [[nodiscard]] Footprint footprint_in_space(const InFlight& in_flight, const Effect& effect) const;
  [[nodiscard]] Footprint footprint_in_space(const Pending& pending) const;
  /// With what of it others may have too.
  [[nodiscard]] Footprint with_files(Footprint print) const;
  void apply_to_file(std::uint8_t agent, const Pending& pending, PartsDone& done);
  void apply_of_handler(const Effect& effect, const Pending& pending, PartsDone& done);
  void apply_to_page(const Pending& pending, PartsDone& done, std::uint8_t index);
  void remap_page(const Pending& pending, PartsDone& done, std::uint8_t index);
  /// Whether an madvise does not come to this part, for what ends it there or before it.
  bool stops_early(const Pending& pending, PartsDone& done, std::uint8_t index) const;
  void populate(const Pending& pending, PartsDone& done, const Effect& effect);
  void apply_of_device(const InFlight& in_flight, const Pending& pending, PartsDone& done);
  void apply_force(const InFlight& in_flight, const Effect& effect, PartsDone& done);
  /// Whether an exec or exit under way that has taken effect leaves `space` to nobody.
  [[nodiscard]] bool is_being_left(const InFlight& in_flight, spec::SpaceId space) const;

  std::array<PartsDone, litmus::kMaxBlocks> done_{};
  /// Sorted, without repetition.
  std::vector<Torn> torn_;
  mutable std::vector<std::byte> buffer_;
};

}  // namespace cowherd::check
