#pragma once

// Long file: every decision with its values, in one place for who embeds the library.

#include <cstdint>

namespace cowherd {

// Each enum is one decision that a kernel makes about sharing a private page. The first enumerator of each is what
// the simplest kernel does. Names as written in `--rules NAME,decision=value` are in the table of rules_text.cpp.

/// Write fault on a present read-only anonymous page: may the faulting process go on using the page as it is?
enum class Reuse : std::uint8_t {
  /// Never: every such fault copies.
  kNever,
  /// The page's reference count is one: nobody else of any sort holds it.
  kCount,
  /// One page-table entry maps it, whatever other references there are.
  kMapcount,
  /// It is marked exclusive; else as kCount, and then it becomes exclusive.
  kExclusive,
  /// It stays with the process that first owned it, and the other mappers are given copies ("directed COW").
  kDirected,
};

/// What the write fault does when somebody else holds the page lock.
enum class PageLock : std::uint8_t { kTryElseCopy, kSleep };

/// What fork does with an anonymous page that counts as pinned.
enum class ForkPinned : std::uint8_t {
  /// Shares it write-protected like any other.
  kShare,
  /// Gives the child its own copy at once.
  kCopy,
  /// As kCopy if the page is also marked exclusive; shares it otherwise.
  kCopyExclusive,
  /// Copies every page of a mapping that holds a pinned page.
  kCopyEntry,
  /// Copies every page there is, pinned or not.
  kCopyAll,
  /// Fails with EBUSY.
  kRefuse,
  /// Waits until nothing is pinned.
  kWait,
};

/// Whether fork looks for pins at all.
enum class ForkGate : std::uint8_t { kAlways, kHasPinned };

/// What counts as "may be pinned".
enum class PinnedTest : std::uint8_t {
  kNever,
  /// References plus 1023 for each pin reach 1024: false positives are possible.
  kBiased,
  /// The page's own number of pins is not zero.
  kExact,
  /// A sticky mark left by any reference taken for writing, while more references than mappings are held.
  kGupMark,
};

/// Which references taken through an address are counted as pins.
enum class PinCount : std::uint8_t { kPin, kPinAndGet };

/// How the source's entry is treated when the child gets a copy.
enum class ForkSource : std::uint8_t { kUntouched, kProtectThenRestore };

/// A further condition for the early copy.
enum class CopyOnlyIf : std::uint8_t { kAlways, kMappedOnceAndDirty, kWritableEntry };

/// Where the early copy books reference, mapcount and reverse map of the entry that it installs.
enum class CopyAccounting : std::uint8_t { kNewPage, kSourcePage };

/// Whether the early copy gives the new page a reverse map.
enum class CopyRmap : std::uint8_t { kChild, kNone };

/// What the early copy's entry says: dirty and writable where the mapping is, or the bare page protection.
enum class CopyEntry : std::uint8_t { kDirtyWritable, kProtectionOnly };

/// How the early copy gets its page.
enum class CopyAlloc : std::uint8_t {
  /// Leaves the page-table lock, allocates, starts again at the same entry.
  kPrealloc,
  /// Under the page-table lock, from a reserve that does not sleep.
  kAtomic,
  /// Under the page-table lock, with an allocation that may sleep.
  kUnderLock,
};

/// What the early copy does when it gets no page.
enum class CopyFailure : std::uint8_t { kUnwind, kReturnLocked };

/// What taking a reference for reading does with a page that a later write of the owner would replace.
enum class GupRead : std::uint8_t {
  kPlain,
  /// Any reference to a copy-on-write mapping is taken as if for writing.
  kWriteFault,
  /// A counted pin makes a shared anonymous page the owner's own first.
  kUnshareAnon,
  /// As kUnshareAnon; and a long-term one also replaces the zero page.
  kUnshareAny,
  /// Any reference, counted or not, first makes a shared page or the zero page the owner's own.
  kUnshareAlways,
  /// A shared page stays; the write fault that would replace it waits until the reader has let go. A counted pin
  /// replaces the zero page at once: the kernels that do this have no zero page.
  kBlockWriter,
};

/// When FOLL_FORCE may write through a read-only entry.
enum class GupForce : std::uint8_t {
  /// After a write fault the look-up is repeated as if for reading.
  kRetryAsRead,
  /// The entry is dirty.
  kDirtyEntry,
  /// This call broke copy-on-write itself and the entry is dirty.
  kDirtyAfterFault,
  /// The page is marked exclusive.
  kExclusive,
};

/// Whether references to the zero page are counted.
enum class ZeroPage : std::uint8_t { kCounted, kUncounted };

/// What taking one reference too many does.
enum class RefOverflow : std::uint8_t { kWrap, kRefuse };

/// What mprotect to writable does with an entry whose page is exclusive.
enum class ProtectUpgrade : std::uint8_t { kFaultLater, kMapWritable };

/// How fork and a fast pin, which takes no lock, keep out of each other's way.
enum class ForkSequence : std::uint8_t {
  /// They do not: a pin may come between fork's test and its write protection.
  kNone,
  /// Fork holds a sequence count; a fast pin that met it lets go and starts again with locks.
  kCounted,
};

/// What a fast pin reads again once it holds its reference.
enum class GupRecheck : std::uint8_t {
  kNone,
  /// The entry.
  kEntry,
  /// The entry, and that of the table that holds it.
  kEntryAndTable,
};

/// In what order whoever takes the exclusive mark from a page clears its entry and asks about pins.
enum class ExclusiveClear : std::uint8_t { kTestThenClear, kClearThenTest };

/// How clear_refs holds the mmap lock while it write-protects and until it has flushed.
enum class ClearRefsLock : std::uint8_t { kRead, kWrite };

/// What clear_refs does with a page that counts as pinned.
enum class ClearRefsPinned : std::uint8_t { kProtect, kSkip };

/// When an operation that took permissions away makes the CPUs forget them.
enum class TlbFlush : std::uint8_t {
  /// Before anybody else can act on the change.
  kBeforeUnlock,
  /// Once it has dropped its locks.
  kAfterUnlock,
};

/// What fork does with a preallocated page whose entry no longer needs it.
enum class PreallocUse : std::uint8_t {
  /// Frees it: the next entry's page comes by that address's own policy.
  kFreeUnused,
  /// Keeps it for the next entry that needs one.
  kKeepForNext,
};

/// When mremap makes the CPUs forget the old addresses of the pages that it moves.
enum class RemapFlush : std::uint8_t {
  /// Before anybody reaches a page by its new address, and with the locks of both page tables held.
  kEarly,
  /// Once all pages have moved, with the mmap lock alone.
  kLate,
};

/// What fork does with a page of a file, in a private mapping, that counts as pinned.
enum class ForkFile : std::uint8_t {
  /// The child maps it too.
  kShare,
  /// The child gets a copy of its own at once, as of an anonymous page.
  kCopy,
};

/// What a long-term reference for writing to a shared mapping of a file gets where the file system has to hear of every
/// write.
enum class LongtermFile : std::uint8_t {
  kAllow,
  /// EFAULT.
  kRefuse,
};

/// What a long-term reference does with a page in memory that is to hold only what can be moved.
enum class LongtermMovable : std::uint8_t {
  /// Holds it there, and nobody can move it for as long.
  kInPlace,
  /// Has it moved first.
  kMigrate,
};

/// What writeback takes a page for that a device may still be writing.
enum class WritebackPinned : std::uint8_t {
  /// For clean, once its bytes are on their way: what is written after that has to be said again.
  kClean,
  /// For dirty still: it is written out, and again until nobody holds it.
  kKeepDirty,
};

/// What writeback does with a page that was marked dirty, at the end of a reference say, without the file system having
/// heard of it since the page was last clean.
enum class DirtyUnprepared : std::uint8_t {
  /// A check fails in the file system.
  kBug,
  /// Takes it for clean and does not write it out.
  kSkip,
  /// Writes it out like any other.
  kWrite,
};

/// Which pages NUMA-hint protection leaves alone.
enum class NumaSkip : std::uint8_t {
  /// Those that more than one entry maps.
  kShared,
  /// Those that anybody else holds, in whatever way.
  kHeld,
};

/// What taking a reference does with an entry that NUMA-hint protection has closed.
enum class GupHint : std::uint8_t {
  /// Faults on it first, as an access would, unless forced.
  kFault,
  /// Takes the page as it is.
  kFollow,
};

/// Write fault on a page that KSM has merged.
enum class KsmReuse : std::uint8_t {
  /// Always copies.
  kNever,
  /// The last one who has it goes on using it.
  kCount,
};

/// In which order KSM closes an entry and asks who else holds its page.
enum class KsmProtect : std::uint8_t { kTestThenClear, kClearThenTest };

/// Write fault on a page that is in swap: may the faulting process be given the page as it is?
enum class SwapReuse : std::uint8_t {
  /// Never: it is mapped read-only, and the write fault that follows decides.
  kNever,
  /// Nobody else has a reference to it.
  kCount,
  /// One entry maps it or names its slot, whatever other references there are.
  kMapcount,
  /// The entry says that the page belongs to one address space; else as kCount.
  kExclusive,
};

/// What an entry in swap says of whose the page is.
enum class SwapExclusive : std::uint8_t {
  kForgotten,
  /// It keeps the exclusive mark, which fork takes from it as from a page.
  kKept,
};

/// Whether the reference of the swap cache counts against the owner of a page that he writes.
enum class SwapCache : std::uint8_t {
  kCounted,
  /// It does not: where no other entry names the slot, the page leaves the swap cache first.
  kLeft,
};

/// How a page comes from swap.
enum class SwapIn : std::uint8_t {
  /// By the swap cache, where a second fault finds it.
  kThroughCache,
  /// Past it, where one entry alone names the slot: two faults may each read a page of their own.
  kPastCache,
};

/// Which pages reclaim leaves alone before it touches them.
enum class ReclaimPinned : std::uint8_t {
  /// None: a pinned page loses its mapping like any other, and stays in the swap cache.
  kUnmap,
  /// Those with a reference that is no mapping's.
  kSkipReferenced,
  /// Those that may be pinned.
  kSkip,
};

/// Whether reclaim has to be given the exclusive mark before an entry may go.
enum class ReclaimUnmap : std::uint8_t {
  kAnyway,
  /// It asks about pins once the entry is gone, and puts it back where the page may be pinned.
  kTryShare,
};

/// What lets reclaim throw a page away whose owner has said MADV_FREE.
enum class LazyFree : std::uint8_t {
  /// It was not written since.
  kNotDirty,
  /// That, and nobody but its mappings refers to it.
  kUnreferenced,
};

/// When a reference for writing that was taken without locks says that its page is written.
enum class FastDirty : std::uint8_t {
  /// When it is given back.
  kAtRelease,
  /// When it is taken.
  kAtOnce,
};

/// Whether migration has to be given the exclusive mark before an entry may become a migration entry.
enum class MigrateUnmap : std::uint8_t {
  /// Whether somebody holds the page shows only once all entries are gone, and they come back then.
  kAnyway,
  /// It asks about pins once the entry is gone, and puts it back where the page may be pinned.
  kTryShare,
};

/// Write fault on a huge entry without write permission: may the address space go on with the huge page as it is?
enum class HugeReuse : std::uint8_t {
  /// One huge entry maps it, and no other entry any of its pages, whatever other references there are.
  kMapcount,
  /// That, and nobody else holds any of its pages.
  kCount,
  /// One huge entry maps it, and all its pages are marked exclusive; else as kCount.
  kExclusive,
};

/// What a write fault does with a huge page that it may not go on with.
enum class HugeCopy : std::uint8_t {
  /// Copies all of it, where there is room for another one.
  kWhole,
  /// Maps its pages one by one, and copies the one that is written.
  kSplit,
};

/// What a write fault does with the huge zero page.
enum class HugeZero : std::uint8_t {
  /// Maps the zero page everywhere, and copies the page that is written.
  kSplit,
  /// Maps a huge page of zeros in its place, where there is room for one.
  kWhole,
};

/// What who splits a huge page that others map too counts first.
enum class HugeSplit : std::uint8_t {
  /// His huge entry, which is gone: for a moment the pages have fewer mappings than there are.
  kCountsLate,
  /// His small entries.
  kCountsFirst,
};

/// What a reference for reading leaves in the entry of the huge zero page.
enum class HugeTouch : std::uint8_t {
  /// It is dirty, as what FORCE copied for itself is.
  kDirty,
  kAccessed,
};

/// What fork copies of a huge page, or of a large folio, of which some page is to be copied.
enum class HugePins : std::uint8_t {
  /// All its pages: the pins of all are one count.
  kWhole,
  /// Those pages that are pinned.
  kEach,
};

/// What a write fault asks a large folio besides the page of it that is written, where that is not marked exclusive.
enum class FolioReuse : std::uint8_t {
  /// Nothing: each page stands for itself.
  kPage,
  /// Whether more than one entry maps any of its pages.
  kMapcount,
  /// Whether there is any reference to it but one mapping of one page.
  kCount,
  /// The writer always gets a copy.
  kNever,
  /// Whether one address space alone maps it, more than one page of it, and nobody else has a reference.
  kOwner,
};

/// What goes to swap with its neighbours, in one piece.
enum class FolioSwap : std::uint8_t {
  /// Nothing: what came in one piece goes page by page.
  kSplit,
  /// What a huge entry maps.
  kHuge,
  /// That, and large folios.
  kWhole,
};

/// What the entries of a large folio under MADV_FREE permit where reclaim, which has cleared them together, puts them
/// back.
enum class LazyRestore : std::uint8_t {
  /// What each of them permitted.
  kEach,
  /// All of them what the first one did.
  kFirst,
};

/// Write fault on a hugetlb page without write permission: may the address space go on with it as it is?
enum class HugetlbReuse : std::uint8_t {
  /// Nobody else has a reference.
  kCount,
  /// One entry maps it, whatever other references there are, and whether it is a file's or not.
  kMapcount,
  /// The same, of anonymous pages alone.
  kMapcountAnon,
  /// It is marked exclusive; else as kCount, of anonymous pages alone.
  kExclusive,
};

/// What fork does with a hugetlb page that counts as pinned.
enum class HugetlbFork : std::uint8_t {
  /// Shares it, whatever is decided about small pages.
  kShare,
  /// As with a small page.
  kAsSmall,
};

/// Whether FOLL_FORCE writes into a private hugetlb mapping that may not be written.
enum class HugetlbForce : std::uint8_t {
  /// Yes, and the entry lets everybody of the address space write from then on.
  kWrite,
  kRefuse,
};

/// Whether a fast pin of hugetlb pages looks at fork's sequence count, where others do.
enum class HugetlbSequence : std::uint8_t { kIgnored, kAsSmall };

/// Which entries of a child say that userfaultfd write-protects their page.
enum class UffdFork : std::uint8_t {
  /// Those of the parent, wherever the parent's memory is registered; early copies forget it.
  kByParent,
  /// Those of the parent, early copies too, wherever the child's memory is registered.
  kByChild,
};

/// What a page that mremap moves keeps of userfaultfd's write protection where its registration stays behind.
enum class UffdRemap : std::uint8_t { kKeep, kDrop };

/// When CPUs hear that userfaultfd has write-protected a page.
enum class UffdFlush : std::uint8_t {
  /// After the lock of its table is gone: a write fault may copy the page before.
  kAfterUnlock,
  kBeforeUnlock,
};

/// Which entries UFFDIO_CONTINUE makes dirty.
enum class UffdContinue : std::uint8_t { kDirtyIfWritable, kDirty };

/// Whether userfaultfd write-protects pages of files in memory, which may be unmapped at any time.
enum class UffdWpFile : std::uint8_t {
  kRefuse,
  /// A marker keeps the place of what is not mapped.
  kMarker,
};

/// Whether userfaultfd's handler can write-protect what is not there yet, if it asks for that.
enum class UffdWpAbsent : std::uint8_t { kRefuse, kMarker };

/// As what KSM gives a page of its own back.
enum class KsmBreak : std::uint8_t {
  /// As a write: one that userfaultfd has write-protected stays merged.
  kWriteFault,
  kUnshare,
};

/// The decisions of one kernel: data, compared and copied as such.
struct Rules {
  Reuse reuse = Reuse::kExclusive;
  PageLock page_lock = PageLock::kTryElseCopy;
  ForkPinned fork_pinned = ForkPinned::kCopyExclusive;
  ForkGate fork_gate = ForkGate::kHasPinned;
  PinnedTest pinned = PinnedTest::kExact;
  PinCount pin_count = PinCount::kPinAndGet;
  ForkSource fork_source = ForkSource::kUntouched;
  CopyOnlyIf copy_only_if = CopyOnlyIf::kAlways;
  CopyAccounting copy_accounting = CopyAccounting::kNewPage;
  CopyRmap copy_rmap = CopyRmap::kChild;
  CopyEntry copy_entry = CopyEntry::kDirtyWritable;
  CopyAlloc copy_alloc = CopyAlloc::kPrealloc;
  CopyFailure copy_failure = CopyFailure::kUnwind;
  GupRead gup_read = GupRead::kUnshareAny;
  GupForce gup_force = GupForce::kExclusive;
  ZeroPage zero_page = ZeroPage::kUncounted;
  RefOverflow ref_overflow = RefOverflow::kRefuse;
  ProtectUpgrade protect_upgrade = ProtectUpgrade::kMapWritable;
  ForkSequence fork_sequence = ForkSequence::kCounted;
  GupRecheck gup_recheck = GupRecheck::kEntryAndTable;
  ExclusiveClear exclusive_clear = ExclusiveClear::kClearThenTest;
  ClearRefsLock clear_refs_lock = ClearRefsLock::kWrite;
  ClearRefsPinned clear_refs_pinned = ClearRefsPinned::kSkip;
  TlbFlush tlb_flush = TlbFlush::kBeforeUnlock;
  PreallocUse prealloc_use = PreallocUse::kFreeUnused;
  RemapFlush remap_flush = RemapFlush::kEarly;
  ForkFile fork_file = ForkFile::kShare;
  LongtermFile longterm_file = LongtermFile::kAllow;
  LongtermMovable longterm_movable = LongtermMovable::kMigrate;
  WritebackPinned writeback_pinned = WritebackPinned::kKeepDirty;
  DirtyUnprepared dirty_unprepared = DirtyUnprepared::kWrite;
  NumaSkip numa_skip = NumaSkip::kHeld;
  GupHint gup_hint = GupHint::kFollow;
  KsmReuse ksm_reuse = KsmReuse::kNever;
  KsmProtect ksm_protect = KsmProtect::kClearThenTest;
  SwapReuse swap_reuse = SwapReuse::kExclusive;
  SwapExclusive swap_exclusive = SwapExclusive::kKept;
  SwapCache swap_cache = SwapCache::kLeft;
  SwapIn swap_in = SwapIn::kThroughCache;
  ReclaimPinned reclaim_pinned = ReclaimPinned::kSkip;
  ReclaimUnmap reclaim_unmap = ReclaimUnmap::kTryShare;
  LazyFree lazy_free = LazyFree::kUnreferenced;
  FastDirty fast_dirty = FastDirty::kAtOnce;
  MigrateUnmap migrate_unmap = MigrateUnmap::kTryShare;
  HugeReuse huge_reuse = HugeReuse::kExclusive;
  HugeCopy huge_copy = HugeCopy::kSplit;
  HugePins huge_pins = HugePins::kEach;
  HugeTouch huge_touch = HugeTouch::kAccessed;
  HugeSplit huge_split = HugeSplit::kCountsFirst;
  HugeZero huge_zero = HugeZero::kWhole;
  HugetlbReuse hugetlb_reuse = HugetlbReuse::kExclusive;
  HugetlbFork hugetlb_fork = HugetlbFork::kAsSmall;
  HugetlbForce hugetlb_force = HugetlbForce::kRefuse;
  HugetlbSequence hugetlb_sequence = HugetlbSequence::kAsSmall;
  UffdFork uffd_fork = UffdFork::kByChild;
  UffdRemap uffd_remap = UffdRemap::kDrop;
  UffdFlush uffd_flush = UffdFlush::kBeforeUnlock;
  UffdContinue uffd_continue = UffdContinue::kDirtyIfWritable;
  UffdWpFile uffd_wp_file = UffdWpFile::kMarker;
  UffdWpAbsent uffd_wp_absent = UffdWpAbsent::kMarker;
  KsmBreak ksm_break = KsmBreak::kUnshare;
  FolioReuse folio_reuse = FolioReuse::kPage;
  FolioSwap folio_swap = FolioSwap::kWhole;
  LazyRestore lazy_restore = LazyRestore::kEach;

