#pragma once

#include <cassert>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

namespace cowherd {

/// Why an operation did not happen. The numbers of the first group are Linux's errno values, so that a test
/// reads the same here and on a running kernel; the second group are the signals that a bad access raises.
enum class Errno : std::uint16_t {
  kPerm = 1,
  kNoEntry = 2,
  kNoProcess = 3,
  kNoDevice = 6,
  kNoChild = 10,
  kAgain = 11,
  kNoMemory = 12,
  kAccess = 13,
  kFault = 14,
  kBusy = 16,
  kExist = 17,
  kInvalid = 22,
  /// The memory of the page has failed.
  kHwPoison = 133,

  /// The access hit nothing, or nothing it was allowed to touch.
  kSigSegv = 1000 + 11,
  /// The access was allowed, but no memory could be found for it.
  kSigBus = 1000 + 7,

  /// The operation has to wait for another agent. Nothing is promised about partial work: the explorer goes
  /// back to the state before it and runs somebody else; the library's border turns it into kAgain.
  kWouldBlock = 2000,
};

/// The name used in tests and messages: "ENOMEM", "SIGSEGV". Never null; "E?" for a value outside the enum.
const char* name_of(Errno error);

struct Error {
  Errno code;
};

/// A value, or the reason why there is none. Compare std::expected, which C++20 lacks.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, error.code) {}    // NOLINT(google-explicit-constructor)
  Result(Errno error) : state_(std::in_place_index<1>, error) {}         // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// Precondition: ok().
  [[nodiscard]] T& value() & {
    assert(ok());
    return *state_.value();
  }
  [[nodiscard]] const T& value() const& {
    assert(ok());
    return *state_.value();
  }
  [[nodiscard]] T&& value() && {
    assert(ok());
    return std::move(*state_.value());
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

  /// Precondition: !ok().
  [[nodiscard]] Errno error() const {
    assert(!ok());
    return state_.error();
  }

 private:
  class Either {
   public:
    template <std::size_t kIndex, class From>
    Either(std::in_place_index_t<kIndex> index, From&& from) : state_(index, std::forward<From>(from)) {}
    [[nodiscard]] std::size_t index() const { return state_.index(); }
    [[nodiscard]] T* value() { return std::get_if<0>(&state_); }
    [[nodiscard]] const T* value() const { return std::get_if<0>(&state_); }
    [[nodiscard]] Errno error() const { return *std::get_if<1>(&state_); }

   private:
    std::variant<T, Errno> state_;
  };
  /// What overlaps compilers keep in memory, byte by byte; a small value beside its error stays in registers.
  class Both {
   public:
    Both(std::in_place_index_t<0>, T value) : value_(value) {}
    Both(std::in_place_index_t<1>, Errno error) : error_(error) {}
    [[nodiscard]] std::size_t index() const { return error_ == Errno{0} ? 0 : 1; }
    [[nodiscard]] T* value() { return &value_; }
    [[nodiscard]] const T* value() const { return &value_; }
    [[nodiscard]] Errno error() const { return error_; }

   private:
    T value_{};
    Errno error_{0};
  };
  static constexpr bool kSmall =
      std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T> && sizeof(T) <= 2 * sizeof(std::uintptr_t);

  std::conditional_t<kSmall, Both, Either> state_;
};

/// Success without a value, or the reason for failure.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error.code) {}  // NOLINT(google-explicit-constructor)
  Result(Errno error) : error_(error) {}       // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return error_ == Errno{0}; }
  explicit operator bool() const { return ok(); }

  /// Precondition: !ok().
  [[nodiscard]] Errno error() const {
    assert(!ok());
    return error_;
  }

 private:
  Errno error_{0};
};

}  // namespace cowherd
