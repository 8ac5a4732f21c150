#include "litmus/syntax.hpp"

namespace cowherd::litmus {

std::string_view syntax_reference() {
  return R"(A TEST
  COW name                          letters, digits, - _ . +
  "one line of text"                optional
  (* Result: Never *)               optional: Never, Sometimes or Always under the default rules
  (* Rules: Never ..linux-5.8; Sometimes linux-5.9-rc5, other; Never linux-5.9..; Sometimes R7,reuse=never *)
  (* Grain: step *)                 optional: interleave the steps inside operations too, not whole operations
  (* Source: text *) (* Remark: text *)
  { x = anon(1); d = device; }      what there is at time zero
  P0(page *x, dev *d) { ... }       processes and threads, numbered from 0; the arguments are optional
  device D0() { ... }               only dma_read, dma_write
  kernel K0() { ... }               only lock_page, clear_refs and the like
  filter (condition)                optional: only these runs count
  locations [0:r0; 0:x;]            optional: show these as well
  exists (condition)                optional: or ~exists, or forall
  Comments: // # /* */ (* *)

INIT
  x = anon;  x = anon(v);           one page: never touched; word 0 written with v
  x = anon[n];  x = anon[n](v);     n pages
  x = zeropage;  x = zeropage[n];   read once
  x = unmapped;  x = unmapped[n];   nothing mapped there
  x = secret(v); x = secret[n](v);  as anon, and nobody takes references to it: -EFAULT
  x = thp; x = thp(v);              4 pages that one huge page may hold: MADV_HUGEPAGE
  folios = N;                       2 or 4: there, large folios of so many pages, which small entries map
  x = hugetlb; x = hugetlb(v);      4 pages, or hugetlb[8], of a pool; a trailing noreserve: none is promised
  hugepages = N;  movable = N;      pages of that pool: enough, if not said; frames only for what can be moved
  x = anon(1) PROT_READ;            with a protection: PROT_NONE, PROT_READ, PROT_WRITE
  x = anon shared;                  MAP_SHARED: a child has the same pages; also x = anon[n](v) shared;
  f = memfd;  f = file[n](v);       a file in memory, or on a disk, of n pages, word 0 of each v
  f = hugetlbfs; f = hugetlbfs(v);  4 pages, or hugetlbfs[8], of the pool: none there yet; all there
  x = f private;  x = f shared;     all of the file mapped, never touched; also x = f[1..2] shared PROT_READ;
  d = device;

PLACES
  *x  x[2]  x.1  x[2].1             a word: of page 0, of page 2, word 1 (0 to 3)
  x   x[2]  x[1..2]                 pages: all, one, several
  d   d[1]  d[1].2                  a word of what a device holds
  f   f[1]  f[1].2                  a word of a file

STATEMENTS, each may begin with 'r0 =' and end with 'fail_nth N' (its N-th allocation fails) or with
            'fail_nth(any)' (any one of them may)
  READ_ONCE(*x)                     the value; -SIGSEGV, -SIGBUS where it faults
  WRITE_ONCE(*x, v)                 v is a number or a register
  mmap(x, PROT, FLAGS)              FLAGS: 0, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE
  munmap(x)  mlock(x)  munlock(x)  msync(x)
  mprotect(x, PROT)
  madvise(x, ADVICE)                MADV_DONTNEED, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK,
                                    MADV_KEEPONFORK, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
                                    MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_COLD, MADV_PAGEOUT, MADV_FREE,
                                    MADV_REMOVE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE
  mremap(x, y, FLAGS)               the pages of x go to y: 0 in place, to grow or shrink, else
                                    MREMAP_MAYMOVE | MREMAP_FIXED, and MREMAP_DONTUNMAP
  fork(P1)  vfork(P1)  thread(P1)   start a block
  exec()  exit()                    an empty address space; the end
  wait(P1)                          until P1 is done
  snapshot(S0)                      the own memory as it is now, to come back to
  restore(S0)                       the own memory becomes what it was then: pins keep the pages that it had
  pin(d, x, FLAGS) times N          pin_user_pages: the pages held. FLAGS: 0, FOLL_WRITE, FOLL_LONGTERM,
                                    FOLL_FORCE, FOLL_NOFAULT, FOLL_REMOTE, FOLL_FAST (without locks first)
  get(d, x, FLAGS) times N          get_user_pages: the same without FOLL_LONGTERM
  unpin(d)  unpin_dirty(d)  put(d)  let go
  dma_read(d)  dma_write(d, v)      the device reads, writes
  ptrace_read(P1:x)  ptrace_write(P1:x, v)    a debugger's access
  lock_page(P0:x)  unlock_page(P0:x)
  clear_refs(P0:x)                  take write permission away, to see what is written from now on
  numa_hint(P0:x)                   let no access through, to find out who uses the page
  ksm_merge(P0:x, P1:y)             one page for both, if they hold the same; -EBUSY where somebody holds one
  ksm_zero(P0:x)                    the zero page in place of one that holds zeros; refused as ksm_merge is
  ksm_unmerge(P0:x)                 a page of its own again for each that was merged
  try_share(P0:x)                   the kernel takes the exclusive mark, as swap-out does; -EBUSY where pinned
  read(f)  write(f, v)              of a file; what lies behind its end reads 0, and a write makes it longer
  truncate(f, n)                    the file has n pages from now on
  punch(f[1])  punch(f[0..1])       pages of the file become zeros
  writeback(f)  fsync(f)            what is dirty goes to the disk, write-protected wherever it is mapped
  drop_cache(f)                     what is clean, unmapped and held by nobody leaves the cache
  swapout(P0:x)                     reclaim takes the page from all who map it; -EBUSY where it is kept
  swapin(P0:x)                      the page comes back; -EFAULT where it is not in swap
  migrate(P0:x)                     the page goes to another frame; -EBUSY where it stays, being held
  collapse(P0:x)  split(P0:x)       a huge page in place of the pages around x; small entries in place of it
  poison(P0:x)                      the memory of the page fails: SIGBUS for who maps it
  make_exclusive(P0:x)  device_read(P0:x)  device_write(P0:x, v)  device_add(P0:x, v)  a device has it alone
  compact()  offline()              pages go to lower frames; movable memory is taken out: -EBUSY if one stays
  uffd_register(x, FLAGS)  uffd_unregister(x)   UFFD_MISSING, UFFD_WP, UFFD_MINOR: such faults have a handler;
                                    UFFD_EVENT_FORK, UFFD_EVENT_REMAP: a child, what mremap moves, is too
  uffd_copy(P0:x, v)  uffd_zeropage(P0:x)  uffd_poison(P0:x)  a page, or a SIGBUS, where none is; else -EEXIST
  uffd_continue(P0:x)               it lets the page be mapped that the file has; -EFAULT where that has none
  uffd_wp(P0:x)  uffd_unwp(P0:x)    who writes the page waits (UFFD_WP_ASYNC: it takes that away); no more
  uffd_move(x, y)                   the page at y goes to x, where none is; -EBUSY where others have it
  r0 = uffd_read(P0)  what P0's handler is told, 19 a fork, 20 mremap, 22 munmap; who did it waits for that
  These, pin and get take P1:x for another process's memory, x for the own; not ptrace_*.

CONDITIONS
  /\ &&  \/ ||  ~ ! not  ( )        joined; true always holds
  = == != <> < <= > >=              between two terms; a bare term means that it is not 0
  7  -1  -ENOMEM  -SIGSEGV          numbers
  0:r0  D0:r0                       a register of P0, of D0
  0:x  0:x[1].2                     a word as P0 would read it at the end
  f  f[1].2                         a word of a file as read() would give it at the end
  fault(P0)                         how many accesses of P0 faulted
  waiting(P0)                       1 if P0 waits for a handler in the end, or for who does
  finding(name)                     1 if the run broke it
  frame(0:x)  refcount(0:x)  mapcount(0:x)  pins(0:x)  excl(0:x)  writable(0:x)  dirty(0:x)
  disk(f)  disk(f[1].2)             a word as the disk has it now
  softdirty(0:x)  rss(P0)  swapped(0:x)  swapcount(0:x)  swapcache(0:x)  huge(0:x)  uffdwp(0:x)
  movable(0:x)  ondevice(0:x)  folio(0:x)    (pages of the folio that it is part of: 1, 2 or 4)
  pool(free)  pool(reserved)        hugetlb pages that are free, that are promised
                                    internal state: a running kernel does not show it

CONSTANTS
  EPERM ENOENT ESRCH ENXIO ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EINVAL EHWPOISON SIGSEGV SIGBUS
)";
}

}  // namespace cowherd::litmus
