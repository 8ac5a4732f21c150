// Fast pins below one table against a fork that shares the table: it asks the table for its mark, not the pages for their
// pins (mm/shared_tables.cpp: note_pins_below(), mm/fork_tables.hpp: share_tables()). Never: what fork.h says. Fork does
// not come to its end here: a pin that begins after that finds the table's entry write-protected, which fork_sequence.c
// is about. Left out too are the references, which nobody asks for.
//
// A pin that finds the mark has nothing to set and no fence: another one that has set it may not have come to its own
// yet. That one is here for nothing else.
//
// BROKEN=1: the mark is set after the sequence count was looked at. 2: the pin has no fence behind the mark. 3: fork asks
// for the mark with too weak an order. 4: the pin has its fence before it sets the mark. 5: the pin finds the mark with
// too weak an order.

#include "kernel.h"
#include "fork.h"

static atomic_uint mark;

static void set_mark(void) {
  if (BROKEN == 4) FULL_FENCE();
  atomic_fetch_or_explicit(&mark, 1, kFlagsChange);
  if (BROKEN != 2 && BROKEN != 4) FULL_FENCE();
}

static void note(void) {
  if (atomic_load_explicit(&mark, ORDER(kPinsBelowLoad, 5, acquire)) == 0) set_mark();
}

static void *fast_pin(void *unused) {
  (void)unused;
  const unsigned before = atomic_load_explicit(&sequence, kSequenceLoad);
  if (before % 2 != 0) return NULL;
  if (BROKEN != 1) note();
  if (atomic_load_explicit(&sequence, kSequenceLoad) != before) return NULL;
  if (BROKEN == 1) note();
  pinned = 1;
  return NULL;
}

static void *other_pin(void *unused) {
  (void)unused;
  set_mark();
  return NULL;
}

static void *fork_side(void *unused) {
  (void)unused;
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
  shared = atomic_load_explicit(&mark, ORDER(kPinsBelowLoad, 3, acquire)) == 0;
  return NULL;
}

static void reset(void) {
  reset_page();
  atomic_store_explicit(&mark, 0, memory_order_relaxed);
}

int main(void) {
  thread_body *const bodies[] = {fast_pin, other_pin, fork_side};
  run_all(reset, 3, bodies, judge_page);
  return 0;
}
