// A fast pin against fork's sequence count. Never: what fork.h says.
//
// BROKEN=1: the count is not looked at again. 2: fork reads the counts, 3: the pin takes its reference, 4: the pin
// looks at the count again with an order that lets a load pass an earlier store.

#include "kernel.h"
#include "fork.h"

static void *fast_pin(void *unused) {
  (void)unused;
  const struct pin_way way = {ORDER(kCountsChange, 3, acq_rel), ORDER(kSequenceLoad, 4, acquire), BROKEN != 1};
  unsigned before;
  pinned = may_pin(&before) && take_pin(before, way);
  return NULL;
}

static int is_pinned(void) { return atomic_load_explicit(&counts, ORDER(kCountsLoad, 2, acquire)) != 1; }

static void *fork_side(void *unused) {
  (void)unused;
  fork_page(is_pinned);
  return NULL;
}

int main(void) {
  run_both(reset_page, fast_pin, fork_side, judge_page);
  return 0;
}
