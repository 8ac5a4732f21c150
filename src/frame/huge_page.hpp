#pragma once

#include <atomic>
#include <cstdint>

#include "base/memory_orders.h"
#include "base/mutant.hpp"

namespace cowherd {

/// What is known of an aligned run of frames as a whole: 4 bytes to each run that a huge entry could map, in a machine
/// that has huge pages. Zero where no huge entry maps the run; its frames then are frames like any other.
///
/// All huge entries together hold one reference and one mapping of each frame of the run: this counts how many they
/// are. Compare Linux folio->_entire_mapcount.
///
/// Each call is one atomic access, safe from any thread.
class HugePage {
 public:
  static constexpr std::uint32_t kMaxMapcount = (1u << 20) - 1;

  [[nodiscard]] bool none() const { return word().load(order::kCountsLoad) == 0; }
  /// Huge entries that map the run.
  [[nodiscard]] std::uint32_t mapcount() const { return word().load(order::kCountsLoad) & kMaxMapcount; }
  /// The first huge entry is about to be set; nobody knows the run yet.
  void start() { word().store(1, std::memory_order_release); }
  /// One more huge entry is about to map it. False: there are too many.
  [[nodiscard]] bool try_map_once_more() {
    std::uint32_t seen = word().load(std::memory_order_relaxed);
    while ((seen & kMaxMapcount) != kMaxMapcount) {
      if (word().compare_exchange_weak(seen, seen + 1, order::kCountsChange)) return true;
    }
    return false;
  }
  /// One huge entry fewer; returns how many are left. With the last one, all that was known of the run goes.
  std::uint32_t drop_mapping() {
    std::uint32_t seen = word().load(std::memory_order_relaxed);
    while (true) {
      const std::uint32_t left = (seen - 1) & kMaxMapcount;
      if (word().compare_exchange_weak(seen, left == 0 ? 0 : seen - 1, order::kCountsChange)) return left;
    }
  }

  /// A reference was taken through an address to one of the frames, or a lowest table maps one. Said before either is;
  /// taken back by who finds none.
  [[nodiscard]] bool pieces_used() const { return (word().load(order::kPinsBelowLoad) & kPiecesUsed) != 0; }
  /// Says nothing of a run that no huge entry maps any more: who holds no lock may come too late, and finds that the
  /// entry has changed.
  void note_pieces_used() {
    std::uint32_t seen = word().load(order::kPinsBelowLoad);
    while (((seen & kMaxMapcount) != 0 || COWHERD_MUTANT(huge_pin_noted_too_late)) && (seen & kPiecesUsed) == 0) {
      if (word().compare_exchange_weak(seen, seen | kPiecesUsed, order::kFlagsChange)) return;
      seen = word().load(order::kPinsBelowLoad);
    }
  }
  void forget_pieces_used() { word().fetch_and(~kPiecesUsed, order::kFlagsChange); }

  // For verify(), which counts in place.

  [[nodiscard]] bool seen() const { return (word().load(std::memory_order_relaxed) & kSeen) != 0; }
  void set_seen(bool on) {
    const std::uint32_t bits = word().load(std::memory_order_relaxed);
    word().store(on ? bits | kSeen : bits & ~kSeen, std::memory_order_relaxed);
  }
  /// Below zero wraps within the count.
  void add_mapcount(std::int32_t by) {
    const std::uint32_t bits = word().load(std::memory_order_relaxed);
    word().store((bits & ~kMaxMapcount) | ((bits + static_cast<std::uint32_t>(by)) & kMaxMapcount),
                 std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t kPiecesUsed = 1u << 20;
  static constexpr std::uint32_t kSeen = 1u << 21;

  [[nodiscard]] std::atomic_ref<std::uint32_t> word() const { return std::atomic_ref(word_); }

  // Mutable: an atomic_ref reads through a reference that could write.
  mutable std::uint32_t word_;
};

static_assert(sizeof(HugePage) == 4);

}  // namespace cowherd
