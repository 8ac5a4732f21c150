#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace cowherd {

/// An integer that mixes only with its own kind.
///
/// `Tag` names the kind. Construction is explicit, comparison and increment are allowed; arithmetic between
/// kinds exists only where it has a meaning and is declared below.
template <class Tag, class Rep>
class Strong {
 public:
  using rep = Rep;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }

  constexpr auto operator<=>(const Strong&) const = default;

  constexpr Strong& operator++() {
    ++value_;
    return *this;
  }

 private:
  Rep value_ = 0;
};

/// A byte address in a simulated address space.
using Vaddr = Strong<struct VaddrTag, std::uint64_t>;
/// The number of a page of virtual addresses: a Vaddr divided by the page size.
using Vpn = Strong<struct VpnTag, std::uint64_t>;
/// The number of a frame of simulated RAM (Linux: pfn), counted from zero.
using FrameNumber = Strong<struct FrameNumberTag, std::uint32_t>;
/// A number of pages, virtual or physical.
using PageCount = Strong<struct PageCountTag, std::uint64_t>;
/// A number of bytes.
using ByteCount = Strong<struct ByteCountTag, std::uint64_t>;
/// A process of a Machine; small numbers, given out again after the process has been waited for.
using ProcessId = Strong<struct ProcessIdTag, std::uint32_t>;

constexpr Vaddr operator+(Vaddr address, ByteCount offset) { return Vaddr{address.value() + offset.value()}; }
constexpr ByteCount operator-(Vaddr end, Vaddr begin) { return ByteCount{end.value() - begin.value()}; }
constexpr Vpn operator+(Vpn page, PageCount count) { return Vpn{page.value() + count.value()}; }
constexpr Vpn operator-(Vpn page, PageCount count) { return Vpn{page.value() - count.value()}; }
constexpr PageCount operator-(Vpn end, Vpn begin) { return PageCount{end.value() - begin.value()}; }
constexpr FrameNumber operator+(FrameNumber frame, PageCount count) {
  return FrameNumber{frame.value() + static_cast<std::uint32_t>(count.value())};
}
constexpr PageCount operator+(PageCount a, PageCount b) { return PageCount{a.value() + b.value()}; }
constexpr PageCount operator-(PageCount a, PageCount b) { return PageCount{a.value() - b.value()}; }
constexpr ByteCount operator+(ByteCount a, ByteCount b) { return ByteCount{a.value() + b.value()}; }
constexpr ByteCount operator-(ByteCount a, ByteCount b) { return ByteCount{a.value() - b.value()}; }

/// A half-open run of virtual pages, [begin, end).
struct PageRange {
  Vpn begin;
  Vpn end;

  constexpr bool operator==(const PageRange&) const = default;
  [[nodiscard]] constexpr bool empty() const { return begin >= end; }
  [[nodiscard]] constexpr PageCount count() const { return empty() ? PageCount{0} : end - begin; }
  [[nodiscard]] constexpr bool contains(Vpn page) const { return begin <= page && page < end; }
};

constexpr PageRange intersect(PageRange a, PageRange b) {
  return {a.begin < b.begin ? b.begin : a.begin, a.end < b.end ? a.end : b.end};
}

}  // namespace cowherd
