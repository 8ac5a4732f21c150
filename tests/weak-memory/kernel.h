#pragma once

// What the programs of this folder share. Each is one lockless protocol of the memory system cut down to its atomics,
// with the orders of the real code, and is wrong on purpose with -DBROKEN=1, 2, …: one order weaker or one look left
// out. A program for GenMC, for explore.cpp, and for the machine's own threads (-DNATIVE).

#ifdef NATIVE
#define _DEFAULT_SOURCE
#endif

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/memory_orders.h"

#ifdef NATIVE
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#ifndef BROKEN
#define BROKEN 0
#endif

/// The order of the real code, or `weaker` where variant `number` is asked for.
#define ORDER(name, number, weaker) (BROKEN == (number) ? memory_order_##weaker : (name))

#ifdef NATIVE
#include <sched.h>
#define WAIT_UNTIL(condition) \
  while (!(condition)) sched_yield()
#else
// Runs in which it does not come true end there.
void __VERIFIER_assume(int condition);
#define WAIT_UNTIL(condition) __VERIFIER_assume(condition)
#endif

#if defined(__GNUC__) && !defined(__clang__)
// GCC's ThreadSanitizer knows no fences; explore.cpp does.
#pragma GCC diagnostic ignored "-Wtsan"
#endif

/// base/full_fence.hpp
#define FULL_FENCE() atomic_thread_fence(memory_order_seq_cst)

/// base/process_fence.hpp. C11 has no such thing: explore.cpp has, GenMC has not.
#ifdef NATIVE
#define ENABLE_FENCE_ALL_THREADS() syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0)
#define FENCE_ALL_THREADS() syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0)
#else
void weak_fence_all_threads(void);
#define ENABLE_FENCE_ALL_THREADS() (void)0
#define FENCE_ALL_THREADS() weak_fence_all_threads()
#endif

typedef void *thread_body(void *);

/// Runs all to their ends. Natively over and over, from a state that `reset` makes.
static inline void run_all(void (*reset)(void), int count, thread_body *const *bodies, void (*judge)(void)) {
#ifdef NATIVE
  for (int round = 0; round < 2000; ++round)
#endif
  {
    pthread_t threads[3];
    assert(count <= 3);
    reset();
    for (int i = 0; i < count; ++i) pthread_create(&threads[i], NULL, bodies[i], NULL);
    for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
    judge();
  }
}

static inline void run_both(void (*reset)(void), thread_body *first, thread_body *second, void (*judge)(void)) {
  thread_body *const bodies[] = {first, second};
  run_all(reset, 2, bodies, judge);
}
