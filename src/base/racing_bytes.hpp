#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace cowherd {

/// A processor's cache line.
inline constexpr std::size_t kCacheLine = 64;

/// Zeroes memory that nobody else can reach yet, past the caches: cheaper than through them where nobody needs it soon,
/// dearer where somebody reads it at once. What is stored with release order afterwards publishes the zeroes too.
/// Precondition: a multiple of 16 bytes, aligned to as many.
inline void clear_past_caches(std::byte* memory, std::size_t size) {
#ifdef __SSE2__
  for (std::size_t at = 0; at < size; at += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(memory + at), _mm_setzero_si128());
  }
  _mm_sfence();
#else
  std::memset(memory, 0, size);
#endif
}

/// One aligned word, old or new; false where it is none.
template <class Word>
bool copy_racing_word(std::byte* to, const std::byte* from, std::size_t size) {
  const auto both = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
  if (size != sizeof(Word) || both % sizeof(Word) != 0) return false;
  auto* source = const_cast<Word*>(reinterpret_cast<const Word*>(from));
  auto* target = reinterpret_cast<Word*>(to);
  std::atomic_ref(*target).store(std::atomic_ref(*source).load(std::memory_order_relaxed), std::memory_order_relaxed);
  return true;
}

/// Copies bytes of a simulated computer's RAM, which its processors and devices may be reading and writing at the same
/// time: each aligned word is old or new, as on hardware. The compiler may not assume that they stay as they are.
inline void copy_racing(std::byte* to, const std::byte* from, std::size_t size) {
  if (copy_racing_word<std::uint64_t>(to, from, size) || copy_racing_word<std::uint32_t>(to, from, size) ||
      copy_racing_word<std::uint8_t>(to, from, size)) {
    return;
  }
#if defined(__x86_64__)
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
  volatile std::byte* target = to;
  const volatile std::byte* source = from;
  for (std::size_t i = 0; i < size; ++i) target[i] = source[i];
#endif
}

/// As copy_racing(), past the caches, for bytes that nobody reads soon. Whoever sees what this thread stores afterwards
/// sees the copy.
inline void copy_racing_past_caches(std::byte* to, const std::byte* from, std::size_t size) {
#if defined(__x86_64__)
  constexpr std::size_t kLine = 64;
  const auto both = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
  if (both % kLine == 0 && size % kLine == 0) {
    for (std::size_t at = 0; at < size; at += kLine) {
      asm volatile(
          "movdqa (%1), %%xmm0\n\t"
          "movdqa 16(%1), %%xmm1\n\t"
          "movdqa 32(%1), %%xmm2\n\t"
          "movdqa 48(%1), %%xmm3\n\t"
          "movntdq %%xmm0, (%0)\n\t"
          "movntdq %%xmm1, 16(%0)\n\t"
          "movntdq %%xmm2, 32(%0)\n\t"
          "movntdq %%xmm3, 48(%0)"
          :
          : "r"(to + at), "r"(from + at)
          : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
    }
    // Such stores are ordered by nothing else.
    asm volatile("sfence" : : : "memory");
    return;
  }
#endif
  copy_racing(to, from, size);
}

}  // namespace cowherd
