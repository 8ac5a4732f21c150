#include "cow/rule_rows.hpp"

#include <array>

#include "cow/row_rules.hpp"

namespace cowherd {
namespace {

constexpr auto kC = Evidence::kConfirmed;
constexpr auto kM = Evidence::kFromMemory;
constexpr auto kD = Evidence::kDerived;

constexpr RowNote kR0Notes[] = {
    {kC, "Swapped-in pages: the swap cache's references are allowed for, if the swap entry is not shared"},
    {kC, "Reserved pages, the zero page among them, get no reference from get_user_pages"},
    {kC, "Reclaim leaves a swap-cache page with unexplained references mapped, so that a reference survives it"},
    {kD, "protect-upgrade and ref-overflow: no such step before 6.0 and 5.1"},
    {kM,
     "Fast GUP came with 2.6.27, NUMA hints with 3.8, write protection by clear_refs with 3.11: older kernels answer "
     "here "
     "as those did"},
};
constexpr RowNote kR1Rc5Notes[] = {
    {kC, "The dirty-bit rule lived from 1 to 3 August 2005; s390 has no dirty bit in the entry"},
    {kM, "That the mapcount rule was already in this release candidate"},
};
constexpr RowNote kR1Notes[] = {
    {kC, "Swapped-in pages: mapcount and uses of the swap entry together"},
    {kC, "2.6.16 adds MADV_DONTFORK (f822566165dd), the first answer to fork and registered memory"},
    {kC, "From 2.6.22 a FORCE write can race with MADV_DONTNEED (0a27a14a6292): Dirty COW"},
    {kM, "2.6.13 and 2.6.14 still do not count references to the zero page; 2.6.24 to 2.6.31 have none"},
};
constexpr RowNote kR2Notes[] = {
    {kM, "Reuse also drops the swap cache of a page that nobody else uses (7b1fe59793e6)"},
    {kC, "KSM pages (2.6.32) are never reused"},
    {kC, "Huge pages: mapcount; in 4.5 alone count as well; from 4.6 the largest mapcount of a part (6d0a07edd17c)"},
    {kM,
     "hugetlb reused by count first, by mapcount from about 3.0, and by 4.4 for anonymous pages only; here by count up "
     "to 3.1, by mapcount up to 4.8"},
};
constexpr RowNote kR3Notes[] = {
    {kC, "4.10-rc6 has the same rule for huge pages (8310d48b125d); 4.15-rc2 repairs it (a8f97366452e)"},
    {kC, "A split lets mapcounts be read too low for a moment, since 4.6: CVE-2020-29368"},
    {kM, "A page of a huge page that small entries map goes by the largest mapcount of any of its pages, from 4.6 on"},
    {kC, "4.4 to 5.4 long-term kernels became like R4 in 2020 and 2021"},
};
constexpr RowNote kR3bNotes[] = {
    {kC, "From 5.1 a KSM page with count 1 is reused"},
    {kC, "5.6 has pin_user_pages (eddb1c228f79) without counting: a pin is a get"},
};
constexpr RowNote kR3cNotes[] = {
    {kC, "A pin adds 1024 to the count of a small page; large pages have an exact count; fork does not ask"},
};
constexpr RowNote kR4Notes[] = {
    {kC, "Fast GUP refuses read-only entries for every reference"},
    {kC, "Reads by debuggers copy pages, and raise userfaultfd events"},
    {kC, "5.7.5 and 5.8 hold the page lock over splitting a shared huge page (c444eb564fb1)"},
};
constexpr RowNote kR5Notes[] = {
    {kC, "Huge and swapped-in pages still go by mapcount"},
    {kD, "The count of a large folio is one for all its pages: with two of them mapped none is reused"},
    {kM, "In which release candidate the rule came: rc5 here"},
};
constexpr RowNote kR6Notes[] = {
    {kC, "The restore can lose a dirty or accessed bit, and trips a check on ppc64"},
    {kC, "Pinned huge pages are split in the parent and copied by small pages (d042035eaf5f)"},
    {kC, "Files in private mappings are copied early too when they look pinned, up to R10"},
    {kC,
     "That copy needs an anon_vma: for a mapping without one, which fork copies only if a driver made it "
     "(VM_MIXEDMAP), a check fails; no such mapping here"},
};
constexpr RowNote kR7Notes[] = {
    {kC, "Fast GUP can pin between fork's test and its write protection: no write_protect_seq yet"},
    {kC, "Reclaim and clear_refs still treat pinned pages like others"},
    {kM, "Point releases of 5.10 take over more of R8 one by one: after 5.10.7 the rest of it"},
};
constexpr RowNote kR8Notes[] = {
    {kC, "Fork holds write_protect_seq (57efa1fe5957); a fast get is not sampled and needs none: fork ignores gets"},
    {kC, "Reclaim (feb889fb40fa) and clear_refs (9348b73c2e1b) leave pinned pages alone"},
    {kC, "clear_refs holds the mmap lock for writing until it has flushed (29a951dfb3c3)"},
};
constexpr RowNote kR9Notes[] = {
    {kC, "Decisions as 5.12; pinned hugetlb pages are copied early as well"},
    {kC, "5.14: has_pinned becomes a flag (a458b76a4171)"},
};
constexpr RowNote kR10Notes[] = {
    {kC,
     "Decisions on sharing as R8 for a small page in no cache; references of the swap cache and of this CPU's LRU list "
     "are "
     "dropped before counting (53a05ad9f21d, d4c470970d45)"},
    {kC, "Huge (3bff7e3f1f16) and swapped-in (c145e0b47c77) pages go by count"},
    {kC, "A page under MADV_FREE with a reference of somebody else is kept (6c8e2a256915)"},
};
constexpr RowNote kR11Notes[] = {
    {kC,
     "Swap entries keep the exclusive mark, on the architectures that have a bit for it (1493a1913e34): on others "
     "`linux-5.19,swap-exclusive=forgotten`"},
    {kC, "Swap-out, migration and KSM must clear the mark first, and may not while the page is pinned"},
    {kC, "Fork early-copies anonymous pages only (fb3d824d1a46); hugetlb joins write_protect_seq"},
};
constexpr RowNote kR12Notes[] = {
    {kC, "6.0: the FORCE rule also asks for no pending soft-dirty or userfaultfd write protection"},
    {kC, "6.0's first mprotect rule also asked for a dirty entry"},
};
constexpr RowNote kR13Notes[] = {
    {kC, "Unsharing covers the page cache and huge zero pages of private mappings (8d6a0ac09a16)"},
    {kC, "FORCE writes into read-only hugetlb mappings are refused (f347454d0341)"},
};
constexpr RowNote kR14Notes[] = {
    {kC, "Block direct I/O takes pins (920756a3306a, a7e689dd1c06); vmsplice and NFS direct I/O take gets"},
    {kC, "Long-term write pins of file mappings that track dirty pages are refused (8ac268436e6d)"},
    {kC, "A page of a large folio is reused only if the folio's count is one"},
    {kM,
     "Anonymous folios of several sizes came with 6.8; before, a large folio that small entries map was a huge page"},
};
constexpr RowNote kR15Notes[] = {
    {kC,
     "Decisions on small pages as R14; small entries of a large folio are copied in batches, and reused only if "
     "exclusive"},
};
constexpr RowNote kR16Notes[] = {
    {kC, "Decisions on small pages as R14; a large folio remembers up to two owners and can be reused again"},
    {kD,
     "Here who maps a folio is asked when it is written: with three address spaces Linux forgets one of them, and "
     "copies "
     "even for the last"},
    {kD, "Pages that mremap has moved apart count as another owner's"},
    {kC, "A get is still unprotected at fork"},
    {kC, "CVE-2026-31398, until 6.19"},
    {kM, "That the batches that it is about came with 6.15 (354dffd29575)"},
};
constexpr RowNote kSketchNotes[] = {
    {kC, "The patch as posted, on 5.9-rc5: every fork asks every page, one page type, errors return in the middle"},
    {kC, "The copy is also not marked up to date, on no LRU list and charged to nobody: no such state here"},
    {kD,
     "Its write protection comes after the page, so a copied page's entry is left alone; do_src_wp is set only for a "
     "writable entry"},
};
constexpr RowNote kX2Notes[] = {
    {kD,
     "The sketch with its own page booked, mapped back, dirty, allocated outside the lock and unwound; it still "
     "protects first and has no gate"},
};
constexpr RowNote kX3Notes[] = {
    {kC, "Also asks for an anon_vma, which a mapping with an anonymous page always has"},
    {kD, "What it did without a page in the reserve is not known: unwinds here"},
};
constexpr RowNote kX4Notes[] = {
    {kC, "Marking the page and fork's test of the mark race"},
    {kM, "Where it allocated: outside the lock here"},
};
constexpr RowNote kX5Notes[] = {
    {kC, "A page flag, and one on the mapping that saves other forks the question"},
    {kD, "The flag on the mapping is one on the address space here"},
};
constexpr RowNote kX6Notes[] = {
    {kC, "Also never puts a referenced page into the swap cache"},
};
constexpr RowNote kX7Notes[] = {
    {kM, "The line of enterprise kernels that kept mapcounts: any read reference unshares, fork as R8"},
};
constexpr RowNote kX8Notes[] = {
    {kC, "No decision changes: the program takes registered memory out of fork itself"},
};
constexpr RowNote kX9Notes[] = {
    {kD, "fork shares nothing but the zero page: what the reference semantics does, at its full price"},
};
constexpr RowNote kNoneNotes[] = {
    {kC, "Asterinas reuses at count 1 and has no pins"},
    {kC, "gVisor had no answer to pins before August 2026"},
    {kD, "FORCE, overflow, zero page, fast pins and flushes were not read: cowherd's values"},
};
constexpr RowNote kRefuseNotes[] = {
    {kC,
     "Zircon: a snapshot of an object with pinned pages fails; only clones that see the parent's writes are "
     "allowed"},
    {kM, "Pinning commits a page of the object's own first; the last owner of a shared page keeps it"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kWaitNotes[] = {
    {kC, "Haiku until July 2010: left because forks waited for each other"},
    {kD, "What a read pin of a shared page did then was not read: plain here"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kEntryNotes[] = {
    {kC, "FreeBSD, NetBSD and OpenBSD copy a wired map entry whole, XNU the whole range; an entry is a mapping here"},
    {kC, "Pages that the I/O path holds one by one do not wire the entry: gets are not counted"},
    {kM, "Wiring a writable entry breaks copy-on-write first"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kPageNotes[] = {
    {kC, "Managarm keeps locked pages in the parent and copies them for the child; locking makes shared pages own"},
    {kD, "Managarm copies a shared page even for its last owner; this row lets a single owner keep it"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kHaikuNotes[] = {
    {kC, "The later writer waits while a read-only wired range covers a shared page"},
    {kD, "A page that only one area can still see is in that area's own cache: mapcount 1"},
    {kD, "No zero page there: a read pin allocates, which is modelled by replacing the zero page"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kGvisorNotes[] = {
    {kC, "Asks only after the first pin, and copies the pinned ranges"},
    {kC, "No count of pins: a private page that is not copy-on-write and has several references must be pinned"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kSv6Notes[] = {
    {kC, "There is no last-owner test at all; a flag on each page says copy-on-write"},
    {kD, "A page without that flag is mapped writable wherever its mapping is"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kSerenityNotes[] = {
    {kC, "A bitmap says which pages are copy-on-write; others are mapped writable, those are reused at count 1"},
    {kD, "Fast pins, clear_refs and the order of flushes were not read: cowherd's values"},
};
constexpr RowNote kCowherdNotes[] = {
    {kC, "The default. Linux's current rules with exact pins, and gets counted as pins"},
};
constexpr RowNote kLinux3_2Notes[] = {
    {kM, "mremap flushed page by page before, and once for all pages since, its page-table locks dropped"},
    {kC, "CVE-2018-18281"},
};
constexpr RowNote kLinux4_15Notes[] = {
    {kC,
     "A reference for reading made the huge zero page's entry dirty, and FORCE took that for its own copy: "
     "CVE-2017-1000405 (a8f97366452e, 4.15-rc2)"},
    {kM, "Huge pages go to swap whole, which 4.14 has already; 4.13 splits them in the swap cache"},
};
constexpr RowNote kLinux4_19Notes[] = {
    {kC, "The flush that CVE-2018-18281 was about; 4.9.135, 4.14.78 and 4.18.16 have it too"},
    {kM,
     "Linux sets the new entries before it flushes, so that a thread can use both addresses for a moment; early is "
     "stricter, and no other agent can tell"},
};
constexpr RowNote kLinux5_6_19Notes[] = {
    {kC, "R4's rule in a kernel that does not count pins yet"},
};
constexpr RowNote kLinux5_10_7Notes[] = {
    {kC, "The sequence count (c28b1fc70390, 57efa1fe5957) without R8's tests for pins in reclaim and clear_refs"},
    {kM, "That clear_refs still holds the mmap lock for reading"},
};
constexpr RowNote kLinux5_12Notes[] = {
    {kC, "A page that userfaultfd has just write-protected is not copied before CPUs have heard of it"},
    {kM, "That commit's number (6ce64428d620)"},
};
constexpr RowNote kLinux5_14Notes[] = {
    {kC, "CVE-2023-4732: the userfaultfd bit of present, swap and migration entries and of early copies at fork"},
};
constexpr RowNote kLinux5_16Notes[] = {
    {kC, "With FORCE by dirty entry this is CVE-2022-2590, until 5.19.6"},
};
constexpr RowNote kLinux6_10Notes[] = {
    {kM, "Large folios go to swap whole where the area has a run of slots (5ed890ce5147)"},
};
constexpr RowNote kLinux7_0Notes[] = {
    {kC, "CVE-2026-31398; 6.18.20 and 6.19.10 have it too"},
    {kC, "7.1.5 decides as 7.0"},
};
constexpr RowNote kLinux6_4Notes[] = {
    {kC, "UFFD_FEATURE_WP_UNPOPULATED (2bad466cc9d9)"},
};
constexpr RowNote kLinux6_13Notes[] = {
    {kC, "CVE-2025-21696"},
    {kM, "That it came with 6.13, and which point releases of older kernels have it"},
    {kM, "That 6.13 is the first which gives who writes to the huge zero page a huge page; 6.12 does not, 6.18 does"},
};
constexpr RowNote kLinux5_17Notes[] = {
    {kC, "CVE-2022-48797; 5.16.10 and 5.15.24 have it too"},
    {kM,
     "Why the write permission of a hinted page was lost until then was never explained: here no restored entry is "
     "writable before 6.0"},
};
constexpr RowNote kLinux5_19_6Notes[] = {
    {kC, "R12's FORCE rule (5535be309971) in R11"},
};
constexpr RowNote kLinux6_0Rc1Notes[] = {
    {kC, "R12's mprotect rule (64fe24a3e05e) before its FORCE rule, which came in 6.0-rc3"},
};
constexpr RowNote kLinux6_1Notes[] = {
    {kC,
     "Fast GUP checks the PMD again too (70cbc3cc78a9); barriers order clearing the mark against it (088b8aa537c2)"},
};

// The columns are those of RuleRow. The lines read as a table, hence no wrapping by the formatter.
// clang-format off
constexpr RuleRow kRows[] = {
    {"R0", "count, trylock", rows::kR0, "2.6.0-2.6.12", "linux-2.6.12", "", kR0Notes, ""},
    {"R1-rc5", "mapcount, FORCE by dirty entry", rows::kR1Rc5, "2.6.13-rc5", "linux-2.6.13-rc5", "4ceb5db9757a", kR1Rc5Notes, ""},
    {"R1", "mapcount, trylock", rows::kR1, "2.6.13-2.6.28", "linux-2.6.13", "c475a8ab625d f33ea7f404e5", kR1Notes, ""},
    {"R2", "mapcount, waits for the page lock", rows::kR2, "2.6.29-3.1", "linux-2.6.29", "ab967d86015a", kR2Notes, ""},
    {"R3", "mapcount, FORCE after a fault of its own", rows::kR3, "4.8.3-4.14", "linux-4.9", "19be0eaffa3a", kR3Notes, ""},
    {"R3b", "R3, references cannot overflow", rows::kR3b, "5.1-5.6", "linux-5.1", "15fab63e1e57 8fde12ca79af", kR3bNotes, ""},
    {"R3c", "R3b, pins are counted", rows::kR3c, "5.7-5.7.2", "linux-5.7", "3faa52c03f44", kR3cNotes, ""},
    {"R4", "mapcount, readers break copy-on-write", rows::kR4, "5.7.3-5.9-rc4", "linux-5.8", "17839856fd58", kR4Notes, ""},
    {"R5", "count, readers take the page as it is", rows::kR5, "5.9-rc5-5.9-rc7", "linux-5.9-rc5", "09854ba94c6a be068f29034f 1a0cf26323c8 a308c71bf1e6", kR5Notes, ""},
    {"R6", "count, fork copies pinned pages, protects first", rows::kR6, "5.9-rc8", "linux-5.9-rc8", "008cfe4418b3 7a4830c380f3 70e806e4e645 d042035eaf5f", kR6Notes, ""},
    {"R7", "count, fork copies pinned pages", rows::kR7, "5.9-5.10", "linux-5.9", "f3c64eda3e50", kR7Notes, ""},
    {"R8", "R7, fork and fast pins exclude each other", rows::kR8, "5.11-5.12", "linux-5.11", "c28b1fc70390 57efa1fe5957 feb889fb40fa 9348b73c2e1b 29a951dfb3c3", kR8Notes, ""},
    {"R9", "R8 for hugetlb too", rows::kR9, "5.13-5.16", "linux-5.13", "4eae4efa2c29 a458b76a4171", kR9Notes, ""},
    {"R10", "R9, counts without the caches' references", rows::kR10, "5.18", "linux-5.18", "53a05ad9f21d d4c470970d45 84d60fdd3733 c145e0b47c77 3bff7e3f1f16", kR10Notes, ""},
    {"R11", "exclusive, read pins unshare anonymous pages", rows::kR11, "5.19-5.19.5", "linux-5.19", "78fbe906cc90 6c287605fd56 c89357e27f20 a7f226604170 1493a1913e34", kR11Notes, ""},
    {"R12", "R11, FORCE needs an exclusive page", rows::kR12, "6.0", "linux-6.0", "5535be309971 64fe24a3e05e", kR12Notes, ""},
    {"R13", "R12, long-term read pins unshare any page", rows::kR13, "6.2-6.3", "linux-6.2", "b9086fde6d44 aea06577a900 8d6a0ac09a16 84209e87c696", kR13Notes, ""},
    {"R14", "R13, the zero page is not counted", rows::kR14, "6.5-6.8", "linux-6.5", "c8070b787519", kR14Notes, ""},
    {"R15", "R14, fork in batches", rows::kR15, "6.9", "linux-6.9", "f8d937761d65", kR15Notes, ""},
    {"R16", "R15, large folios know their owners", rows::kR16, "6.15-6.19", "linux-6.15", "6af8cb80d3a9 003fde4492c8 1da190f4d0a6", kR16Notes, ""},

    {"sketch", "the patch of 17 September 2020 as posted", rows::kSketch, "on 5.9-rc5", "", "", kSketchNotes, ""},
    {"X2", "the sketch with its bookkeeping put right", rows::kX2, "on 5.9-rc5", "", "", kX2Notes, ""},
    {"X3", "the draft of 25 September 2020", rows::kX3, "on 5.9-rc6", "", "", kX3Notes, ""},
    {"X4", "a mark on the page, copied at fork (2009)", rows::kX4, "on 2.6.29", "", "", kX4Notes, ""},
    {"X5", "X4 with a gate on the mapping (2009)", rows::kX5, "on 2.6.29", "", "", kX5Notes, ""},
    {"X6", "the first owner keeps the page (2009)", rows::kX6, "on 2.6.29", "", "", kX6Notes, ""},
    {"X7", "mapcount, any read reference unshares (2021)", rows::kX7, "on 5.11", "", "", kX7Notes, ""},
    {"X8", "MADV_DONTFORK is all there is", rows::kR1, "2.6.16", "", "f822566165dd", kX8Notes, ""},
    {"X9", "fork copies everything", rows::kX9, "", "", "", kX9Notes, ""},

    {"none", "no notion of a pin", rows::kNone, "Asterinas", "", "", kNoneNotes, ""},
    {"refuse", "no fork while a page is pinned", rows::kRefuse, "Zircon", "", "", kRefuseNotes, ""},
    {"wait", "fork waits for the pins", rows::kWait, "Haiku until 2010", "", "", kWaitNotes, ""},
    {"entry", "fork copies the whole mapping of a pinned page", rows::kEntry, "FreeBSD, NetBSD, OpenBSD, XNU", "", "", kEntryNotes, ""},
    {"page", "fork copies the pinned page", rows::kPage, "Managarm", "", "", kPageNotes, ""},

    {"cowherd", "get and pin alike, exact, exclusive", kCowherdRules, "", "", "", kCowherdNotes, ""},
};

constexpr RuleRow kVariants[] = {
    {"linux-3.2", "R2, mremap flushes late", rows::kLinux3_2, "3.2-4.8.2", "linux-3.2", "7b6efc2bc4f1", kLinux3_2Notes, "R2"},
    {"linux-4.15", "R3, reading a huge page leaves it clean", rows::kLinux4_15, "4.15-4.18", "linux-4.15", "a8f97366452e", kLinux4_15Notes, "R3"},
    {"linux-4.19", "R3, mremap flushes with the locks held", rows::kLinux4_19, "4.19-5.0", "linux-4.19", "eb66ae030829", kLinux4_19Notes, "R3"},
    {"linux-5.6.19", "R4 without counted pins", rows::kLinux5_6_19, "5.6.19", "linux-5.6.19", "17839856fd58", kLinux5_6_19Notes, "R4"},
    {"linux-5.10.7", "R7 with R8's sequence count", rows::kLinux5_10_7, "5.10.7", "linux-5.10.7", "c28b1fc70390 57efa1fe5957", kLinux5_10_7Notes, "R7"},
    {"linux-5.12", "R8, userfaultfd flushes before others fault", rows::kLinux5_12, "5.12", "linux-5.12", "6ce64428d620", kLinux5_12Notes, "R8"},
    {"linux-5.14", "R9, fork looks at the child's registration", rows::kLinux5_14, "5.14-5.15", "linux-5.14", "8f34f1eac382", kLinux5_14Notes, "R9"},
    {"linux-5.16", "R9, UFFDIO_CONTINUE makes entries dirty", rows::kLinux5_16, "5.16", "linux-5.16", "9ae0f87d009c", kLinux5_16Notes, "R9"},
    {"linux-5.17", "R9, NUMA hints leave held pages alone", rows::kLinux5_17, "5.17", "linux-5.17", "80d47f5de5e3", kLinux5_17Notes, "R9"},
    {"linux-5.19.6", "R11 with R12's FORCE", rows::kLinux5_19_6, "5.19.6", "linux-5.19.6", "5535be309971", kLinux5_19_6Notes, "R11"},
    {"linux-6.0-rc1", "R11 with R12's mprotect", rows::kLinux6_0Rc1, "6.0-rc1-6.0-rc2", "linux-6.0-rc1", "64fe24a3e05e", kLinux6_0Rc1Notes, "R11"},
    {"linux-6.1", "R12, a fast pin checks the table too", rows::kLinux6_1, "6.1", "linux-6.1", "70cbc3cc78a9 088b8aa537c2", kLinux6_1Notes, "R12"},
    {"linux-6.4", "R13, userfaultfd write-protects what is not there", rows::kLinux6_4, "6.4", "linux-6.4", "2bad466cc9d9", kLinux6_4Notes, "R13"},
    {"linux-6.10", "R15, large folios go to swap whole", rows::kLinux6_10, "6.10-6.12", "linux-6.10", "5ed890ce5147", kLinux6_10Notes, "R15"},
    {"linux-6.13", "R15, mremap drops a mark, huge zeros are replaced whole", rows::kLinux6_13, "6.13-6.14", "linux-6.13", "", kLinux6_13Notes, "R15"},
    {"linux-7.0", "R16, each entry of a batch keeps its write bit", rows::kLinux7_0, "7.0-7.1", "linux-7.0", "", kLinux7_0Notes, "R16"},
    {"haiku", "page, a read pin holds up the writer", rows::kHaiku, "Haiku since 2010", "", "", kHaikuNotes, "page"},
    {"gvisor", "page, asked only after a first pin", rows::kGvisor, "gVisor since August 2026", "", "", kGvisorNotes, "page"},
    {"serenity", "none, but knows its own pages", rows::kSerenity, "SerenityOS", "", "", kSerenityNotes, "none"},
    {"sv6", "none, every shared page is copied", rows::kSv6, "sv6", "", "", kSv6Notes, "none"},
};
// clang-format on

constexpr KernelAlias kPeers[] = {
    {"asterinas", "none"},    {"freebsd", "entry"}, {"gvisor", "gvisor"}, {"haiku", "haiku"},
    {"haiku-old", "wait"},    {"managarm", "page"}, {"netbsd", "entry"},  {"openbsd", "entry"},
    {"serenity", "serenity"}, {"sv6", "sv6"},       {"xnu", "entry"},     {"zircon", "refuse"},
};

const RuleRow* row_of_id(std::string_view id) {
  for (const RuleRow& row : kRows) {
    if (row.id == id) return &row;
  }
  for (const RuleRow& row : kVariants) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

}  // namespace

std::string_view mark_of(Evidence evidence) {
  constexpr std::array<std::string_view, 3> kMarks = {"C", "M", "D"};
  return kMarks[static_cast<std::size_t>(evidence)];
}

std::span<const RuleRow> all_rows() { return kRows; }

std::span<const RuleRow> variant_rows() { return kVariants; }

std::span<const KernelAlias> peers() { return kPeers; }

const RuleRow* find_rules(std::string_view name) {
  if (const RuleRow* row = row_of_id(name)) return row;
  for (const KernelAlias& version : linux_versions()) {
    if (version.name == name) return row_of_id(version.row);
  }
  for (const KernelAlias& peer : kPeers) {
    if (peer.name == name) return row_of_id(peer.row);
  }
  return nullptr;
}

}  // namespace cowherd
