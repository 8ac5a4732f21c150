#include "base/process_fence.hpp"

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>

#if defined(__SANITIZE_THREAD__)
#define COWHERD_HIDES_FENCES
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COWHERD_HIDES_FENCES
#endif
#endif

namespace cowherd {

#if defined(__linux__) && defined(__NR_membarrier) && !defined(COWHERD_HIDES_FENCES)

namespace {

bool ask(int command) { return ::syscall(__NR_membarrier, command, 0, 0) == 0; }

}  // namespace

bool enable_process_fence() { return ask(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

void fence_all_threads() {
  if (ask(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
  // A host process that was forked since has to ask anew.
  if (enable_process_fence() && ask(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
  if (!ask(MEMBARRIER_CMD_GLOBAL)) std::abort();
}

#else

// ThreadSanitizer sees only the fences that the program itself executes.
bool enable_process_fence() { return false; }
void fence_all_threads() { std::abort(); }

#endif

}  // namespace cowherd
