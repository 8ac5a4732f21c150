/* Copy-on-write and pins of one page, each operation one step: the protocol of cowherd's default rules, and the program
   of yardstick.litmus in it. Beside the frames stands the reference: what each address space would read if nothing were
   shared. Every read is compared with it. */

#define NFRAMES 6
#define NMM 2
#define NDEV 2
#define NONE 255
#define ENXIO 254

typedef Frame { byte val; byte map; byte ref; byte pins; bit excl };
typedef Mm { byte frame; bit writable; bit has_pinned; byte reference };
typedef Device { byte frame; byte mm };

Frame frame[NFRAMES];
Mm mm[NMM];
Device device[NDEV];
/* Blocks that have been started. */
bit started[5];
/* Scratch of one step. */
hidden byte f;
hidden byte g;

/* The lowest free frame, as a new page that one address space maps. */
inline take_frame(value) {
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

inline write_fault(m) {
  f = mm[m].frame;
  if
  :: mm[m].writable -> skip
  :: else ->
    if
    :: frame[f].excl || frame[f].ref == 1 -> frame[f].excl = 1
    :: else ->
      take_frame(frame[f].val);
      frame[f].map--;
      frame[f].ref--;
      mm[m].frame = g
    fi;
    mm[m].writable = 1
  fi
}

inline write(m, value) {
  write_fault(m);
  frame[mm[m].frame].val = value;
  mm[m].reference = value;
  check()
}

inline read(m, reg) {
  reg = frame[mm[m].frame].val;
  assert(reg == mm[m].reference);
  check()
}

inline pin(m, d) {
  write_fault(m);
  f = mm[m].frame;
  frame[f].ref++;
  frame[f].pins++;
  mm[m].has_pinned = 1;
  device[d].frame = f;
  device[d].mm = m;
  check()
}

inline unpin(d) {
  f = device[d].frame;
  frame[f].ref--;
  frame[f].pins--;
  device[d].frame = NONE;
  device[d].mm = 0;
  check()
}

inline dma_write(d, value) {
  if
  :: device[d].frame == NONE -> skip
  :: else ->
    frame[device[d].frame].val = value;
    mm[device[d].mm].reference = value
  fi;
  check()
}

inline dma_read(d, reg) {
  if
  :: device[d].frame == NONE -> reg = ENXIO
  :: else ->
    reg = frame[device[d].frame].val;
    assert(reg == mm[device[d].mm].reference)
  fi;
  check()
}

inline fork(m, child) {
  f = mm[m].frame;
  if
  :: mm[m].has_pinned && frame[f].excl && frame[f].pins != 0 ->
    take_frame(frame[f].val);
    mm[child].frame = g;
    mm[child].writable = 1
  :: else ->
    frame[f].excl = 0;
    frame[f].map++;
    frame[f].ref++;
    mm[m].writable = 0;
    mm[child].frame = f
  fi;
  mm[child].reference = mm[m].reference;
  check()
}

/* The invariants that a recount of the whole machine would find broken. */
inline check() {
  f = 0;
  do
  :: f == NFRAMES -> break
  :: else ->
    assert(frame[f].ref == frame[f].map + frame[f].pins);
    assert(frame[f].map == (mm[0].frame == f) + (mm[1].frame == f));
    assert(frame[f].pins == (device[0].frame == f) + (device[1].frame == f));
    assert(!frame[f].excl || frame[f].map <= 1);
    assert(frame[f].pins == 0 || frame[f].map == 0 || frame[f].excl);
    f++
  od;
  f = 0;
  g = 0
}

proctype P0() {
  byte r0, r1;
  d_step { started[0]; pin(0, 0) };
  d_step { started[1] = 1 };
  d_step { fork(0, 1); started[2] = 1 };
  d_step { write(0, 2) };
  d_step { dma_read(0, r0) };
  d_step { read(0, r1) };
  d_step { unpin(0) };
end: false
}

proctype P1() {
  byte r0;
  d_step { started[1]; write(0, 3) };
  d_step { pin(0, 1) };
  d_step { dma_write(1, 9) };
  d_step { dma_read(1, r0) };
  d_step { unpin(1) };
end: false
}

proctype P2() {
  byte r0, r1;
  d_step { started[2]; started[3] = 1 };
  d_step { read(1, r0) };
  d_step { write(1, 4) };
  d_step { read(1, r1) };
end: false
}

proctype P3() {
  byte r0;
  d_step { started[3]; write(1, 6) };
  d_step { read(1, r0) };
end: false
}

proctype D0() {
  byte r0;
  d_step { started[4]; dma_write(0, 7) };
  d_step { dma_read(0, r0) };
  d_step { dma_write(0, 8) };
end: false
}

init {
  d_step {
    frame[0].val = 1;
    frame[0].map = 1;
    frame[0].ref = 1;
    frame[0].excl = 1;
    mm[0].writable = 1;
    mm[0].reference = 1;
    mm[1].frame = NONE;
    device[0].frame = NONE;
    device[1].frame = NONE;
    started[0] = 1;
    started[4] = 1
  };
  atomic { run P0(); run P1(); run P2(); run P3(); run D0() }
}
