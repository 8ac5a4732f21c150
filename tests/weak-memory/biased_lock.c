// The mmap lock that is biased towards readers (mm/biased_lock.hpp). Never: a reader beside a writer, or one that does
// not see what a writer before it did.
//
// BROKEN=1: a writer looks at no slots. 2: a reader does not ask whether the bias is there after it has said that it is
// inside. 3: it says so with too weak an order. 4: it asks with too weak an order. 5: it leaves with too weak an order.
// 6: a writer takes the bias away, 7: reads a slot with too weak an order. 8: the bias is given back with too weak an
// order.

#include "kernel.h"

#define WRITER (1u << 31)

// One reader by the word brings the bias back.
#define READERS_TO_BIAS 1

static atomic_uint word;
static atomic_uint missing;
static atomic_uint slot;
static int guarded;

static int try_word(unsigned held, unsigned mine) {
  unsigned seen = atomic_load_explicit(&word, memory_order_relaxed);
  while ((seen & held) == 0) {
    if (atomic_compare_exchange_strong_explicit(&word, &seen, seen + mine, kLockTake, memory_order_relaxed)) return 1;
  }
  return 0;
}

static int enter_slot(void) {
  unsigned empty = 0;
  if (atomic_load_explicit(&missing, memory_order_relaxed) != 0) return 0;
  atomic_compare_exchange_strong_explicit(&slot, &empty, 1, ORDER(kSlotEnter, 3, relaxed), memory_order_relaxed);
  if (BROKEN == 2 || atomic_load_explicit(&missing, ORDER(kBiasLoad, 4, acquire)) == 0) return 1;
  atomic_store_explicit(&slot, 0, kSlotLeave);
  return 0;
}

static void read_by_word(void) {
  unsigned seen;
  WAIT_UNTIL(try_word(WRITER, 1));
  seen = atomic_load_explicit(&missing, memory_order_relaxed);
  if (seen != 0) {
    atomic_compare_exchange_strong_explicit(&missing, &seen, seen - 1, ORDER(kBiasReturn, 8, relaxed),
                                            memory_order_relaxed);
  }
  assert(guarded <= 1);
  atomic_fetch_sub_explicit(&word, 1, kLockDrop);
}

static void take_bias(void) {
  if (atomic_load_explicit(&missing, memory_order_relaxed) != 0) {
    atomic_store_explicit(&missing, READERS_TO_BIAS, memory_order_relaxed);
    return;
  }
  atomic_store_explicit(&missing, READERS_TO_BIAS, ORDER(kBiasTake, 6, release));
  if (BROKEN != 1) WAIT_UNTIL(atomic_load_explicit(&slot, ORDER(kSlotLoad, 7, acquire)) == 0);
}

static void write_it(void) {
  WAIT_UNTIL(try_word(~0u, WRITER));
  take_bias();
  ++guarded;
  atomic_fetch_sub_explicit(&word, WRITER, kLockDrop);
}

static void *writes_then_gives_bias_back(void *unused) {
  (void)unused;
  write_it();
  read_by_word();
  return NULL;
}

static void *reads(void *unused) {
  (void)unused;
  if (enter_slot()) {
    assert(guarded <= 1);
    atomic_store_explicit(&slot, 0, ORDER(kSlotLeave, 5, relaxed));
  } else {
    read_by_word();
  }
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&word, 0, memory_order_relaxed);
  atomic_store_explicit(&missing, 0, memory_order_relaxed);
  atomic_store_explicit(&slot, 0, memory_order_relaxed);
  guarded = 0;
}

static void judge(void) {
  assert(guarded == 1);
  assert(atomic_load_explicit(&word, memory_order_relaxed) == 0);
  assert(atomic_load_explicit(&slot, memory_order_relaxed) == 0);
}

int main(void) {
  run_both(reset, writes_then_gives_bias_back, reads, judge);
  return 0;
}
