#pragma once

namespace cowherd {

/// Asks the host for fence_all_threads(). False: it has none, and whoever would rely on it has to fence itself.
/// Safe from any thread, any number of times.
bool enable_process_fence();

/// A full fence in every thread of this host process: when it returns, each has executed one since it was called.
/// Precondition: enable_process_fence() was true once in this process. Ends the program where the host, having said
/// yes, now refuses: nothing that relies on it could go on. Compare Linux kernel/sched/membarrier.c.
void fence_all_threads();

}  // namespace cowherd
