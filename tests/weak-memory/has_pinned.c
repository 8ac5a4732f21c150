// The first fast pin of an address space against a fork that asks pages for pins only where some were ever taken
// (mm/pin.cpp: fill(), mm/fork.cpp: copy_entry()). Never: the pin is taken and fork has shared the page without having
// asked it.
//
// BROKEN=1: the address space is marked after the reference was taken and the sequence count looked at. 2: fork reads
// the mark with too weak an order. 3: the pin sets it with too weak an order.

#include "kernel.h"

#define WRITABLE 1

static atomic_uint sequence;
static atomic_uint counts;
static atomic_uchar has_pinned;
static atomic_ulong entry;
static int pinned;
static int shared;

static void *first_pin(void *unused) {
  (void)unused;
  if (BROKEN != 1) atomic_store_explicit(&has_pinned, 1, ORDER(kHasPinnedStore, 3, release));
  const unsigned before = atomic_load_explicit(&sequence, kSequenceLoad);
  if (before % 2 != 0 || atomic_load_explicit(&entry, kEntryLoad) != WRITABLE) return NULL;
  unsigned now = atomic_load_explicit(&counts, memory_order_relaxed);
  while (!atomic_compare_exchange_strong_explicit(&counts, &now, now + 1, kCountsChange, memory_order_relaxed)) {
  }
  if (atomic_load_explicit(&sequence, kSequenceLoad) != before) {
    atomic_fetch_sub_explicit(&counts, 1, kCountsChange);
    return NULL;
  }
  if (BROKEN == 1) atomic_store_explicit(&has_pinned, 1, kHasPinnedStore);
  pinned = 1;
  return NULL;
}

static void *fork_side(void *unused) {
  (void)unused;
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
  const int asks = atomic_load_explicit(&has_pinned, ORDER(kHasPinnedLoad, 2, acquire)) != 0;
  const int is_pinned = atomic_load_explicit(&counts, kCountsLoad) != 1;
  if (!(asks && is_pinned)) {
    atomic_exchange_explicit(&entry, 0, kEntryChange);
    shared = 1;
  }
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&sequence, 0, memory_order_relaxed);
  atomic_store_explicit(&counts, 1, memory_order_relaxed);
  atomic_store_explicit(&has_pinned, 0, memory_order_relaxed);
  atomic_store_explicit(&entry, WRITABLE, memory_order_relaxed);
  pinned = 0;
  shared = 0;
}

static void judge(void) { assert(!(pinned && shared)); }

int main(void) {
  run_both(reset, first_pin, fork_side, judge);
  return 0;
}
