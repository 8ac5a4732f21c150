// The first fast pin of an address space against a fork that asks pages for pins only where some were ever taken
// (mm/pin.cpp: fill(), mm/fork_pages.cpp: copy_entry()). Never: what fork.h says.
//
// BROKEN=1: the address space is marked after the reference was taken and the sequence count looked at. 2: fork reads
// the mark with too weak an order. 3: the pin sets it with too weak an order.

#include "kernel.h"
#include "fork.h"

static atomic_uchar has_pinned;

static void *first_pin(void *unused) {
  (void)unused;
  const struct pin_way way = {ORDER(kCountsChange, -1, relaxed), ORDER(kSequenceLoad, -1, relaxed), 1};
  unsigned before;
  if (BROKEN != 1) atomic_store_explicit(&has_pinned, 1, ORDER(kHasPinnedStore, 3, release));
  if (!may_pin(&before) || !take_pin(before, way)) return NULL;
  if (BROKEN == 1) atomic_store_explicit(&has_pinned, 1, kHasPinnedStore);
  pinned = 1;
  return NULL;
}

static int may_be_pinned(void) {
  const int asks = atomic_load_explicit(&has_pinned, ORDER(kHasPinnedLoad, 2, acquire)) != 0;
  return asks && atomic_load_explicit(&counts, kCountsLoad) != 1;
}

static void *fork_side(void *unused) {
  (void)unused;
  fork_page(may_be_pinned);
  return NULL;
}

static void reset(void) {
  reset_page();
  atomic_store_explicit(&has_pinned, 0, memory_order_relaxed);
}

int main(void) {
  run_both(reset, first_pin, fork_side, judge_page);
  return 0;
}
