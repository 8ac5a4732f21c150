#include "cow/decision_table.hpp"

#include <array>
#include <cstddef>

#include "cow/decision_values.hpp"

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
    row<&Rules::longterm_movable>(
        Decision::kLongtermMovable, "longterm-movable", "a long-term reference to a page in movable memory",
        "Linux moves the page out first since 5.13 (d1e153fea2a8); out of CMA, which is not told apart here, since 5.1",
        kLongtermMovableValues),
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
                           "what fork copies of a huge page or a large folio of which a page is pinned",
                           "Linux counts the pins of a large folio as one, and splits it at fork since 5.9-rc8 "
                           "(d042035eaf5f)",
                           kHugePinsValues),
    row<&Rules::huge_touch>(
        Decision::kHugeTouch, "huge-touch", "what a reference for reading leaves in the entry of the huge zero page",
        "Linux made it dirty until 4.15, which is CVE-2017-1000405 since 4.10 (a8f97366452e)", kHugeTouchValues),
    row<&Rules::huge_split>(Decision::kHugeSplit, "huge-split",
                            "what who splits a huge page that others map too counts first",
                            "Linux let mapcounts be read while a split changed them from 4.6 to 5.7.4, which is "
                            "CVE-2020-29368 (c444eb564fb1)",
                            kHugeSplitValues),
    row<&Rules::huge_zero>(Decision::kHugeZero, "huge-zero", "what a write fault does with the huge zero page",
                           "Linux replaced it as a whole until 5.8, splits it from 5.9 on, and replaces it again "
                           "since 6.13",
                           kHugeZeroValues),
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
    row<&Rules::uffd_fork>(
        Decision::kUffdFork, "uffd-fork", "which pages of a child userfaultfd write-protects",
        "Linux looked at the parent's mapping from 5.7 on, which is CVE-2023-4732, and at the child's "
        "since 5.14 (8f34f1eac382)",
        kUffdForkValues),
    row<&Rules::uffd_remap>(Decision::kUffdRemap, "uffd-remap",
                            "what a moved page keeps of userfaultfd's write protection where its registration does not "
                            "go along",
                            "Linux kept the mark until 6.12, which is CVE-2025-21696, and drops it since 6.13",
                            kUffdRemapValues),
    row<&Rules::uffd_flush>(
        Decision::kUffdFlush, "uffd-flush", "when CPUs hear of a page that userfaultfd write-protects",
        "Until 5.11 a write fault could come before; since 5.12 it flushes first (6ce64428d620)", kUffdFlushValues),
    row<&Rules::uffd_continue>(
        Decision::kUffdContinue, "uffd-continue", "which entries UFFDIO_CONTINUE makes dirty",
        "All of them since 5.16 (9ae0f87d009c), which FORCE writes took for a proof of their own "
        "copy until 5.19.5: CVE-2022-2590",
        kUffdContinueValues),
    row<&Rules::uffd_wp_file>(
        Decision::kUffdWpFile, "uffd-wp-file", "whether userfaultfd write-protects pages of files in memory",
        "Linux does since 5.19 (b1f9e876862d); a hole in the file and its end leave the mark, and "
        "MADV_DONTNEED does (6.18)",
        kUffdWpFileValues),
    row<&Rules::uffd_wp_absent>(
        Decision::kUffdWpAbsent, "uffd-wp-absent", "whether userfaultfd write-protects private memory where no page is",
        "Linux does since 6.4 (2bad466cc9d9), for a handler that asks for it", kUffdWpAbsentValues),
    row<&Rules::ksm_break>(Decision::kKsmBreak, "ksm-break", "as what KSM gives a page of its own back",
                           "As a write until 6.1; since 6.2 as a read that wants a page of its own (6cce3314b928)",
                           kKsmBreakValues),
    row<&Rules::folio_reuse>(
        Decision::kFolioReuse, "folio-reuse",
        "write fault on a page of a large folio that is not exclusive: what is asked of the others",
        "Linux 4.6 to 5.8 looked for the largest mapcount, then for a count of one until 6.8, "
        "copied from 6.9 on, and asks who maps it since 6.15 (1da190f4d0a6)",
        kFolioReuseValues),
    row<&Rules::folio_swap>(
        Decision::kFolioSwap, "folio-swap", "what goes to swap with its neighbours, in one piece",
        "Linux split huge pages first until 4.12, in the swap cache in 4.13, and writes them whole since 4.14 "
        "(bd4c82c22c36); other large folios since 6.10",
        kFolioSwapValues),
    row<&Rules::lazy_restore>(
        Decision::kLazyRestore, "lazy-restore",
        "what the entries of a large folio under MADV_FREE permit where reclaim puts them back",
        "Linux clears them in batches since 6.15, and gave all the first one's write bit until 6.19, which is "
        "CVE-2026-31398",
        kLazyRestoreValues),
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
