#pragma once

#include <atomic>
#include <cstdint>

#include "base/lock_word.hpp"
#include "base/memory_orders.h"
#include "base/thread_annotations.hpp"
#include "mm/objects.hpp"
#include "table/walker_slots.hpp"

namespace cowherd::mm {

/// The mmap lock as threads take it: a LockWord that is biased towards readers. While it is, a reader writes nothing
/// that other readers write: it says in a slot of its own that it is inside. A writer takes the word, which keeps
/// everybody else out who comes for it, then takes the bias away and waits for who is in a slot:
///
///   reader                                 writer, the word in its hand
///   slot = here
///                                          take the bias away
///   is the bias there? no
///                                          is anybody here? wait
///   slot = nowhere, wait for the word
///
/// Either the reader sees the bias gone or it is seen: allowed because both sides write first and read then, all four
/// of it sequentially consistent. The bias comes back after some readers have come by the word with no writer between
/// them, so that who writes often looks at no slots. After BRAVO (Dice and Kogan, USENIX ATC 2019); compare Linux
/// kernel/locking/percpu-rwsem.c.
///
/// A view; all state lies in the Machine. Holds what one reader or writer needs to let go again.
template <class G>
class COWHERD_CAPABILITY("lock") BiasedLock {
 public:
  /// So many readers bring the bias back: what they pay together is more than what a writer pays to look at the slots.
  static constexpr std::uint32_t kReadersToBias = 32;

  /// `number`: by which the slots know `mm`.
  BiasedLock(Mm& mm, WalkerSlots<G>& slots, std::uint32_t number) : mm_(mm), slots_(slots), number_(number) {}

  bool lock_shared(bool spins) {
    if (missing().load(std::memory_order_relaxed) == 0 && enter()) return true;
    if (!mm_.mmap_lock.lock_shared(spins)) return false;
    std::uint32_t seen = missing().load(std::memory_order_relaxed);
    // Where two count at once, one of them may go uncounted. No writer is there: the word is held.
    if (seen != 0) missing().compare_exchange_strong(seen, seen - 1, order::kBiasReturn, std::memory_order_relaxed);
    return true;
  }
  void unlock_shared() {
    if (slot_ != nullptr) {
      WalkerSlots<G>::leave(*slot_);
    } else {
      mm_.mmap_lock.unlock_shared();
    }
  }
  bool lock(bool spins) {
    if (!mm_.mmap_lock.lock(spins)) return false;
    // Only who holds the word changes this.
    if (missing().load(std::memory_order_relaxed) != 0) {
      missing().store(kReadersToBias, std::memory_order_relaxed);
    } else {
      missing().store(kReadersToBias, order::kBiasTake);
      slots_.wait_for_readers(number_);
    }
    return true;
  }
  void unlock() { mm_.mmap_lock.unlock(); }

  /// Whether anybody holds it in any way, as far as whoever asks can know.
  [[nodiscard]] bool held() const { return mm_.mmap_lock.held() || slots_.any_reader(number_); }

 private:
  [[nodiscard]] std::atomic_ref<std::uint32_t> missing() const { return std::atomic_ref(mm_.readers_to_bias); }

  bool enter() {
    slot_ = slots_.enter_reader(number_);
    if (slot_ == nullptr || missing().load(order::kBiasLoad) == 0) return slot_ != nullptr;
    WalkerSlots<G>::leave(*slot_);
    slot_ = nullptr;
    return false;
  }

  Mm& mm_;
  WalkerSlots<G>& slots_;
  std::uint32_t number_;
  std::uint64_t* slot_ = nullptr;
};

}  // namespace cowherd::mm
