#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "cowherd/types.hpp"

namespace cowherd {

/// Names a block of a BlockStore: of a swap area, a slot.
using BlockNumber = Strong<struct BlockNumberTag, std::uint32_t>;

/// What is known of a frame besides its FrameDescriptor, in a machine that has something behind its pages: 8 bytes,
/// which no other machine has, and which nobody reads who only maps, faults, forks and pins.
///
/// Each call is one atomic access, safe from any thread. `slot` changes under the page lock.
class ColdDescriptor {
 public:
  /// Of a page in the swap cache: its slot. Compare Linux PG_swapcache and folio->swap.
  [[nodiscard]] bool in_swap_cache() const { return slot_word().load(std::memory_order_acquire) != 0; }
  /// Precondition: in_swap_cache().
  [[nodiscard]] BlockNumber slot() const { return BlockNumber{slot_word().load(std::memory_order_acquire) - 1}; }
  /// Both in one access, where the page lock may not be held; nothing: it is not in the swap cache.
  [[nodiscard]] std::optional<BlockNumber> slot_now() const {
    const std::uint32_t seen = slot_word().load(std::memory_order_acquire);
    return seen == 0 ? std::nullopt : std::optional(BlockNumber{seen - 1});
  }
  void set_slot(BlockNumber slot) { slot_word().store(slot.value() + 1, std::memory_order_release); }
  void clear_slot() { slot_word().store(0, std::memory_order_release); }

  /// Somebody has used it since reclaim looked last. Compare Linux PG_referenced.
  [[nodiscard]] bool referenced() const { return flag(kReferenced); }
  void set_referenced(bool on) { set_flag(kReferenced, on); }
  /// Used again and again: reclaim passes it over until it has not been for a whole round. Compare Linux PG_active.
  [[nodiscard]] bool active() const { return flag(kActive); }
  void set_active(bool on) { set_flag(kActive, on); }
  /// Its owner may lose what is in it until it is written again: MADV_FREE. Compare Linux: PG_swapbacked clear.
  [[nodiscard]] bool lazy_free() const { return flag(kLazyFree); }
  void set_lazy_free(bool on) { set_flag(kLazyFree, on); }
  /// Its bytes are on their way to what is behind it. Compare Linux PG_writeback.
  [[nodiscard]] bool writeback() const { return flag(kWriteback); }
  void set_writeback(bool on) { set_flag(kWriteback, on); }

  /// Everything as in a frame that was never used.
  void clear() {
    slot_word().store(0, std::memory_order_relaxed);
    flags_word().store(0, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kReferenced = 1u << 0;
  static constexpr std::uint32_t kActive = 1u << 1;
  static constexpr std::uint32_t kLazyFree = 1u << 2;
  static constexpr std::uint32_t kWriteback = 1u << 3;

  [[nodiscard]] std::atomic_ref<std::uint32_t> slot_word() const { return std::atomic_ref(slot_plus_one_); }
  [[nodiscard]] std::atomic_ref<std::uint32_t> flags_word() const { return std::atomic_ref(flags_); }
  [[nodiscard]] bool flag(std::uint32_t bit) const { return (flags_word().load(std::memory_order_acquire) & bit) != 0; }
  void set_flag(std::uint32_t bit, bool on) {
    if (flag(bit) == on) return;
    if (on) {
      flags_word().fetch_or(bit, std::memory_order_acq_rel);
    } else {
      flags_word().fetch_and(~bit, std::memory_order_acq_rel);
    }
  }

  // Mutable: an atomic_ref reads through a reference that could write.
  mutable std::uint32_t slot_plus_one_ = 0;
  mutable std::uint32_t flags_ = 0;
};

static_assert(sizeof(ColdDescriptor) == 8);

}  // namespace cowherd
