#include "races/runtime.hpp"

#include <cstring>

// In this build the compiler puts a call before every access to memory, as it does for ThreadSanitizer; here are the
// functions that it calls. ThreadSanitizer's own would look at threads of the host, of which there is one: the agents
// are fibers on it. This file alone is not instrumented.

namespace cowherd::races {

namespace {

check::RaceDetector* watching = nullptr;
std::uint64_t seen = 0;

inline bool matters(const volatile void* address) {
  return watching != nullptr && watching->watches() && watching->covers(const_cast<const void*>(address));
}

inline void plain(const volatile void* address, std::size_t size, bool write, const void* site) {
  if (!matters(address)) return;
  ++seen;
  watching->plain(const_cast<const void*>(address), size, write, site);
}

constexpr std::memory_order order_of(int order) {
  switch (order) {
    case __ATOMIC_RELAXED:
      return std::memory_order_relaxed;
    case __ATOMIC_CONSUME:
    case __ATOMIC_ACQUIRE:
      return std::memory_order_acquire;
    case __ATOMIC_RELEASE:
      return std::memory_order_release;
    case __ATOMIC_ACQ_REL:
      return std::memory_order_acq_rel;
    default:
      return std::memory_order_seq_cst;
  }
}

enum class Sort : std::uint8_t { kLoad, kStore, kChange };

inline void atomic(const volatile void* address, std::size_t size, Sort sort, int order, const void* site) {
  if (!matters(address)) return;
  ++seen;
  const void* const place = const_cast<const void*>(address);
  switch (sort) {
    case Sort::kLoad:
      return watching->atomic_load(place, size, order_of(order), site);
    case Sort::kStore:
      return watching->atomic_store(place, size, order_of(order), site);
    case Sort::kChange:
      return watching->atomic_change(place, size, order_of(order), site);
  }
}

}  // namespace

void watch_with(check::RaceDetector* detector) { watching = detector; }
std::uint64_t accesses_seen() { return seen; }

}  // namespace cowherd::races

using cowherd::races::atomic;
using cowherd::races::plain;
using cowherd::races::Sort;

// One byte before where the call returns to is the access.
#define SITE (static_cast<const char*>(__builtin_return_address(0)) - 1)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_ignore_thread_begin() {}
void __tsan_ignore_thread_end() {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

void __tsan_read_range(void* address, unsigned long size) { plain(address, size, false, SITE); }
void __tsan_write_range(void* address, unsigned long size) { plain(address, size, true, SITE); }

#define PLAIN(size)                                                                               \
  void __tsan_read##size(void* address) { plain(address, size, false, SITE); }                    \
  void __tsan_write##size(void* address) { plain(address, size, true, SITE); }                    \
  void __tsan_unaligned_read##size(void* address) { plain(address, size, false, SITE); }          \
  void __tsan_unaligned_write##size(void* address) { plain(address, size, true, SITE); }          \
  void __tsan_volatile_read##size(void* address) { plain(address, size, false, SITE); }           \
  void __tsan_volatile_write##size(void* address) { plain(address, size, true, SITE); }           \
  void __tsan_unaligned_volatile_read##size(void* address) { plain(address, size, false, SITE); } \
  void __tsan_unaligned_volatile_write##size(void* address) { plain(address, size, true, SITE); }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

// The access itself is always sequentially consistent: agents take turns on one thread.
#define CHANGE(bits, name)                                                                                           \
  std::uint##bits##_t __tsan_atomic##bits##_##name(volatile std::uint##bits##_t* address, std::uint##bits##_t value, \
                                                   int order) {                                                      \
    atomic(address, bits / 8, Sort::kChange, order, SITE);                                                           \
    return __atomic_##name(address, value, __ATOMIC_SEQ_CST);                                                        \
  }
#define COMPARE(bits, name)                                                                                     \
  int __tsan_atomic##bits##_compare_exchange_##name(volatile std::uint##bits##_t* address,                      \
                                                    std::uint##bits##_t* expected, std::uint##bits##_t desired, \
                                                    int order, int failure) {                                   \
    const bool done =                                                                                           \
        __atomic_compare_exchange_n(address, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);     \
    atomic(address, bits / 8, done ? Sort::kChange : Sort::kLoad, done ? order : failure, SITE);                \
    return done ? 1 : 0;                                                                                        \
  }
#define ATOMIC(bits)                                                                                                   \
  std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t* address, int order) {             \
    atomic(address, bits / 8, Sort::kLoad, order, SITE);                                                               \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                                                 \
  }                                                                                                                    \
  void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* address, std::uint##bits##_t value, int order) {      \
    atomic(address, bits / 8, Sort::kStore, order, SITE);                                                              \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                                                \
  }                                                                                                                    \
  std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile std::uint##bits##_t* address, std::uint##bits##_t value, \
                                                     int order) {                                                      \
    atomic(address, bits / 8, Sort::kChange, order, SITE);                                                             \
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                                    \
  CHANGE(bits, fetch_add)                                                                                              \
  CHANGE(bits, fetch_sub)                                                                                              \
  CHANGE(bits, fetch_and)                                                                                              \
  CHANGE(bits, fetch_or)                                                                                               \
  CHANGE(bits, fetch_xor)                                                                                              \
  COMPARE(bits, strong)                                                                                                \
  COMPARE(bits, weak)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

// The linker is told to send calls of these here.
void* __real_memset(void* to, int value, std::size_t size);
void* __real_memcpy(void* to, const void* from, std::size_t size);
void* __real_memmove(void* to, const void* from, std::size_t size);

void* __wrap_memset(void* to, int value, std::size_t size) {
  plain(to, size, true, SITE);
  return __real_memset(to, value, size);
}
void* __wrap_memcpy(void* to, const void* from, std::size_t size) {
  plain(from, size, false, SITE);
  plain(to, size, true, SITE);
  return __real_memcpy(to, from, size);
}
void* __wrap_memmove(void* to, const void* from, std::size_t size) {
  plain(from, size, false, SITE);
  plain(to, size, true, SITE);
  return __real_memmove(to, from, size);
}

}  // extern "C"
