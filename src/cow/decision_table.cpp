#include "cow/decision_table.hpp"

#include <array>
#include <cstddef>

#include "cow/huge_values.hpp"

namespace cowherd {
namespace {

template <auto kMember>
struct Accessor;

template <class Value, Value Rules::*kMember>
struct Accessor<kMember> {
  static std::uint8_t get(const Rules& rules) { return static_cast<std::uint8_t>(rules.*kMember); }
  static void set(Rules& rules, std::uint8_t value) { rules.*kMember = static_cast<Value>(value); }
};

template <auto kMember>
constexpr DecisionInfo row(Decision id, std::string_view name, std::string_view question, std::string_view provenance,
                           std::span<const DecisionValue> values) {
  return {id, name, question, provenance, values, &Accessor<kMember>::get, &Accessor<kMember>::set};
}

constexpr DecisionValue kReuseValues[] = {
    {"never", "every write fault on a read-only entry copies, even for the only owner, and leaves a pin behind"},
    {"count", "count==1 may be reused: a pin's own reference makes the owner copy and part from the pin"},
    {"mapcount",
     "mapcount==1 may be reused: references do not matter, so a pin stays, and so does somebody else's "
     "reference that still reads the page"},
    {"exclusive",
     "an exclusive page is reused without looking at counts: once the owner's, always the owner's; "
     "others need count==1"},
    {"directed", "the first owner keeps the page and the other mappers are given copies"},
};

constexpr DecisionValue kPageLockValues[] = {
    {"try-else-copy", "a page lock that somebody holds for a moment costs the owner a copy"},
    {"sleep", "the fault waits for the page lock and then decides"},
};

constexpr DecisionValue kForkPinnedValues[] = {
    {"share", "a pinned page is write-protected and shared like any other: the next write decides who keeps it"},
    {"copy", "a pinned page is copied for the child at once and stays writable in the parent"},
    {"copy-exclusive", "a pinned page is copied if it is exclusive; a shared one is shared on"},
    {"copy-entry", "one pinned page makes fork copy every page of its mapping"},
    {"copy-all", "fork copies everything, so nothing is ever shared"},
    {"refuse", "fork fails with EBUSY while a page is pinned"},
    {"wait", "fork waits until no page is pinned, for ever if the pin is for ever"},
};

constexpr DecisionValue kForkGateValues[] = {
    {"always", "every fork asks every page"},
    {"has-pinned", "fork asks pages only in an address space that has pinned one before"},
};

constexpr DecisionValue kPinnedValues[] = {
    {"never", "pins look like any other reference, so nobody can act on them"},
    {"biased", "a pin counts 1024 references, so 1024 ordinary ones look like a pin"},
    {"exact", "the page has its own count of pins"},
    {"gup-mark",
     "a sticky mark says that a reference was taken for writing; it counts while references exceed "
     "mappings"},
};

constexpr DecisionValue kPinCountValues[] = {
    {"pin", "only FOLL_PIN is counted: a FOLL_GET reference is protected from nothing"},
    {"pin-and-get", "FOLL_GET references taken through an address are counted and protected like pins"},
};

constexpr DecisionValue kForkSourceValues[] = {
    {"untouched", "the entry that is copied early never loses its write permission"},
    {"protect-then-restore",
     "the entry is write-protected first and restored after the copy: dirty and accessed bits "
     "set in between are lost, and other threads fault on it"},
};

constexpr DecisionValue kCopyOnlyIfValues[] = {
    {"always", "every page that counts as pinned is copied early"},
    {"mapped-once-and-dirty",
     "only a page with mapcount==1 behind a dirty entry is copied early, so a pinned page that "
     "is already shared, or clean, is shared on"},
    {"writable-entry",
     "only a page behind a writable entry is copied early, so a pinned page in read-only memory is "
     "shared, and the device's writes reach the child"},
};

constexpr DecisionValue kCopyAccountingValues[] = {
    {"new-page", "reference and mapcount of the early copy are booked on the page that the child maps"},
    {"source-page",
     "they are booked on the parent's page, which is then never free or exclusive again, and the "
     "child's page goes below zero at unmap"},
};

constexpr DecisionValue kCopyRmapValues[] = {
    {"child", "the early copy can be found through the child's mapping"},
    {"none", "the early copy has no reverse map: reclaim and migration cannot find who maps it"},
};

constexpr DecisionValue kCopyEntryValues[] = {
    {"dirty-writable", "the child's entry says that the page was written, and may be written on"},
    {"protection-only", "the child's entry is clean, so reclaim may drop the page as never written"},
};

constexpr DecisionValue kCopyAllocValues[] = {
    {"prealloc", "fork leaves the page-table lock to allocate and starts again at the same entry"},
    {"atomic", "fork allocates under the page-table lock from what can be had without sleeping"},
    {"under-lock", "fork allocates under the page-table lock and may sleep there"},
};

constexpr DecisionValue kCopyFailureValues[] = {
    {"unwind", "a fork that gets no page undoes the child and fails with ENOMEM"},
    {"return-locked", "a fork that gets no page returns with the page-table lock held"},
};

constexpr DecisionValue kGupReadValues[] = {
    {"plain", "a reader is given the page as it is: the owner's next write may go elsewhere"},
    {"write-fault", "a reader breaks copy-on-write as a writer would, on every private mapping"},
    {"unshare-anon", "a counted read pin first makes a shared anonymous page the owner's own"},
    {"unshare-any", "as unshare-anon, and a long-term read pin also replaces the zero page"},
    {"unshare-always", "any read reference, get or pin, first makes a shared page or the zero page the owner's own"},
    {"block-writer", "a read pin leaves a shared page shared, and the write that would replace it waits for the unpin"},
};

constexpr DecisionValue kGupForceValues[] = {
    {"retry-as-read", "after one write fault the look-up is repeated as a read: whatever is mapped by then is written"},
    {"dirty-entry",
     "a dirty entry is taken for a private copy, but fork keeps the dirty bit of entries that it shares"},
    {"dirty-after-fault", "the entry must be dirty and this call must have faulted on it"},
    {"exclusive", "the page must be exclusive, which nothing but owning it can make it"},
};

constexpr DecisionValue kZeroPageValues[] = {
    {"counted", "references to the zero page are counted, and can overflow"},
    {"uncounted", "the zero page is never counted nor pinned"},
};

constexpr DecisionValue kRefOverflowValues[] = {
    {"wrap", "the count wraps to zero and the page is freed under its holders"},
    {"refuse", "a reference above the limit fails with ENOMEM"},
};

constexpr DecisionValue kProtectUpgradeValues[] = {
    {"fault-later", "entries stay read-only and the next write fault decides, page lock and counts included"},
    {"map-writable", "an entry with an exclusive page becomes writable at once"},
};

constexpr DecisionValue kForkSequenceValues[] = {
    {"none", "a fast pin may come between fork's test for pins and its write protection, and is then written behind"},
    {"counted", "a fast pin that met a fork lets go and starts again behind the mmap lock"},
};

constexpr DecisionValue kGupRecheckValues[] = {
    {"none", "a fast pin keeps whatever page the entry named before it had its reference"},
    {"entry", "a fast pin reads the entry again, but not whether its table is still in use"},
    {"entry-and-table", "a fast pin reads the entry and its table's entry again, and lets go if either changed"},
};

constexpr DecisionValue kExclusiveClearValues[] = {
    {"test-then-clear", "a fast pin may come between the test for pins and the entry's clearing"},
    {"clear-then-test", "with the entry cleared no new pin can come, and a pin that came is seen"},
};

constexpr DecisionValue kClearRefsLockValues[] = {
    {"read", "faults run while other CPUs still remember write permission: what they write goes to the old page"},
    {"write", "no fault runs before every CPU has forgotten the write permission"},
};

constexpr DecisionValue kClearRefsPinnedValues[] = {
    {"protect", "a pinned page is write-protected, and the next write may part it from its pin"},
    {"skip", "a pinned page keeps its write permission, and counts as written for as long"},
};

constexpr DecisionValue kTlbFlushValues[] = {
    {"before-unlock", "no other agent acts on a change while some CPU still uses what was there before"},
    {"after-unlock", "others may act on a change while some CPU still uses what was there before"},
};

constexpr DecisionValue kPreallocUseValues[] = {
    {"free-unused", "a preallocated page serves the address that asked for it, or nobody"},
    {"keep-for-next", "a preallocated page may serve another address than the one whose policy chose it"},
};

constexpr DecisionValue kRemapFlushValues[] = {
    {"early", "no CPU uses the old address of a page when somebody reaches it by the new one"},
    {"late", "CPUs use the old address after the page has moved, and after somebody has taken it from the new one"},
};

constexpr DecisionValue kForkFileValues[] = {
    {"share", "the child maps the file's page too, and goes on following the file"},
    {"copy", "a file's page that counts as pinned is copied for the child, which stops following the file"},
};

constexpr DecisionValue kLongtermFileValues[] = {
    {"allow", "a device may hold a page of a disk's file for writing for as long as it likes"},
    {"refuse", "a long-term reference for writing to a shared mapping of a disk's file is EFAULT"},
};

constexpr DecisionValue kWritebackPinnedValues[] = {
    {"clean",
     "a page that a device may still write is clean once it is written out: what comes after is lost, or meets a "
     "file system that was not told"},
    {"keep-dirty", "a page that a device may still write stays dirty, and is written out again until nobody holds it"},
};

constexpr DecisionValue kDirtyUnpreparedValues[] = {
    {"bug", "a page that is dirty without the file system's knowing stops the machine"},
    {"skip", "it is taken for clean, and what was written is lost"},
    {"write", "it is written out like any other"},
};

constexpr DecisionValue kNumaSkipValues[] = {
    {"shared", "a page that a device holds is protected too, and the next write may part it from its pin"},
    {"held", "a page with any reference besides its mapping is left alone"},
};

constexpr DecisionValue kGupHintValues[] = {
    {"fault", "a reference is an access: it faults, and the hint is used up"},
    {"follow", "a reference takes the page and leaves the hint to the next access"},
};

constexpr DecisionValue kKsmReuseValues[] = {
    {"never", "whoever writes a merged page gets a copy, even the last who has it"},
    {"count", "the last who has a merged page goes on using it"},
};

constexpr DecisionValue kKsmProtectValues[] = {
    {"test-then-clear", "a fast pin may come between the test and the entry's clearing, and is parted from its page"},
    {"clear-then-test", "with the entry cleared no new reference can come, and one that came is seen"},
};

constexpr DecisionValue kSwapReuseValues[] = {
    {"never", "a page that comes back from swap is mapped read-only, and the write fault after it decides"},
    {"count", "the page is the writer's if nobody else has a reference to it: one that was taken before costs a copy"},
    {"mapcount",
     "the page is the writer's if no other entry maps it or names its slot, and so is what somebody else's reference "
     "still reads"},
    {"exclusive", "the page is the writer's if its entry says that it was his alone; others need count==1"},
};

constexpr DecisionValue kSwapExclusiveValues[] = {
    {"forgotten", "an entry in swap does not say whose the page was: who held it by a reference may lose his owner"},
    {"kept", "an entry in swap keeps the exclusive mark until fork shares it"},
};

constexpr DecisionValue kSwapCacheValues[] = {
    {"counted", "a page that is still in the swap cache looks shared to its only owner, who copies"},
    {"left", "the page leaves the swap cache where no other entry names its slot, and only then is counted"},
};

constexpr DecisionValue kSwapInValues[] = {
    {"through-cache", "every page comes by the swap cache, so two faults find one page"},
    {"past-cache",
     "a slot that one entry names is read past the swap cache: the slower of two faults may put an old page in the "
     "place of the newer one"},
};

constexpr DecisionValue kReclaimPinnedValues[] = {
    {"unmap", "a pinned page goes into the swap cache and loses its mapping, and the owner's next write may copy it"},
    {"skip-referenced", "a page with a reference that is no mapping's stays mapped"},
    {"skip", "a page that may be pinned stays mapped"},
};

constexpr DecisionValue kReclaimUnmapValues[] = {
    {"anyway", "an entry goes whatever came since the page was looked at: a fast pin, say"},
    {"try-share", "with the entry gone reclaim asks about pins once more, and puts it back where there is one"},
};

constexpr DecisionValue kLazyFreeValues[] = {
    {"not-dirty", "a page under MADV_FREE goes if nobody is known to have written it, a device that will included"},
    {"unreferenced", "a page under MADV_FREE goes only if nobody but its mappings refers to it"},
};

constexpr DecisionValue kFastDirtyValues[] = {
    {"at-release", "a fast reference for writing leaves its page clean until the holder says that he wrote"},
    {"at-once", "a fast reference for writing makes its page dirty when it is taken"},
};

constexpr DecisionValue kMigrateUnmapValues[] = {
    {"anyway",
     "an entry becomes a migration entry whoever holds its page; where somebody does it comes back, and a fork "
     "that has met it meanwhile has asked nobody about pins"},
    {"try-share", "with the entry gone migration asks about pins, and puts it back where there is one"},
};

constexpr std::array kTable = {
    row<&Rules::reuse>(Decision::kReuse, "reuse", "write fault on a read-only page: may the owner go on using it?",
                       "Counts until 2.6.12, mapcounts until 5.8 (c475a8ab625d), counts again in 5.9 (09854ba94c6a), "
                       "and since 5.19 ownership kept as a fact (6c287605fd56)",
                       kReuseValues),
    row<&Rules::page_lock>(Decision::kPageLock, "page-lock", "write fault while somebody else holds the page lock",
                           "Linux copied until 2.6.28, slept from 2.6.29 (ab967d86015a), and copies again since 5.9 "
                           "(09854ba94c6a)",
                           kPageLockValues),
    row<&Rules::fork_pinned>(Decision::kForkPinned, "fork-pinned", "what fork does with a page that counts as pinned",
                             "Linux shared it until 5.9-rc7, copies it since 5.9-rc8 (70e806e4e645), and since 5.19 "
                             "only if it is exclusive (6c287605fd56); Haiku has copied it since 2010",
                             kForkPinnedValues),
    row<&Rules::fork_gate>(Decision::kForkGate, "fork-gate", "whether fork looks for pins at all",
                           "Linux asks only in address spaces that have pinned, since 5.9-rc8 (008cfe4418b3); gVisor "
                           "does the same",
                           kForkGateValues),
    row<&Rules::pinned>(Decision::kPinned, "pinned", "what counts as pinned",
                        "Linux could not tell until 5.7 (3faa52c03f44); a mark on the page was proposed in 2009",
                        kPinnedValues),
    row<&Rules::pin_count>(Decision::kPinCount, "pin-count", "which references are counted as pins",
                           "Linux tells get and pin apart since 5.6 (eddb1c228f79), and moves its users over one by "
                           "one: block direct I/O in 6.5, vmsplice not yet",
                           kPinCountValues),
    row<&Rules::fork_source>(Decision::kForkSource, "fork-source", "the parent's entry while its page is copied early",
                             "5.9-rc8 protected and restored it (70e806e4e645); 5.9 leaves it alone (f3c64eda3e50)",
                             kForkSourceValues),
    row<&Rules::copy_only_if>(Decision::kCopyOnlyIf, "copy-only-if", "a further condition for the early copy",
                              "A draft of 25 September 2020 had it; no released Linux has", kCopyOnlyIfValues),
    row<&Rules::copy_accounting>(Decision::kCopyAccounting, "copy-accounting", "where the early copy is booked",
                                 "The sketch of 17 September 2020 booked it on the page that the child does not map",
                                 kCopyAccountingValues),
    row<&Rules::copy_rmap>(Decision::kCopyRmap, "copy-rmap", "whether the early copy has a reverse map",
                           "The sketch had none; Linux hands fork both mappings for it (7a4830c380f3)",
                           kCopyRmapValues),
    row<&Rules::copy_entry>(Decision::kCopyEntry, "copy-entry", "what the early copy's entry says",
                            "The sketch used the bare page protection", kCopyEntryValues),
    row<&Rules::copy_alloc>(Decision::kCopyAlloc, "copy-alloc", "how the early copy gets its page",
                            "The sketch slept under the lock, a draft took from the reserve, 5.9-rc8 leaves the lock "
                            "(70e806e4e645)",
                            kCopyAllocValues),
    row<&Rules::copy_failure>(Decision::kCopyFailure, "copy-failure", "what fork does when it gets no page",
                              "The sketch returned in the middle; Linux unwinds", kCopyFailureValues),
    row<&Rules::gup_read>(Decision::kGupRead, "gup-read", "what taking a reference for reading does with a shared page",
                          "Nothing until 5.7.2, a write fault in 5.7.3 and 5.8 (17839856fd58), nothing again in 5.9 "
                          "(a308c71bf1e6), unsharing since 5.19 (a7f226604170) and beyond anonymous pages since 6.2 "
                          "(84209e87c696); Haiku makes the writer wait",
                          kGupReadValues),
    row<&Rules::gup_force>(
        Decision::kGupForce, "gup-force", "when FOLL_FORCE may write through a read-only entry",
        "Each step closed a hole of the one before: f33ea7f404e5, then 19be0eaffa3a after Dirty COW, "
        "then 5535be309971",
        kGupForceValues),
    row<&Rules::zero_page>(Decision::kZeroPage, "zero-page", "whether references to the zero page are counted",
                           "Linux stopped counting pins of it in 6.5 (c8070b787519)", kZeroPageValues),
    row<&Rules::ref_overflow>(Decision::kRefOverflow, "ref-overflow", "what taking one reference too many does",
                              "Linux refuses since 5.1 (8fde12ca79af)", kRefOverflowValues),
    row<&Rules::protect_upgrade>(Decision::kProtectUpgrade, "protect-upgrade",
                                 "what mprotect to writable does with an exclusive page",
                                 "Linux maps it writable at once since 6.0 (64fe24a3e05e)", kProtectUpgradeValues),
    row<&Rules::fork_sequence>(Decision::kForkSequence, "fork-sequence", "how fork and a fast pin exclude each other",
                               "Linux has write_protect_seq since 5.11 (57efa1fe5957)", kForkSequenceValues),
    row<&Rules::gup_recheck>(Decision::kGupRecheck, "gup-recheck", "what a fast pin reads again, its reference held",
                             "Linux checks the table's entry too since 6.1 (70cbc3cc78a9)", kGupRecheckValues),
    row<&Rules::exclusive_clear>(
        Decision::kExclusiveClear, "exclusive-clear", "in what order the exclusive mark is taken from a page",
        "Linux clears the entry first, and since 6.1 says so with barriers (088b8aa537c2)", kExclusiveClearValues),
    row<&Rules::clear_refs_lock>(Decision::kClearRefsLock, "clear-refs-lock",
                                 "how clear_refs holds the mmap lock until it has flushed",
                                 "For reading until 5.10, for writing since 5.11 (29a951dfb3c3)", kClearRefsLockValues),
    row<&Rules::clear_refs_pinned>(Decision::kClearRefsPinned, "clear-refs-pinned",
                                   "what clear_refs does with a pinned page",
                                   "Linux leaves it alone since 5.11 (9348b73c2e1b)", kClearRefsPinnedValues),
    row<&Rules::tlb_flush>(Decision::kTlbFlush, "tlb-flush", "when CPUs forget permissions that were taken away",
                           "A late flush gave CVE-2022-41222; no row here is late everywhere", kTlbFlushValues),
    row<&Rules::prealloc_use>(Decision::kPreallocUse, "prealloc-use", "what becomes of an unused preallocated page",
                              "Linux frees it, because memory policy goes by address", kPreallocUseValues),
    row<&Rules::remap_flush>(Decision::kRemapFlush, "remap-flush",
                             "when CPUs forget the old addresses of pages that mremap moves",
                             "Linux flushed without the page-table locks from 3.2 (7b6efc2bc4f1) to 4.18, which is "
                             "CVE-2018-18281, and holds them since 4.19 (eb66ae030829)",
                             kRemapFlushValues),
    row<&Rules::fork_file>(Decision::kForkFile, "fork-file", "what fork does with a file's page that counts as pinned",
                           "Linux copied it from 5.9-rc8 to 5.18; anonymous pages only since 5.19 (fb3d824d1a46)",
                           kForkFileValues),
    row<&Rules::longterm_file>(
        Decision::kLongtermFile, "longterm-file", "a long-term reference for writing to a disk's file",
        "Linux refuses it since 6.5 (8ac268436e6d, a6e79df92e4a); files in memory are let through",
        kLongtermFileValues),
    row<&Rules::writeback_pinned>(
        Decision::kWritebackPinned, "writeback-pinned", "what writeback takes a page for that a device may still write",
        "Linux takes it for clean: the trouble with get_user_pages (LWN 753027)", kWritebackPinnedValues),
    row<&Rules::dirty_unprepared>(Decision::kDirtyUnprepared, "dirty-unprepared",
                                  "what writeback does with a page that is dirty and was not announced",
                                  "ext4 stopped at a BUG until 5.17, and warns and skips since 5.18 (cc5095747edf)",
                                  kDirtyUnpreparedValues),
    row<&Rules::numa_skip>(Decision::kNumaSkip, "numa-skip", "which pages NUMA-hint protection leaves alone",
                           "Pages that several map until 5.16, pages that anybody holds since 5.17 (80d47f5de5e3), "
                           "which is CVE-2022-48797",
                           kNumaSkipValues),
    row<&Rules::gup_hint>(Decision::kGupHint, "gup-hint",
                          "what taking a reference does with an entry that NUMA-hint protection has closed",
                          "FOLL_NUMA faulted until 6.0; since 6.1 references ignore the hint (474098edac26)",
                          kGupHintValues),
    row<&Rules::ksm_reuse>(Decision::kKsmReuse, "ksm-reuse", "write fault on a page that KSM has merged",
                           "Linux copied until 5.0, reused at count 1 from 5.1 (52d1e606ee73) to 5.8, and copies again "
                           "since 5.9 (1a0cf26323c8)",
                           kKsmReuseValues),
    row<&Rules::ksm_protect>(Decision::kKsmProtect, "ksm-protect",
                             "in which order KSM closes an entry and asks who else holds its page",
                             "Linux clears and flushes first, since there is KSM; the other order would part fast pins "
                             "from their page",
                             kKsmProtectValues),
    row<&Rules::swap_reuse>(Decision::kSwapReuse, "swap-reuse",
                            "write fault on a page in swap: may the writer go on with the page as it is?",
                            "Linux went by mapcounts and slots until 5.17, by counts in 5.18 (c145e0b47c77), and since "
                            "5.19 by what the entry says (1493a1913e34)",
                            kSwapReuseValues),
    row<&Rules::swap_exclusive>(
        Decision::kSwapExclusive, "swap-exclusive", "whether an entry in swap says that the page was its owner's alone",
        "Linux has a bit for it since 5.19 (1493a1913e34), on all processors since 6.3", kSwapExclusiveValues),
    row<&Rules::swap_cache>(Decision::kSwapCache, "swap-cache",
                            "whether the swap cache's reference counts against the only owner of a page",
                            "Rules that go by counts did count it from 5.9 (09854ba94c6a) to 5.17; 5.18 takes the page "
                            "out first (53a05ad9f21d)",
                            kSwapCacheValues),
    row<&Rules::swap_in>(Decision::kSwapIn, "swap-in", "how a page comes from swap",
                         "With a swap device that answers at once Linux went past the cache since 4.15, until 6.8 made "
                         "the second fault wait (13ddaf26be32); all rows have one that does not",
                         kSwapInValues),
    row<&Rules::reclaim_pinned>(Decision::kReclaimPinned, "reclaim-pinned", "which pages reclaim leaves alone",
                                "Linux 2.6.7 to 2.6.12 those with references of others; from then on none, until 5.11 "
                                "leaves pinned ones alone (feb889fb40fa)",
                                kReclaimPinnedValues),
    row<&Rules::reclaim_unmap>(
        Decision::kReclaimUnmap, "reclaim-unmap", "whether reclaim asks about pins once more, the entry gone",
        "Linux has to take the exclusive mark from the page since 5.19 (6c287605fd56)", kReclaimUnmapValues),
    row<&Rules::lazy_free>(Decision::kLazyFree, "lazy-free", "what lets reclaim throw away a page under MADV_FREE",
                           "Linux looks at references too since 5.18 (6c8e2a256915)", kLazyFreeValues),
    row<&Rules::fast_dirty>(
        Decision::kFastDirty, "fast-dirty", "when a fast reference for writing makes its page dirty",
        "In Linux the holder does it, when his device is done; the slow path does it at once", kFastDirtyValues),
    row<&Rules::migrate_unmap>(
        Decision::kMigrateUnmap, "migrate-unmap", "whether migration asks about pins before an entry names the move",
        "Linux has to take the exclusive mark from the page since 5.19 (6c287605fd56)", kMigrateUnmapValues),
    row<&Rules::huge_reuse>(Decision::kHugeReuse, "huge-reuse",
                            "write fault on a huge page: may the owner go on using it?",
                            "Mapcounts from 2.6.38 to 5.17, 4.5 apart, counts in 5.18 (3bff7e3f1f16), and since 5.19 "
                            "ownership (6c287605fd56)",
                            kHugeReuseValues),
    row<&Rules::huge_copy>(
        Decision::kHugeCopy, "huge-copy", "what a write fault does with a huge page that it may not go on with",
        "Linux copied all of it, where there was room, until 5.8; since 5.9 it maps the pages one by one",
        kHugeCopyValues),
    row<&Rules::huge_pins>(Decision::kHugePins, "huge-pins",
                           "what fork copies of a huge page of which a page is pinned",
                           "Linux counts the pins of a large folio as one, and splits it at fork since 5.9-rc8 "
                           "(d042035eaf5f)",
                           kHugePinsValues),
    row<&Rules::hugetlb_reuse>(Decision::kHugetlbReuse, "hugetlb-reuse",
                               "write fault on a hugetlb page: may the owner go on using it?",
                               "Counts at first, mapcounts from 3.0 (0fe6e20b9c4c), by 4.4 of anonymous pages alone "
                               "(37a2140dc214); 5.19 keeps that beside the exclusive mark",
                               kHugetlbReuseValues),
    row<&Rules::hugetlb_fork>(Decision::kHugetlbFork, "hugetlb-fork", "what fork does with a pinned hugetlb page",
                              "Linux copies it since 5.13 (4eae4efa2c29)", kHugetlbForkValues),
    row<&Rules::hugetlb_force>(Decision::kHugetlbForce, "hugetlb-force",
                               "FOLL_FORCE writing into a private hugetlb mapping without write permission",
                               "Linux refuses it since 6.2 (f347454d0341)", kHugetlbForceValues),
    row<&Rules::hugetlb_sequence>(Decision::kHugetlbSequence, "hugetlb-sequence",
                                  "whether a fast pin of hugetlb pages and fork agree by a sequence count",
                                  "Linux's walk over hugetlb joined write_protect_seq in 5.19", kHugetlbSequenceValues),
};

static_assert(kTable.size() == kDecisionCount);

}  // namespace

std::span<const DecisionInfo> decision_table() { return kTable; }

const DecisionInfo& info_of(Decision decision) { return kTable[static_cast<std::size_t>(decision)]; }

std::optional<Decision> find_decision(std::string_view name) {
  for (const DecisionInfo& info : kTable) {
    if (info.name == name) return info.id;
  }
  return std::nullopt;
}

std::string_view decision_name(Decision decision) { return info_of(decision).name; }

std::string_view value_name(Decision decision, const Rules& rules) {
  const DecisionInfo& info = info_of(decision);
  return info.values[info.get(rules)].name;
}

std::string_view value_meaning(Decision decision, const Rules& rules) {
  const DecisionInfo& info = info_of(decision);
  return info.values[info.get(rules)].meaning;
}

}  // namespace cowherd
