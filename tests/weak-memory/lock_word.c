// The readers-writer lock (base/lock_word.hpp). Never: two writers at once, or a reader beside a writer.
//
// BROKEN=1: it is taken, 2: let go, 3: let go by a reader with too weak an order. 4: a reader does not look for the
// writer.

#include "kernel.h"

#define WRITER (1u << 31)
#define WAITING (1u << 29)
#define READERS (WAITING - 1)

static atomic_uint word;
static int guarded;
static int read_by_reader;

static int try_lock(void) {
  unsigned seen = atomic_load_explicit(&word, memory_order_relaxed);
  while ((seen & (WRITER | READERS)) == 0) {
    if (atomic_compare_exchange_strong_explicit(&word, &seen, (seen & ~WAITING) | WRITER,
                                                ORDER(kLockTake, 1, relaxed), memory_order_relaxed)) {
      return 1;
    }
  }
  return 0;
}

static int try_lock_shared(void) {
  unsigned seen = atomic_load_explicit(&word, memory_order_relaxed);
  while (BROKEN == 4 || (seen & (WRITER | WAITING)) == 0) {
    if (atomic_compare_exchange_strong_explicit(&word, &seen, seen + 1, ORDER(kLockTake, 1, relaxed),
                                                memory_order_relaxed)) {
      return 1;
    }
  }
  return 0;
}

static void *writes(void *unused) {
  (void)unused;
  WAIT_UNTIL(try_lock());
  ++guarded;
  atomic_fetch_and_explicit(&word, ~(WRITER | WAITING), ORDER(kLockDrop, 2, relaxed));
  return NULL;
}

static void *reads_then_writes(void *unused) {
  (void)unused;
  WAIT_UNTIL(try_lock_shared());
  read_by_reader = guarded;
  atomic_fetch_sub_explicit(&word, 1, ORDER(kLockDrop, 3, relaxed));
  WAIT_UNTIL(try_lock());
  ++guarded;
  atomic_fetch_and_explicit(&word, ~(WRITER | WAITING), ORDER(kLockDrop, 2, relaxed));
  return NULL;
}

static void reset(void) {
  atomic_store_explicit(&word, 0, memory_order_relaxed);
  guarded = 0;
}

static void judge(void) {
  assert(guarded == 2 && read_by_reader <= 1);
  assert(atomic_load_explicit(&word, memory_order_relaxed) == 0);
}

int main(void) {
  run_both(reset, writes, reads_then_writes, judge);
  return 0;
}
