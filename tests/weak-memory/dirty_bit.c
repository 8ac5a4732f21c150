// A processor that sets the accessed and dirty bits of an entry against whoever takes its write permission
// (mm/access.cpp: walk(), mm/page.hpp: protect_entry()). Never: a store went through and the dirty bit is lost, or the
// permission comes back.
//
// BROKEN=1: the permission is taken by a store of what was read. 2: the bits are set by such a store.

#include "kernel.h"

#define WRITABLE 1ul
#define DIRTY 2ul

static atomic_ulong entry;
static int stored;

static void *processor(void *unused) {
  (void)unused;
  unsigned long seen = atomic_load_explicit(&entry, kEntryLoad);
  while ((seen & WRITABLE) != 0) {
    if (BROKEN == 2) {
      atomic_store_explicit(&entry, seen | DIRTY, kEntryStore);
      stored = 1;
      break;
    }
    if (atomic_compare_exchange_strong_explicit(&entry, &seen, seen | DIRTY, kEntryChange, memory_order_seq_cst)) {
      stored = 1;
      break;
    }
  }
  return NULL;
}

static void *protects(void *unused) {
  (void)unused;
  unsigned long seen = atomic_load_explicit(&entry, kEntryLoad);
  if (BROKEN == 1) {
    atomic_store_explicit(&entry, seen & ~WRITABLE, kEntryStore);
    return NULL;
  }
  while (!atomic_compare_exchange_strong_explicit(&entry, &seen, seen & ~WRITABLE, kEntryChange,
                                                  memory_order_seq_cst)) {
  }
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&entry, WRITABLE, memory_order_relaxed);
  stored = 0;
}

static void judge(void) {
  const unsigned long now = atomic_load_explicit(&entry, memory_order_relaxed);
  assert((now & WRITABLE) == 0);
  assert(!stored || (now & DIRTY) != 0);
}

int main(void) {
  run_both(reset, processor, protects, judge);
  return 0;
}
