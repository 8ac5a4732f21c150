// A fast pin against a fork that protects the entry by a plain store, has one fence, and then asks the page; a pinned one
// gets its permission back (mm/fork.cpp: copy_entry(), fork-source=protect-then-restore). Never: what fork.h says. The
// sequence count is not looked at: the entry alone has to do.
//
// BROKEN=1: there is no fence. 2: the fence comes before the store. 3: the pin looks at the entry again with an order that
// lets the load pass its taking the reference. 4: it does not look again.

#include "kernel.h"
#include "fork.h"

static void *fast_pin(void *unused) {
  (void)unused;
  if (atomic_load_explicit(&entry, kEntryLoad) != WRITABLE) return NULL;
  unsigned now = atomic_load_explicit(&counts, memory_order_relaxed);
  while (!atomic_compare_exchange_strong_explicit(&counts, &now, now + 1, kCountsChange, memory_order_relaxed)) {
  }
  if (BROKEN == 4 || atomic_load_explicit(&entry, ORDER(kEntryLoad, 3, acquire)) == WRITABLE) {
    pinned = 1;
  } else {
    atomic_fetch_sub_explicit(&counts, 1, kCountsChange);
  }
  return NULL;
}

static void *fork_side(void *unused) {
  (void)unused;
  if (BROKEN == 2) FULL_FENCE();
  atomic_store_explicit(&entry, PROTECTED, kEntryStore);
  if (BROKEN != 1 && BROKEN != 2) FULL_FENCE();
  shared = atomic_load_explicit(&counts, kCountsLoad) == 1;
  if (!shared) atomic_store_explicit(&entry, WRITABLE, kEntryStore);
  return NULL;
}

int main(void) {
  run_both(reset_page, fast_pin, fork_side, judge_page);
  return 0;
}
