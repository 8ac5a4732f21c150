// Taking the exclusive mark against a fast pin for reading (mm/clear.cpp: try_share(); mm/pin_fast.cpp). Never: the
// pin is taken and the mark is gone. With -DREAD_ONLY the entry is read-only all the time, so that the second look at
// it shows nothing and the mark has to.
//
// BROKEN=1: the page is asked for pins before its entry is cleared. 2: the pin does not look at the entry again.
// 3: the counts are read with an order that lets the load pass the clearing. 4: the pin looks at the entry again with
// such an order. 5: the pin does not look at the mark (shows with READ_ONLY).

#include "kernel.h"

#define PRESENT 1
#define WRITABLE 2

#ifdef READ_ONLY
#define FIRST PRESENT
#else
#define FIRST (PRESENT | WRITABLE)
#endif

static atomic_ulong entry;
static atomic_uint counts;
static atomic_uint exclusive;
static int pinned;
static int shared;

static void *fast_pin(void *unused) {
  (void)unused;
  const unsigned long seen = atomic_load_explicit(&entry, kEntryLoad);
  if ((seen & PRESENT) == 0) return NULL;
  unsigned now = atomic_load_explicit(&counts, memory_order_relaxed);
  while (!atomic_compare_exchange_strong_explicit(&counts, &now, now + 1, kCountsChange, memory_order_relaxed)) {
  }
  int lets_go = BROKEN != 2 && atomic_load_explicit(&entry, ORDER(kEntryLoad, 4, relaxed)) != seen;
  if (!lets_go && BROKEN != 5 && (seen & WRITABLE) == 0) {
    lets_go = atomic_load_explicit(&exclusive, kFlagsLoad) == 0;
  }
  if (lets_go) {
    atomic_fetch_sub_explicit(&counts, 1, kCountsChange);
  } else {
    pinned = 1;
  }
  return NULL;
}

static int is_pinned(void) { return atomic_load_explicit(&counts, ORDER(kCountsLoad, 3, acquire)) != 1; }

static void *try_share(void *unused) {
  (void)unused;
  if (BROKEN == 1 && is_pinned()) return NULL;
  const unsigned long before = atomic_exchange_explicit(&entry, 0, kEntryChange);
  if (BROKEN != 1 && is_pinned()) {
    atomic_exchange_explicit(&entry, before, kEntryChange);
    return NULL;
  }
  atomic_fetch_and_explicit(&exclusive, 0, kFlagsChange);
  atomic_exchange_explicit(&entry, before & ~(unsigned long)WRITABLE, kEntryChange);
  shared = 1;
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&entry, FIRST, memory_order_relaxed);
  atomic_store_explicit(&counts, 1, memory_order_relaxed);
  atomic_store_explicit(&exclusive, 1, memory_order_relaxed);
  pinned = 0;
  shared = 0;
}

static void judge(void) { assert(!(pinned && shared)); }

int main(void) {
  run_both(reset, fast_pin, try_share, judge);
  return 0;
}
