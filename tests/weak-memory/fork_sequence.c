// A fast pin against fork's sequence count (mm/pin_fast.cpp, mm/fork.cpp). Never: the pin is taken and fork has shared
// the page without having seen it.
//
// BROKEN=1: the count is not looked at again. 2: fork reads the counts, 3: the pin takes its reference, 4: the pin
// looks at the count again with an order that lets a load pass an earlier store.

#include "kernel.h"

#define WRITABLE 1

static atomic_uint sequence;
static atomic_uint counts;
static atomic_ulong entry;
static int pinned;
static int shared;

static void *fast_pin(void *unused) {
  (void)unused;
  const unsigned before = atomic_load_explicit(&sequence, kSequenceLoad);
  if (before % 2 != 0) return NULL;
  unsigned long seen = atomic_load_explicit(&entry, kEntryLoad);
  if (seen != WRITABLE) return NULL;
  unsigned now = atomic_load_explicit(&counts, memory_order_relaxed);
  while (!atomic_compare_exchange_strong_explicit(&counts, &now, now + 1, ORDER(kCountsChange, 3, acq_rel),
                                                  memory_order_relaxed)) {
  }
  const int moved = atomic_load_explicit(&entry, kEntryLoad) != seen;
  const int forked =
      BROKEN != 1 && atomic_load_explicit(&sequence, ORDER(kSequenceLoad, 4, acquire)) != before;
  if (moved || forked) {
    atomic_fetch_sub_explicit(&counts, 1, kCountsChange);
  } else {
    pinned = 1;
  }
  return NULL;
}

static void *fork_side(void *unused) {
  (void)unused;
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
  if (atomic_load_explicit(&counts, ORDER(kCountsLoad, 2, acquire)) == 1) {
    unsigned long seen = atomic_load_explicit(&entry, kEntryLoad);
    while (!atomic_compare_exchange_strong_explicit(&entry, &seen, 2, kEntryChange, memory_order_seq_cst)) {
    }
    shared = 1;
  }
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&sequence, 0, memory_order_relaxed);
  atomic_store_explicit(&counts, 1, memory_order_relaxed);
  atomic_store_explicit(&entry, WRITABLE, memory_order_relaxed);
  pinned = 0;
  shared = 0;
}

static void judge(void) { assert(!(pinned && shared)); }

int main(void) {
  run_both(reset, fast_pin, fork_side, judge);
  return 0;
}
