#pragma once

// A fast pin of one page against fork, what the programs about that share (mm/pin_fast.cpp, mm/fork.cpp). Never: the pin
// is taken and fork has shared the page without having seen it.
//
// Fork takes the write permission by a plain store of an entry in which a processor has nothing left to set
// (mm/page.hpp: protect_entry()). Comes behind kernel.h.

#define WRITABLE 1ul
#define PROTECTED 2ul

static atomic_uint sequence;
static atomic_uint counts;
static atomic_ulong entry;
static int pinned;
static int shared;

/// Orders of the pin's accesses and looks that it makes, for variants to change.
struct pin_way {
  memory_order take;
  memory_order look_again;
  int looks_again;
};

/// Whether the page may be pinned without the mmap lock now; `before` is what fork's count is.
static inline int may_pin(unsigned *before) {
  *before = atomic_load_explicit(&sequence, kSequenceLoad);
  return *before % 2 == 0 && atomic_load_explicit(&entry, kEntryLoad) == WRITABLE;
}

/// Takes the reference and looks again. Whether it is kept.
static inline int take_pin(unsigned before, struct pin_way way) {
  unsigned now = atomic_load_explicit(&counts, memory_order_relaxed);
  while (!atomic_compare_exchange_strong_explicit(&counts, &now, now + 1, way.take, memory_order_relaxed)) {
  }
  const int moved = atomic_load_explicit(&entry, kEntryLoad) != WRITABLE;
  const int forked = way.looks_again && atomic_load_explicit(&sequence, way.look_again) != before;
  if (!moved && !forked) return 1;
  atomic_fetch_sub_explicit(&counts, 1, kCountsChange);
  return 0;
}

/// Shares what `may_be_pinned` does not speak for.
static inline void fork_page(int (*may_be_pinned)(void)) {
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
  if (!may_be_pinned()) {
    atomic_store_explicit(&entry, PROTECTED, kEntryStore);
    shared = 1;
  }
  atomic_fetch_add_explicit(&sequence, 1, kSequenceChange);
}

static inline void reset_page(void) {
  atomic_store_explicit(&sequence, 0, memory_order_relaxed);
  atomic_store_explicit(&counts, 1, memory_order_relaxed);
  atomic_store_explicit(&entry, WRITABLE, memory_order_relaxed);
  pinned = 0;
  shared = 0;
}

static inline void judge_page(void) { assert(!(pinned && shared)); }
