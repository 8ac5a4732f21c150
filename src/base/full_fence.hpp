#pragma once

#include <atomic>

namespace cowherd {

/// Whatever this thread wrote before, others see before it reads what comes after: for writes that are no sequentially
/// consistent accesses themselves, one fence for many of them.
inline void full_fence() {
#if defined(__SANITIZE_THREAD__)
  // The sanitizer knows no fences. An exchange is one on every processor that it runs on.
  std::atomic<int> here{0};
  (void)here.exchange(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace cowherd
