// A fast pin that takes a reference to a frame which is being freed and given to somebody else
// (frame/descriptor.hpp: try_add_references(), mm/pin_fast.cpp). Never: the pin holds a page that is not the one which
// the entry named, or one that is freed under it.
//
// BROKEN=1: the pin does not look at the entry again. 2: it takes a reference from nothing. 3: references change with
// too weak an order.

#include "kernel.h"

#define OLD 1
#define NEW 2

static atomic_ulong entry;
static atomic_uint counts;
static int page;

/// Drops a reference; the last one frees the frame, and its next owner writes it.
static void drop(void) {
  if (atomic_fetch_sub_explicit(&counts, 1, ORDER(kCountsChange, 3, relaxed)) == 1) {
    page = NEW;
    atomic_store_explicit(&counts, 1, memory_order_release);
  }
}

static void *fast_pin(void *unused) {
  (void)unused;
  const unsigned long seen = atomic_load_explicit(&entry, kEntryLoad);
  if (seen == 0) return NULL;
  unsigned now = atomic_load_explicit(&counts, memory_order_relaxed);
  do {
    if (now == 0 && BROKEN != 2) return NULL;
  } while (!atomic_compare_exchange_strong_explicit(&counts, &now, now + 1, ORDER(kCountsChange, 3, relaxed),
                                                    memory_order_relaxed));
  if (BROKEN != 1 && atomic_load_explicit(&entry, kEntryLoad) != seen) {
    drop();
    return NULL;
  }
  assert(page == OLD);
  drop();
  return NULL;
}

static void *zap(void *unused) {
  (void)unused;
  atomic_exchange_explicit(&entry, 0, kEntryChange);
  drop();
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&entry, 1, memory_order_relaxed);
  atomic_store_explicit(&counts, 1, memory_order_relaxed);
  page = OLD;
}

static void judge(void) { assert(page == NEW && atomic_load_explicit(&counts, memory_order_relaxed) == 1); }

int main(void) {
  run_both(reset, fast_pin, zap, judge);
  return 0;
}
