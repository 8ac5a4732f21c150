// A processor that walks page tables without a lock against whoever clears the entry and frees the page
// (table/walker_slots.hpp, mm/flush.hpp). Never: the walker is in the page when it is freed.
//
// BROKEN=1: nobody waits. 2: the walker reads the entry with an order that lets the load pass its saying where it is.
// 3: it says so with too weak an order. 4: it leaves with too weak an order. 5: who frees reads the slot with too weak
// an order. 6: the walker says only after it is there that its slot is used. 7: it finds that with too weak an order,
// 8: who frees reads it with too weak an order.

#include "kernel.h"

#define HERE 7
#define ALIVE 1
#define FREED 2

static atomic_ulong slot;
static atomic_ulong used;
static atomic_ulong entry;
static int page;

static void use_slot(void) {
  unsigned long seen = atomic_load_explicit(&used, ORDER(kSlotLoad, 7, relaxed));
  if (seen == 0) {
    atomic_compare_exchange_strong_explicit(&used, &seen, 1, ORDER(kSlotEnter, 7, relaxed), memory_order_relaxed);
  }
}

static void *walker(void *unused) {
  (void)unused;
  unsigned long empty = 0;
  if (BROKEN != 6) use_slot();
  atomic_compare_exchange_strong_explicit(&slot, &empty, HERE, ORDER(kSlotEnter, 3, relaxed), memory_order_relaxed);
  if (atomic_load_explicit(&entry, ORDER(kEntryLoad, 2, acquire)) != 0) assert(page == ALIVE);
  if (BROKEN == 6) use_slot();
  atomic_store_explicit(&slot, 0, ORDER(kSlotLeave, 4, relaxed));
  return NULL;
}

static void *freer(void *unused) {
  (void)unused;
  atomic_exchange_explicit(&entry, 0, kEntryChange);
  if (BROKEN != 1 && atomic_load_explicit(&used, ORDER(kSlotLoad, 8, acquire)) != 0 &&
      atomic_load_explicit(&slot, ORDER(kSlotLoad, 5, acquire)) == HERE) {
    WAIT_UNTIL(atomic_load_explicit(&slot, ORDER(kSlotLoad, 5, acquire)) != HERE);
  }
  page = FREED;
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&slot, 0, memory_order_relaxed);
  atomic_store_explicit(&used, 0, memory_order_relaxed);
  atomic_store_explicit(&entry, 1, memory_order_relaxed);
  page = ALIVE;
}

static void judge(void) { assert(page == FREED); }

int main(void) {
  run_both(reset, walker, freer, judge);
  return 0;
}
