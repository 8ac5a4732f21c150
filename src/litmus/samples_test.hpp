#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "litmus/parser.hpp"

namespace cowherd::litmus {

/// A test with every kind of statement, place, flag and term, in canonical form.
inline constexpr std::string_view kEverything = R"(COW everything-1.0+x
"One line of text, with 'quotes' and \ in it"
(* Result: Sometimes *)
(* Rules: Never ..linux-5.8, sketch; Sometimes linux-5.9-rc5; Always linux-5.9..linux-6.1, linux-7.0..;
    Sometimes linux-7.1,tlb-flush=after-unlock,reuse=count, R5 *)
(* Grain: step *)
(* Source: linux-mm, 17 September 2020 *)
(* Remark: none *)
{
  x = anon(1);
  y = anon[3](-7) PROT_READ;
  z = zeropage[2] PROT_NONE;
  u = unmapped;
  v = anon;
  d = device;
  e = device;
}
P0(page *x, page *y, page *z, page *u, dev *d)
{
  r5 = pin(d, x, FOLL_WRITE | FOLL_LONGTERM) times 3 fail_nth 2;
  fork(P1);
  vfork(P2);
  r0 = wait(P1);
  WRITE_ONCE(*x, 2);
  WRITE_ONCE(y[2].3, -5);
  WRITE_ONCE(x.1, r5);
  r0 = dma_read(d);
  unpin(d);
  get(d, y[0..1], FOLL_FORCE | FOLL_NOFAULT);
  put(d);
  pin(d, x, FOLL_WRITE | FOLL_FAST) times 2 fail_nth(any);
  r1 = clear_refs(y) fail_nth(any);
  mremap(y[0..1], z, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP);
  mremap(y[0], y, 0);
  thread(P3);
  r1 = snapshot(S0) fail_nth 1;
  restore(S0);
  r1 = mmap(u, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_POPULATE);
  mmap(y[1], PROT_READ, MAP_FIXED_NOREPLACE);
  mmap(u, PROT_NONE, 0);
  munmap(z[1]);
  mprotect(z, PROT_WRITE);
  madvise(x, MADV_DONTNEED);
  madvise(x, MADV_DONTFORK);
  madvise(x, MADV_DOFORK);
  madvise(x, MADV_WIPEONFORK);
  madvise(x, MADV_KEEPONFORK);
  madvise(y[1..2], MADV_POPULATE_READ);
  madvise(x, MADV_POPULATE_WRITE);
}
P1(page *x, page *y)
{
  r0 = READ_ONCE(y.1);
  r12 = READ_ONCE(*x);
  exec();
  exit();
}
P2(page *x)
{
  r0 = ptrace_read(P1:x);
  ptrace_write(P0:x.2, r0);
}
P3(page *x, page *y, dev *d, dev *e)
{
  pin(d, P1:x, FOLL_REMOTE);
  unpin_dirty(d);
  pin(e, y[1], 0);
  lock_page(x);
  unlock_page(P2:y[1]);
  clear_refs(P1:x);
}
device D0(dev *d)
{
  r0 = dma_read(d[1].2);
  dma_write(d, r0);
}
kernel K0(page *x, page *y)
{
  lock_page(P0:y[1]);
  unlock_page(P0:y[1]);
  clear_refs(P0:y[0..1]);
  r0 = try_share(P0:x);
}
filter (0:r5>=-EINVAL /\ ~fault(P0))
locations [D0:r0; 0:y[1].2; frame(0:x); rss(P1); finding(wrong-cow);]
exists (0:r0=1 /\ (1:r0=-SIGSEGV \/ ~(3:x!=3) \/ ~~excl(0:x)) /\ frame(0:x)!=-1 /\ 0<mapcount(1:y[2]) /\ pins(0:x)<=2 /\ refcount(0:x)>1 /\ (writable(0:x) \/ dirty(0:x) /\ true))
)";

/// The smallest test that has a page, a device and a child, with `statements` in P0.
inline std::string with_statements(std::string_view statements) {
  return "COW t\n{ x = anon(1); y = anon[2]; d = device; }\nP0() {\n" + std::string(statements) + "\n}\nP1() {}\n";
}

/// What `text` says; where it says nothing, the test fails.
inline Program parsed(std::string_view text) {
  ParseResult result = parse(text, "t.litmus");
  EXPECT_TRUE(result.ok()) << result.to_text();
  return result.ok() ? std::move(*result.program) : Program{};
}

}  // namespace cowherd::litmus
