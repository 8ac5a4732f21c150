#pragma once

// What the programs of this folder share. Each is one lockless protocol of the memory system cut down to its atomics,
// with the orders of the real code, and is wrong on purpose with -DBROKEN=1, 2, …: one order weaker or one look left
// out. A program for GenMC, for explore.cpp, and for the machine's own threads (-DNATIVE).

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/memory_orders.h"

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

/// Runs both to their ends. Natively over and over, from a state that `reset` makes.
static inline void run_both(void (*reset)(void), void *(*first)(void *), void *(*second)(void *),
                            void (*judge)(void)) {
#ifdef NATIVE
  for (int round = 0; round < 2000; ++round)
#endif
  {
    pthread_t threads[2];
    reset();
    pthread_create(&threads[0], NULL, first, NULL);
    pthread_create(&threads[1], NULL, second, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    judge();
  }
}
