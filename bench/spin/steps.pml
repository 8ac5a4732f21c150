/* Copy-on-write and pins of one page, step by step: what fork, a write fault and a pin do under which lock, and what
   processors remember of the page table. The program is that of steps.litmus. There is no reference here: the
   invariants are recounted where no operation is under way. */

#define NFRAMES 6
#define NMM 2
#define NAGENTS 3
#define NONE 255

typedef Frame { byte val; byte map; byte ref; byte pins; bit excl };
typedef Mm { byte frame; bit writable; byte readers; bit writer; bit table_lock; bit has_pinned; byte sequence };
typedef Translation { byte frame; bit writable };

Frame frame[NFRAMES];
Mm mm[NMM];
/* What each agent's processor remembers; an agent belongs to one address space. */
Translation tlb[NAGENTS];
byte device = NONE;
bit started[NAGENTS];
byte inside;
hidden byte i;

#define mm_of(a) (a == 2 -> 1 : 0)

inline take_frame(g, value) {
  g = 0;
  do
  :: frame[g].ref != 0 -> g++
  :: else -> break
  od;
  frame[g].val = value;
  frame[g].map = 1;
  frame[g].ref = 1;
  frame[g].excl = 1
}

inline forget(m) {
  i = 0;
  do
  :: i == NAGENTS -> break
  :: else ->
    if
    :: mm_of(i) == m -> tlb[i].frame = NONE; tlb[i].writable = 0
    :: else -> skip
    fi;
    i++
  od;
  i = 0
}

inline begin() { inside++ }
inline finish() {
  inside--;
  if
  :: inside == 0 -> check()
  :: else -> skip
  fi;
  skip /* a d_step must not end in a choice */
}

inline check() {
  i = 0;
  do
  :: i == NFRAMES -> break
  :: else ->
    assert(frame[i].ref == frame[i].map + frame[i].pins);
    assert(frame[i].map == (mm[0].frame == i) + (mm[1].frame == i));
    assert(frame[i].pins == (device == i));
    assert(!frame[i].excl || frame[i].map <= 1);
    assert(frame[i].pins == 0 || frame[i].map == 0 || frame[i].excl);
    i++
  od;
  i = 0
}

/* A write fault, the mmap lock held for reading. */
inline fault(a, m) {
  d_step { !mm[m].table_lock; mm[m].table_lock = 1; f = mm[m].frame };
  if
  :: d_step { mm[m].writable -> mm[m].table_lock = 0 }
  :: d_step { !mm[m].writable && (frame[f].excl || frame[f].ref == 1) -> g = NONE };
    d_step { frame[f].excl = 1 };
    d_step { mm[m].writable = 1; tlb[a].frame = NONE; tlb[a].writable = 0; mm[m].table_lock = 0 }
  :: d_step { !mm[m].writable && !frame[f].excl && frame[f].ref != 1 -> frame[f].ref++; mm[m].table_lock = 0 };
    d_step { take_frame(g, frame[f].val) };
    d_step { !mm[m].table_lock; mm[m].table_lock = 1 };
    if
    :: mm[m].frame == f && !mm[m].writable ->
      d_step { mm[m].frame = NONE };
      d_step { forget(m) };
      d_step { mm[m].frame = g; mm[m].writable = 1 };
      d_step { frame[f].map--; frame[f].ref-- }
    :: else ->
      d_step { frame[g].map = 0; frame[g].ref = 0; frame[g].excl = 0; frame[g].val = 0 }
    fi;
    d_step { mm[m].table_lock = 0 };
    d_step { frame[f].ref--; f = 0; g = 0 }
  fi
}

/* A load or store: through what the processor remembers, or by a walk; a store that the entry forbids faults. */
inline access(a, m, store, value, reg) {
  d_step { begin() };
  do
  :: d_step {
      tlb[a].frame != NONE && (!store || tlb[a].writable) &&
          (tlb[a].frame != mm[m].frame || tlb[a].writable != mm[m].writable) ->
        if :: store -> frame[tlb[a].frame].val = value :: else -> reg = frame[tlb[a].frame].val fi;
        finish()
    };
    break
  :: d_step {
      mm[m].frame != NONE && (!store || mm[m].writable) ->
        tlb[a].frame = mm[m].frame;
        tlb[a].writable = mm[m].writable;
        if :: store -> frame[mm[m].frame].val = value :: else -> reg = frame[mm[m].frame].val fi;
        finish()
    };
    break
  :: d_step { (mm[m].frame == NONE || (store && !mm[m].writable)) && !mm[m].writer -> mm[m].readers++ };
    fault(a, m);
    d_step { mm[m].readers-- }
  od;
  skip
}

inline pin(a, m) {
  d_step { !mm[m].writer; begin(); mm[m].readers++ };
  d_step { mm[m].has_pinned = 1 };
  do
  :: d_step { !mm[m].table_lock; mm[m].table_lock = 1; f = mm[m].frame };
    if
    :: d_step { mm[m].writable -> frame[f].ref++; frame[f].pins++ };
      d_step { mm[m].table_lock = 0; device = f; f = 0 };
      break
    :: d_step { !mm[m].writable -> mm[m].table_lock = 0 };
      fault(a, m);
      skip
    fi
  od;
  skip;
  d_step { mm[m].readers--; finish() }
}

inline fork(m, child) {
  d_step { !mm[m].writer && mm[m].readers == 0; begin(); mm[m].writer = 1 };
  d_step { mm[m].sequence++ };
  d_step { !mm[m].table_lock; mm[m].table_lock = 1; f = mm[m].frame };
  if
  :: d_step { mm[m].has_pinned && frame[f].excl && frame[f].pins != 0 -> take_frame(g, frame[f].val) };
    d_step { mm[child].frame = g; mm[child].writable = 1 }
  :: d_step { !(mm[m].has_pinned && frame[f].excl && frame[f].pins != 0) -> frame[f].excl = 0 };
    d_step { frame[f].map++; frame[f].ref++ };
    d_step { mm[m].writable = 0 };
    d_step { mm[child].frame = f }
  fi;
  d_step { mm[m].table_lock = 0; f = 0; g = 0 };
  d_step { forget(m) };
  d_step { mm[m].sequence++ };
  d_step { mm[m].writer = 0; finish() }
}

inline dma_read(reg) { d_step { reg = frame[device].val } }

proctype P0() {
  byte f, g, r0;
  d_step { started[0]; started[1] = 1 };
  fork(0, 1);
  d_step { started[2] = 1 };
  pin(0, 0);
  access(0, 0, true, 2, r0);
  dma_read(r0);
end: false
}

proctype P1() {
  byte f, g, r0;
  d_step { started[1] };
  access(1, 0, true, 3, r0);
  access(1, 0, false, 0, r0);
end: false
}

proctype P2() {
  byte f, g, r0, r1;
  d_step { started[2] };
  access(2, 1, false, 0, r0);
  access(2, 1, true, 4, r0);
  access(2, 1, false, 0, r1);
end: false
}

init {
  d_step {
    frame[0].val = 1;
    frame[0].map = 1;
    frame[0].ref = 1;
    frame[0].excl = 1;
    mm[0].writable = 1;
    mm[1].frame = NONE;
    tlb[0].frame = NONE;
    tlb[1].frame = NONE;
    tlb[2].frame = NONE;
    started[0] = 1
  };
  atomic { run P0(); run P1(); run P2() }
}
