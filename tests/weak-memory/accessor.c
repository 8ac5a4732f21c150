// An accessor that comes back from a fault, remembers what it finds and uses it again without a fence, against whoever
// clears the entry and frees the page (table/accessor_slots.hpp, mm/accessor.cpp). Never: the accessor uses the page
// after it was freed.
//
// The fence in every thread is a full fence that each of them executes where it happens to be. Here all do at one
// moment. That leaves nothing out: there is one thread besides the one that asks, which does nothing meanwhile, so that
// moment may be any.
//
// BROKEN=1: no fence in every thread. 2: the accessor does not ask for the generation again. 3: nobody waits. 4: the
// accessor comes back from being away with too weak an order. 5: it leaves with too weak an order. 6: who frees reads
// the state with too weak an order. 7: there is a fence, but before the generation has changed.

#include "kernel.h"

#define OUTSIDE 0ul
#define INSIDE 1ul
#define AWAY 2ul
#define WALKING 7ul
#define ALIVE 1
#define FREED 2

static atomic_ulong state;
static atomic_ulong heeded;
static atomic_ulong generation;
static atomic_ulong entry;
static int page;

static void *accessor(void *unused) {
  (void)unused;
  // The fault is done: walk.
  atomic_exchange_explicit(&state, WALKING, ORDER(kSlotEnter, 4, relaxed));
  const unsigned long mine = atomic_load_explicit(&generation, kGenerationLoad);
  atomic_store_explicit(&heeded, mine, kSlotLeave);
  const int remembered = atomic_load_explicit(&entry, kEntryLoad) != 0;
  atomic_store_explicit(&state, OUTSIDE, kSlotLeave);
  // Use what was found.
  atomic_store_explicit(&state, INSIDE, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if ((BROKEN == 2 || atomic_load_explicit(&generation, kGenerationLoad) == mine) && remembered) assert(page == ALIVE);
  atomic_store_explicit(&state, OUTSIDE, ORDER(kSlotLeave, 5, relaxed));
  return NULL;
}

static void *freer(void *unused) {
  (void)unused;
  atomic_exchange_explicit(&entry, 0, kEntryChange);
  if (BROKEN == 7) FENCE_ALL_THREADS();
  const unsigned long told = atomic_fetch_add_explicit(&generation, 1, kGenerationChange) + 1;
  if (atomic_load_explicit(&state, ORDER(kSlotLoad, 6, relaxed)) != AWAY && BROKEN != 1 && BROKEN != 7) {
    FENCE_ALL_THREADS();
  }
  const unsigned long seen = atomic_load_explicit(&state, ORDER(kSlotLoad, 6, relaxed));
  if (BROKEN != 3 && seen == WALKING) {
    WAIT_UNTIL(atomic_load_explicit(&state, ORDER(kSlotLoad, 6, relaxed)) != WALKING);
  } else if (BROKEN != 3 && seen == INSIDE) {
    WAIT_UNTIL(atomic_load_explicit(&state, ORDER(kSlotLoad, 6, relaxed)) != INSIDE ||
               atomic_load_explicit(&heeded, ORDER(kSlotLoad, 6, relaxed)) >= told);
  }
  page = FREED;
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&state, AWAY, memory_order_relaxed);
  atomic_store_explicit(&heeded, 0, memory_order_relaxed);
  atomic_store_explicit(&generation, 0, memory_order_relaxed);
  atomic_store_explicit(&entry, 1, memory_order_relaxed);
  page = ALIVE;
}

static void judge(void) { assert(page == FREED); }

int main(void) {
  ENABLE_FENCE_ALL_THREADS();
  run_both(reset, accessor, freer, judge);
  return 0;
}
