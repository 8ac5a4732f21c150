#pragma once

#include <cstdint>
#include <vector>

#include "spec/packing.hpp"
#include "spec/promise.hpp"

namespace cowherd::spec {

/// Who stored a value.
enum class Writer : std::uint8_t {
  /// Nobody: memory as it came.
  kNone,
  /// A thread of the address space.
  kCpu,
  /// A debugger.
  kForce,
  /// A device, through a pin.
  kPin,
  /// A device, through an ordinary reference.
  kGet,
};

/// Where a value comes from, seen from one address space.
struct Origin {
  /// The address space wrote it, or inherited a past in which it was written. Zero is in everybody's past.
  bool own = false;
  /// Another address space wrote it after the two parted, and this one never did.
  bool foreign = false;
  /// How it was written, where it is foreign.
  Writer writer = Writer::kNone;
};

/// Which values are in the past of which address space.
///
/// Names the culprit of a wrong value, never decides whether a value is wrong. It is a set, without order, so that
/// interleavings which did the same work have the same provenance and meet again in one state.
class Provenance {
 public:
  /// The page of a write that a child cannot inherit: the owner had discarded it.
  static constexpr std::uint8_t kNoPage = kMaxPages;

  Provenance() { entries_.reserve(128); }

  /// The page of a write to what several address spaces may see.
  static constexpr std::uint8_t kSharedPage = kMaxPages + 1;

  /// Into what is shared: in everybody's past from now on.
  void wrote_shared(Writer writer, std::int64_t value);
  /// Whether `value` was ever written into what is shared, and how it was written elsewhere if not.
  [[nodiscard]] Origin origin_of_shared(std::int64_t value) const;
  void wrote(SpaceId space, std::uint8_t page, Writer writer, std::int64_t value);
  /// From now on the past of `parent` on the pages of the set `pages` is the child's too.
  void inherit(SpaceId parent, SpaceId child, std::uint16_t pages);
  /// What is in the past of `space` on `page` is so on `to` as well.
  void moved(SpaceId space, std::uint8_t page, std::uint8_t to);
  /// The number `space` is about to name somebody else: what it wrote was written by somebody who is gone.
  void retire(SpaceId space);
  [[nodiscard]] Origin origin(SpaceId space, std::int64_t value) const;

  void clear() { entries_.clear(); }
  void pack(Packer& out) const;
  void unpack(Unpacker& in);

 private:
  struct Entry {
    std::int64_t value = 0;
    /// Address spaces in whose past it is. None where all of them are gone.
    std::uint16_t spaces = 0;
    std::uint8_t page = 0;
    Writer writer = Writer::kNone;

    /// The order of entries_; no two entries are equal in it.
    [[nodiscard]] bool before(const Entry& other) const;
  };

  void add(const Entry& wanted);

  /// Sorted.
  std::vector<Entry> entries_;
};

}  // namespace cowherd::spec