  bool operator==(const Rules&) const = default;
};

/// One name for each decision, in the order of the members of Rules.
enum class Decision : std::uint8_t {
  kReuse,
  kPageLock,
  kForkPinned,
  kForkGate,
  kPinned,
  kPinCount,
  kForkSource,
  kCopyOnlyIf,
  kCopyAccounting,
  kCopyRmap,
  kCopyEntry,
  kCopyAlloc,
  kCopyFailure,
  kGupRead,
  kGupForce,
  kZeroPage,
  kRefOverflow,
  kProtectUpgrade,
  kForkSequence,
  kGupRecheck,
  kExclusiveClear,
  kClearRefsLock,
  kClearRefsPinned,
  kTlbFlush,
  kPreallocUse,
  kRemapFlush,
  kForkFile,
  kLongtermFile,
  kLongtermMovable,
  kWritebackPinned,
  kDirtyUnprepared,
  kNumaSkip,
  kGupHint,
  kKsmReuse,
  kKsmProtect,
  kSwapReuse,
  kSwapExclusive,
  kSwapCache,
  kSwapIn,
  kReclaimPinned,
  kReclaimUnmap,
  kLazyFree,
  kFastDirty,
  kMigrateUnmap,
  kHugeReuse,
  kHugeCopy,
  kHugePins,
  kHugeTouch,
  kHugeSplit,
  kHugeZero,
  kHugetlbReuse,
  kHugetlbFork,
  kHugetlbForce,
  kHugetlbSequence,
  kUffdFork,
  kUffdRemap,
  kUffdFlush,
  kUffdContinue,
  kUffdWpFile,
  kUffdWpAbsent,
  kKsmBreak,
  kFolioReuse,
  kFolioSwap,
  kLazyRestore,
};
inline constexpr std::uint8_t kDecisionCount = 64;

/// The `cowherd` row: the default of every tool. Equal to Rules{}.
inline constexpr Rules kCowherdRules{};

}  // namespace cowherd
