#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "cowherd/accessor_slot.hpp"
#include "cowherd/machine.hpp"
#include "cowherd/result.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

/// What one load or store moves.
template <class T>
concept Accessible = std::is_trivially_copyable_v<T> &&
    (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

/// Reads and writes an AddressSpace at the rate of the host's memory: a software TLB. It remembers where pages lie, as
/// a processor does, and forgets when it is told to: what unmap(), protect(), fork(), restore() and the rest promise of
/// read() and write() they promise of accesses through it, from the moment at which they return.
///
/// An access that is remembered takes no lock and no fence. In exchange each operation that takes something away from
/// an address space with accessors executes a fence in every thread of the host process, once per range (Linux:
/// membarrier(2)); all threads that use a machine therefore belong to one host process. A host without it is served by
/// a fence in each access. The protocol is that of a TLB shootdown and stands in src/table/accessor_slots.hpp.
///
/// One thread at a time uses an Accessor; each thread has its own. It must go before its AddressSpace does. It holds no
/// pages: whoever needs a page to stay takes a Pin.
class Accessor {
 public:
  Accessor(Accessor&& other) noexcept;
  Accessor& operator=(Accessor&& other) noexcept;
  ~Accessor();

  /// The value at `address`, as one access where it is aligned. SIGSEGV; SIGBUS: no memory for the page.
  template <Accessible T>
  Result<T> load(Vaddr address) {
    Word<T> word{};
    while (!hit<T, false>(address, [&](Word<T>& place) { word = Atomic<T>(place).load(std::memory_order_relaxed); })) {
      if (misaligned<T>(address)) [[unlikely]] {
        if (auto done = read(address, std::as_writable_bytes(std::span(&word, 1))); !done) return done.error();
        break;
      }
      if (const Errno error = find(address, false); error != Errno{0}) [[unlikely]]
        return error;
    }
    return std::bit_cast<T>(word);
  }

  /// Stores `value` at `address`, as one access where it is aligned. SIGSEGV, SIGBUS, and then nothing is stored.
  template <Accessible T>
  Result<void> store(Vaddr address, T value) {
    const auto word = std::bit_cast<Word<T>>(value);
    while (!hit<T, true>(address, [&](Word<T>& place) { Atomic<T>(place).store(word, std::memory_order_relaxed); })) {
      if (misaligned<T>(address)) [[unlikely]]
        return write(address, std::as_bytes(std::span(&word, 1)));
      if (const Errno error = find(address, true); error != Errno{0}) [[unlikely]]
        return error;
    }
    return {};
  }

  /// Stores `desired` where `expected` is found, in one sequentially consistent access; else sets `expected` to what is
  /// there. Whether it has stored. SIGSEGV, SIGBUS; EINVAL: not aligned.
  template <Accessible T>
  Result<bool> compare_exchange(Vaddr address, T& expected, T desired) {
    if (misaligned<T>(address)) return Errno::kInvalid;
    auto seen = std::bit_cast<Word<T>>(expected);
    bool stored = false;
    while (!hit<T, true>(address, [&](Word<T>& place) {
      stored = Atomic<T>(place).compare_exchange_strong(seen, std::bit_cast<Word<T>>(desired));
    })) {
      if (const Errno error = find(address, true); error != Errno{0}) return error;
    }
    expected = std::bit_cast<T>(seen);
    return stored;
  }

  /// As AddressSpace::read() and write().
  Result<void> read(Vaddr address, std::span<std::byte> to);
  Result<void> write(Vaddr address, std::span<const std::byte> from);

 private:
  friend class AddressSpace;

  template <class T>
  using Word = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t,
                                                     std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint8_t>>>;
  template <class T>
  using Atomic = std::atomic_ref<Word<T>>;

  /// Where one page lies.
  struct Translation {
    /// The page's address, and kWritable where a store may go through: its entry is writable and dirty.
    std::uint64_t tag;
    /// From an address in the page to the host's.
    std::uint64_t addend;
  };

  static constexpr std::size_t kTranslations = 256;
  static constexpr unsigned kPageShift = 12;
  static_assert(kPageBytes == std::size_t{1} << kPageShift);
  static constexpr std::uint64_t kPageMask = ~(std::uint64_t{kPageBytes} - 1);
  static constexpr std::uint64_t kWritable = 1u << 11;
  /// The tag of no page. Besides kWritable it has bits below the page's address that no access looks for.
  static constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
  /// A generation that never comes.
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  Accessor(Machine::Impl* impl, AccessorSlot* slot);
  void destroy();
  void forget();

  template <class T>
  static constexpr bool misaligned(Vaddr address) {
    return address.value() % sizeof(T) != 0;
  }
  Translation& translation(Vaddr address) { return table_[address.value() >> kPageShift & (kTranslations - 1)]; }

  void enter() {
    if (fenced_) [[unlikely]] {
      std::atomic_ref(slot_->state).exchange(AccessorSlot::kInside, std::memory_order_seq_cst);
    } else {
      std::atomic_ref(slot_->state).store(AccessorSlot::kInside, std::memory_order_relaxed);
      // The fence for the processor comes from whoever needs it: fence_all_threads().
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }
  void leave() { std::atomic_ref(slot_->state).store(AccessorSlot::kOutside, std::memory_order_release); }
  /// Whether nothing has changed since what is remembered was found. Precondition: inside.
  [[nodiscard]] bool current() { return std::atomic_ref(slot_->generation).load(std::memory_order_seq_cst) == heeded_; }

  /// Calls `move(place)` if the page is remembered and the access aligned.
  template <class T, bool kStore, class Move>
  bool hit(Vaddr address, Move&& move) {
    // An access that is not aligned has bits in its key that no tag has.
    const std::uint64_t key = address.value() & (kPageMask | (sizeof(T) - 1));
    const Translation& known = translation(address);
    enter();
    const bool found = current() && (kStore ? known.tag == (key | kWritable) : (known.tag & ~kWritable) == key);
    if (found) [[likely]]
      move(*reinterpret_cast<Word<T>*>(address.value() + known.addend));
    leave();
    return found;
  }

  /// Walks the tables, faulting as often as it takes, and remembers the page. SIGSEGV, SIGBUS.
  Errno find(Vaddr address, bool write);
  template <bool kStore, class Byte>
  Errno move_bytes(Vaddr address, std::span<Byte> bytes);

  AccessorSlot* slot_;
  /// The generation up to which everything was forgotten.
  std::uint64_t heeded_ = kNever;
  bool fenced_;
  std::uint64_t walks_ = 0;
  Machine::Impl* impl_;
  alignas(sizeof(Translation)) std::array<Translation, kTranslations> table_;
};

}  // namespace cowherd
