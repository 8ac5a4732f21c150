#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace cowherd {

/// Bytes between two places where a kernel object may start.
inline constexpr std::size_t kObjectUnit = 32;

/// A reference to an object that lives in a Machine's RAM: an offset, so that a copy of the RAM is a copy of the
/// Machine. Null by default. Names an object only together with the ObjectSpace that it lives in.
template <class T>
struct Ref {
  std::uint32_t unit = 0;

  constexpr bool operator==(const Ref&) const = default;
  explicit constexpr operator bool() const { return unit != 0; }
};

/// RAM seen as the place where objects live. Unit 0 is never an object.
class ObjectSpace {
 public:
  constexpr ObjectSpace() = default;
  constexpr explicit ObjectSpace(std::byte* ram) : ram_(ram) {}

  /// Precondition: `ref` is not null and its object is alive.
  template <class T>
  [[nodiscard]] T& at(Ref<T> ref) const {
    return *reinterpret_cast<T*>(ram_ + std::size_t{ref.unit} * kObjectUnit);
  }

 private:
  std::byte* ram_ = nullptr;
};

}  // namespace cowherd
