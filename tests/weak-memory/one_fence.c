// A processor that walks page tables without a lock against whoever takes write permissions away by plain stores, and
// flushes once for all of them (mm/page.hpp: protect_entry(), mm/flush.hpp: flush_range(), table/walker_slots.hpp).
// Never: a store through either entry comes after the flush.
//
// BROKEN=1: the flush has no fence. 2: the fence comes before the last entry is changed. 3: the walker says where it is
// with too weak an order. 4: it reads the entry with too weak an order. 5: nobody waits. 6: the walker leaves with too
// weak an order.

#include "kernel.h"

#define HERE 7ul
#define WRITABLE 1ul
#define PROTECTED 2ul

static atomic_ulong slot;
static atomic_ulong entries[2];
static int pages[2];
static int flushed;

static void *walker(void *unused) {
  (void)unused;
  for (unsigned long i = 0; i < 2; ++i) {
    // The next visit is another one to who waits.
    unsigned long empty = 0;
    atomic_compare_exchange_strong_explicit(&slot, &empty, HERE + i, ORDER(kSlotEnter, 3, relaxed),
                                            memory_order_relaxed);
    if (atomic_load_explicit(&entries[i], ORDER(kEntryLoad, 4, acquire)) == WRITABLE) pages[i] = 1;
    atomic_store_explicit(&slot, 0, ORDER(kSlotLeave, 6, relaxed));
  }
  return NULL;
}

static void *protects(void *unused) {
  (void)unused;
  atomic_store_explicit(&entries[0], PROTECTED, kEntryStore);
  if (BROKEN == 2) FULL_FENCE();
  atomic_store_explicit(&entries[1], PROTECTED, kEntryStore);
  if (BROKEN != 1 && BROKEN != 2) FULL_FENCE();
  const unsigned long seen = atomic_load_explicit(&slot, kSlotLoad);
  if (BROKEN != 5 && seen != 0) WAIT_UNTIL(atomic_load_explicit(&slot, kSlotLoad) != seen);
  // Whoever reads a page now has what stays there: a store that may come after is a race.
  flushed = pages[0] + pages[1];
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&slot, 0, memory_order_relaxed);
  for (int i = 0; i < 2; ++i) {
    atomic_store_explicit(&entries[i], WRITABLE, memory_order_relaxed);
    pages[i] = 0;
  }
}

static void judge(void) { assert(flushed == pages[0] + pages[1]); }

int main(void) {
  run_both(reset, walker, protects, judge);
  return 0;
}
