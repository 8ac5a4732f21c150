#pragma once

#include "cow/decision_table.hpp"

namespace cowherd {

// What each decision may be, as texts and explanations name it: in the order of the enumerators of rules.hpp.

inline constexpr DecisionValue kReuseValues[] = {
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

inline constexpr DecisionValue kPageLockValues[] = {
    {"try-else-copy", "a page lock that somebody holds for a moment costs the owner a copy"},
    {"sleep", "the fault waits for the page lock and then decides"},
};

inline constexpr DecisionValue kForkPinnedValues[] = {
    {"share", "a pinned page is write-protected and shared like any other: the next write decides who keeps it"},
    {"copy", "a pinned page is copied for the child at once and stays writable in the parent"},
    {"copy-exclusive", "a pinned page is copied if it is exclusive; a shared one is shared on"},
    {"copy-entry", "one pinned page makes fork copy every page of its mapping"},
    {"copy-all", "fork copies everything, so nothing is ever shared"},
    {"refuse", "fork fails with EBUSY while a page is pinned"},
    {"wait", "fork waits until no page is pinned, for ever if the pin is for ever"},
};

inline constexpr DecisionValue kForkGateValues[] = {
    {"always", "every fork asks every page"},
    {"has-pinned", "fork asks pages only in an address space that has pinned one before"},
};

inline constexpr DecisionValue kPinnedValues[] = {
    {"never", "pins look like any other reference, so nobody can act on them"},
    {"biased", "a pin counts 1024 references, so 1024 ordinary ones look like a pin"},
    {"exact", "the page has its own count of pins"},
    {"gup-mark",
     "a sticky mark says that a reference was taken for writing; it counts while references exceed "
     "mappings"},
};

inline constexpr DecisionValue kPinCountValues[] = {
    {"pin", "only FOLL_PIN is counted: a FOLL_GET reference is protected from nothing"},
    {"pin-and-get", "FOLL_GET references taken through an address are counted and protected like pins"},
};

inline constexpr DecisionValue kForkSourceValues[] = {
    {"untouched", "the entry that is copied early never loses its write permission"},
    {"protect-then-restore",
     "the entry is write-protected first and restored after the copy: dirty and accessed bits "
     "set in between are lost, and other threads fault on it"},
};

inline constexpr DecisionValue kCopyOnlyIfValues[] = {
    {"always", "every page that counts as pinned is copied early"},
    {"mapped-once-and-dirty",
     "only a page with mapcount==1 behind a dirty entry is copied early, so a pinned page that "
     "is already shared, or clean, is shared on"},
    {"writable-entry",
     "only a page behind a writable entry is copied early, so a pinned page in read-only memory is "
     "shared, and the device's writes reach the child"},
};

inline constexpr DecisionValue kCopyAccountingValues[] = {
    {"new-page", "reference and mapcount of the early copy are booked on the page that the child maps"},
    {"source-page",
     "they are booked on the parent's page, which is then never free or exclusive again, and the "
     "child's page goes below zero at unmap"},
};

inline constexpr DecisionValue kCopyRmapValues[] = {
    {"child", "the early copy can be found through the child's mapping"},
    {"none", "the early copy has no reverse map: reclaim and migration cannot find who maps it"},
};

inline constexpr DecisionValue kCopyEntryValues[] = {
    {"dirty-writable", "the child's entry says that the page was written, and may be written on"},
    {"protection-only", "the child's entry is clean, so reclaim may drop the page as never written"},
};

inline constexpr DecisionValue kCopyAllocValues[] = {
    {"prealloc", "fork leaves the page-table lock to allocate and starts again at the same entry"},
    {"atomic", "fork allocates under the page-table lock from what can be had without sleeping"},
    {"under-lock", "fork allocates under the page-table lock and may sleep there"},
};

inline constexpr DecisionValue kCopyFailureValues[] = {
    {"unwind", "a fork that gets no page undoes the child and fails with ENOMEM"},
    {"return-locked", "a fork that gets no page returns with the page-table lock held"},
};

inline constexpr DecisionValue kGupReadValues[] = {
    {"plain", "a reader is given the page as it is: the owner's next write may go elsewhere"},
    {"write-fault", "a reader breaks copy-on-write as a writer would, on every private mapping"},
    {"unshare-anon", "a counted read pin first makes a shared anonymous page the owner's own"},
    {"unshare-any", "as unshare-anon, and a long-term read pin also replaces the zero page"},
    {"unshare-always", "any read reference, get or pin, first makes a shared page or the zero page the owner's own"},
    {"block-writer", "a read pin leaves a shared page shared, and the write that would replace it waits for the unpin"},
};

inline constexpr DecisionValue kGupForceValues[] = {
    {"retry-as-read", "after one write fault the look-up is repeated as a read: whatever is mapped by then is written"},
    {"dirty-entry",
     "a dirty entry is taken for a private copy, but fork keeps the dirty bit of entries that it shares"},
    {"dirty-after-fault", "the entry must be dirty and this call must have faulted on it"},
    {"exclusive", "the page must be exclusive, which nothing but owning it can make it"},
};

inline constexpr DecisionValue kZeroPageValues[] = {
    {"counted", "references to the zero page are counted, and can overflow"},
    {"uncounted", "the zero page is never counted nor pinned"},
};

inline constexpr DecisionValue kRefOverflowValues[] = {
    {"wrap", "the count wraps to zero and the page is freed under its holders"},
    {"refuse", "a reference above the limit fails with ENOMEM"},
};

inline constexpr DecisionValue kProtectUpgradeValues[] = {
    {"fault-later", "entries stay read-only and the next write fault decides, page lock and counts included"},
    {"map-writable", "an entry with an exclusive page becomes writable at once"},
};

inline constexpr DecisionValue kForkSequenceValues[] = {
    {"none", "a fast pin may come between fork's test for pins and its write protection, and is then written behind"},
    {"counted", "a fast pin that met a fork lets go and starts again behind the mmap lock"},
};

inline constexpr DecisionValue kGupRecheckValues[] = {
    {"none", "a fast pin keeps whatever page the entry named before it had its reference"},
    {"entry", "a fast pin reads the entry again, but not whether its table is still in use"},
    {"entry-and-table", "a fast pin reads the entry and its table's entry again, and lets go if either changed"},
};

inline constexpr DecisionValue kExclusiveClearValues[] = {
    {"test-then-clear", "a fast pin may come between the test for pins and the entry's clearing"},
    {"clear-then-test", "with the entry cleared no new pin can come, and a pin that came is seen"},
};

inline constexpr DecisionValue kClearRefsLockValues[] = {
    {"read", "faults run while other CPUs still remember write permission: what they write goes to the old page"},
    {"write", "no fault runs before every CPU has forgotten the write permission"},
};

inline constexpr DecisionValue kClearRefsPinnedValues[] = {
    {"protect", "a pinned page is write-protected, and the next write may part it from its pin"},
    {"skip", "a pinned page keeps its write permission, and counts as written for as long"},
};

inline constexpr DecisionValue kTlbFlushValues[] = {
    {"before-unlock", "no other agent acts on a change while some CPU still uses what was there before"},
    {"after-unlock", "others may act on a change while some CPU still uses what was there before"},
};

inline constexpr DecisionValue kPreallocUseValues[] = {
    {"free-unused", "a preallocated page serves the address that asked for it, or nobody"},
    {"keep-for-next", "a preallocated page may serve another address than the one whose policy chose it"},
};

inline constexpr DecisionValue kRemapFlushValues[] = {
    {"early", "no CPU uses the old address of a page when somebody reaches it by the new one"},
    {"late", "CPUs use the old address after the page has moved, and after somebody has taken it from the new one"},
};

inline constexpr DecisionValue kForkFileValues[] = {
    {"share", "the child maps the file's page too, and goes on following the file"},
    {"copy", "a file's page that counts as pinned is copied for the child, which stops following the file"},
};

inline constexpr DecisionValue kLongtermFileValues[] = {
    {"allow", "a device may hold a page of a disk's file for writing for as long as it likes"},
    {"refuse", "a long-term reference for writing to a shared mapping of a disk's file is EFAULT"},
};

inline constexpr DecisionValue kLongtermMovableValues[] = {
    {"in-place", "a page in movable memory that a device holds for long stays there: the memory cannot be taken out"},
    {"migrate", "a page in movable memory is moved to normal memory before a device holds it for long, or ENOMEM"},
};

inline constexpr DecisionValue kWritebackPinnedValues[] = {
    {"clean",
     "a page that a device may still write is clean once it is written out: what comes after is lost, or meets a "
     "file system that was not told"},
    {"keep-dirty", "a page that a device may still write stays dirty, and is written out again until nobody holds it"},
};

inline constexpr DecisionValue kDirtyUnpreparedValues[] = {
    {"bug", "a page that is dirty without the file system's knowing stops the machine"},
    {"skip", "it is taken for clean, and what was written is lost"},
    {"write", "it is written out like any other"},
};

inline constexpr DecisionValue kNumaSkipValues[] = {
    {"shared", "a page that a device holds is protected too, and the next write may part it from its pin"},
    {"held", "a page with any reference besides its mapping is left alone"},
};

inline constexpr DecisionValue kGupHintValues[] = {
    {"fault", "a reference is an access: it faults, and the hint is used up"},
    {"follow", "a reference takes the page and leaves the hint to the next access"},
};

inline constexpr DecisionValue kKsmReuseValues[] = {
    {"never", "whoever writes a merged page gets a copy, even the last who has it"},
    {"count", "the last who has a merged page goes on using it"},
};

inline constexpr DecisionValue kKsmProtectValues[] = {
    {"test-then-clear", "a fast pin may come between the test and the entry's clearing, and is parted from its page"},
    {"clear-then-test", "with the entry cleared no new reference can come, and one that came is seen"},
};

inline constexpr DecisionValue kSwapReuseValues[] = {
    {"never", "a page that comes back from swap is mapped read-only, and the write fault after it decides"},
    {"count", "the page is the writer's if nobody else has a reference to it: one that was taken before costs a copy"},
    {"mapcount",
     "the page is the writer's if no other entry maps it or names its slot, and so is what somebody else's reference "
     "still reads"},
    {"exclusive", "the page is the writer's if its entry says that it was his alone; others need count==1"},
};

inline constexpr DecisionValue kSwapExclusiveValues[] = {
    {"forgotten", "an entry in swap does not say whose the page was: who held it by a reference may lose his owner"},
    {"kept", "an entry in swap keeps the exclusive mark until fork shares it"},
};

inline constexpr DecisionValue kSwapCacheValues[] = {
    {"counted", "a page that is still in the swap cache looks shared to its only owner, who copies"},
    {"left", "the page leaves the swap cache where no other entry names its slot, and only then is counted"},
};

inline constexpr DecisionValue kSwapInValues[] = {
    {"through-cache", "every page comes by the swap cache, so two faults find one page"},
    {"past-cache",
     "a slot that one entry names is read past the swap cache: the slower of two faults may put an old page in the "
     "place of the newer one"},
};

inline constexpr DecisionValue kReclaimPinnedValues[] = {
    {"unmap", "a pinned page goes into the swap cache and loses its mapping, and the owner's next write may copy it"},
    {"skip-referenced", "a page with a reference that is no mapping's stays mapped"},
    {"skip", "a page that may be pinned stays mapped"},
};

inline constexpr DecisionValue kReclaimUnmapValues[] = {
    {"anyway", "an entry goes whatever came since the page was looked at: a fast pin, say"},
    {"try-share", "with the entry gone reclaim asks about pins once more, and puts it back where there is one"},
};

inline constexpr DecisionValue kLazyFreeValues[] = {
    {"not-dirty", "a page under MADV_FREE goes if nobody is known to have written it, a device that will included"},
    {"unreferenced", "a page under MADV_FREE goes only if nobody but its mappings refers to it"},
};

inline constexpr DecisionValue kFastDirtyValues[] = {
    {"at-release", "a fast reference for writing leaves its page clean until the holder says that he wrote"},
    {"at-once", "a fast reference for writing makes its page dirty when it is taken"},
};

inline constexpr DecisionValue kMigrateUnmapValues[] = {
    {"anyway",
     "an entry becomes a migration entry whoever holds its page; where somebody does it comes back, and a fork "
     "that has met it meanwhile has asked nobody about pins"},
    {"try-share", "with the entry gone migration asks about pins, and puts it back where there is one"},
};

inline constexpr DecisionValue kHugeReuseValues[] = {
    {"mapcount", "one huge entry and no small one: references do not matter, and somebody else's reference reads on"},
    {"count", "nobody else holds any of its pages: a reference to one makes the owner part from it"},
    {"exclusive", "a huge page whose pages all are the owner's is reused without looking at counts; others need that"},
};

inline constexpr DecisionValue kHugeCopyValues[] = {
    {"whole", "the writer gets a copy of all its pages, and every reference to any of them is left behind"},
    {"split", "its pages are mapped one by one, and the page that is written is copied"},
};

inline constexpr DecisionValue kHugeSplitValues[] = {
    {"counts-late",
     "who splits gives up his huge entry before his small ones count: another process takes itself for alone"},
    {"counts-first", "the counts are at no time lower than what they count"},
};

inline constexpr DecisionValue kHugeZeroValues[] = {
    {"split", "the zero page takes its place everywhere, and the page that is written is copied"},
    {"whole", "the writer gets a huge page of zeros, as if he had written first"},
};

inline constexpr DecisionValue kHugeTouchValues[] = {
    {"dirty", "a reference for reading makes it dirty, and FORCE takes a dirty entry for its own copy"},
    {"accessed", "it is dirty only when it was written"},
};

inline constexpr DecisionValue kHugePinsValues[] = {
    {"whole", "one pinned page of a huge page or a large folio makes fork copy all of them"},
    {"each", "fork copies the pinned pages and shares the others"},
};

inline constexpr DecisionValue kFolioReuseValues[] = {
    {"page",
     "a page of a large folio is reused as one that stands alone: what others do with its neighbours is theirs"},
    {"mapcount", "a page is copied as long as others map any page of its folio, and a pin of it is left behind"},
    {"count", "a page is copied unless it is all that is left of its folio, and nobody else has a reference to that"},
    {"never", "a page that is not exclusive is copied, whoever else has the folio or had it"},
    {"owner",
     "the pages of a folio that one address space alone maps, and nobody else holds, are reused; its last page is "
     "copied"},
};

inline constexpr DecisionValue kFolioSwapValues[] = {
    {"split", "what came in one piece is taken apart, and goes to swap page by page"},
    {"huge", "what a huge entry maps goes in one piece, other large folios page by page"},
    {"whole", "large folios go in one piece: whoever holds one page keeps the others too"},
};

inline constexpr DecisionValue kLazyRestoreValues[] = {
    {"each", "each entry of a batch that reclaim puts back permits what it permitted"},
    {"first",
     "all entries of a batch permit what its first one did: a page that is shared with a child can be written"},
};

inline constexpr DecisionValue kHugetlbReuseValues[] = {
    {"count", "nobody else has a reference: a pin makes the owner part from its page"},
    {"mapcount",
     "one entry maps it: somebody else's reference reads on, and a private write may land in a file's page"},
    {"mapcount-anon", "one entry maps it, and it is anonymous: somebody else's reference still reads on"},
    {"exclusive", "a page that is the owner's is reused without looking at counts; others need that nobody holds them"},
};

inline constexpr DecisionValue kHugetlbForkValues[] = {
    {"share", "a pinned hugetlb page is shared like any other, and the next write decides who keeps it"},
    {"as-small", "what is decided about small pages goes for hugetlb pages too, each with its pins as one"},
};

inline constexpr DecisionValue kHugetlbForceValues[] = {
    {"write", "the write makes the entry writable, and the process may go on writing what it may not"},
    {"refuse", "nothing is forced: EFAULT"},
};

inline constexpr DecisionValue kHugetlbSequenceValues[] = {
    {"ignored", "a fast pin can come between fork's question and its write protection"},
    {"as-small", "a fast pin that fork has met is taken back"},
};

inline constexpr DecisionValue kUffdForkValues[] = {
    {"by-parent",
     "a child's entries stay write-protected by userfaultfd where only the parent's memory is registered, and an early "
     "copy is not where both are"},
    {"by-child",
     "a child's pages are write-protected by userfaultfd as the parent's where its own memory is registered"},
};

inline constexpr DecisionValue kUffdRemapValues[] = {
    {"keep", "a page that mremap takes out of registered memory stays marked, and nobody decides about it"},
    {"drop", "a page that mremap takes out of registered memory is write-protected no more"},
};

inline constexpr DecisionValue kUffdFlushValues[] = {
    {"after-unlock",
     "other threads fault on a page that userfaultfd has just write-protected while some CPU still writes it: what is "
     "written then is not in the copy"},
    {"before-unlock", "no CPU writes a page that userfaultfd has write-protected once anybody can fault on it"},
};

inline constexpr DecisionValue kUffdContinueValues[] = {
    {"dirty-if-writable", "an entry that the handler lets be mapped is dirty only if it may be written"},
    {"dirty", "an entry that the handler lets be mapped is dirty, read-only ones of a private mapping too"},
};

inline constexpr DecisionValue kUffdWpFileValues[] = {
    {"refuse", "userfaultfd write-protects no memory that is a file's: its pages may be unmapped at any time"},
    {"marker", "a page of a file that is write-protected stays so while nothing maps it"},
};

inline constexpr DecisionValue kUffdWpAbsentValues[] = {
    {"refuse", "only what is there can be write-protected by userfaultfd: the first write to the rest is its own"},
    {"marker", "what is not there yet can be write-protected by userfaultfd: what comes there is"},
};

inline constexpr DecisionValue kKsmBreakValues[] = {
    {"write-fault",
     "a merged page that userfaultfd has write-protected stays merged: KSM's write is one for the handler"},
    {"unshare", "a merged page is parted without a write: its entry stays read-only, and write-protected"},
};

}  // namespace cowherd
