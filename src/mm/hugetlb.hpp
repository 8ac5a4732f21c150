#pragma once

#include "back/huge_pool.hpp"
#include "mm/fault.hpp"
#include "mm/flush.hpp"
#include "mm/huge.hpp"
#include "mm/page.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// hugetlb pages: mapped whole by huge entries, never split, from a pool of their own.
//
// To rules and counts such a page is one page: the descriptor of its first frame has its references, pins, mapcount and
// mark, whichever of its frames they are to. Its entries are guarded by the upper table lock, and by the mmap lock as
// those of other pages are. Tables above one are never shared by fork: they are marked as if a page below were pinned.
//
// A place of a VMA with reservations (VmaFlags::reserved) that has no entry has a page of the pool promised to it, and
// so has one whose entry maps a file's page, for a copy. One that had a page which is gone, and of which none is
// promised, keeps an entry that maps nothing, no_hugetlb_page(), or where it maps a file's page, one that says so
// (Entry::unpromised()). In a VMA without reservations an entry that maps nothing says that the page was taken from it
// for the one who was promised it. Who takes a file's page from everybody leaves emptied_hugetlb_place(), which says no
// more than no entry does: he may not free a table that is empty after that, nor may such a table stay. Shared memory
// has its pages in a file, which the pages are promised to: a place without an entry finds its page there.
//
// A file of hugetlb pages is changed as a whole under the fault lock, which is why no fault looks at its size twice.

/// Present, so that nobody looks for a table there, to the zero page, and lets nobody through.
template <class G>
constexpr Entry emptied_hugetlb_place() {
  return Entry::of(Frames<G>::kZeroPage).with_user(false).with_young(false).with_huge(true);
}
template <class G>
constexpr Entry no_hugetlb_page() {
  return emptied_hugetlb_place<G>().with_unpromised(true);
}
template <class G>
constexpr bool maps_no_hugetlb_page(Entry entry) {
  return entry.present() && entry.huge() && entry.frame() == Frames<G>::kZeroPage;
}
/// Whether what is promised to the place of such an entry, or of one that maps a file's page, is so still: a page for
/// the first access, or for the copy that the first write makes.
template <class G>
bool keeps_promise(System<G>& system, Entry entry) {
  if (entry.unpromised()) return false;
  if (maps_no_hugetlb_page<G>(entry)) return true;
  return system.in_pool(entry.frame()) && system.descriptor(entry.frame()).use() == FrameUse::kFile;
}
/// Whether an entry that is huge is one of a hugetlb VMA.
template <class G>
bool is_of_hugetlb(System<G>& system, Entry entry) {
  return system.in_pool(entry.frame()) || entry.frame() == Frames<G>::kZeroPage;
}

/// Whether `range` begins or ends within a hugetlb page that is mapped, or could be.
template <class G>
bool cuts_hugetlb(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);
/// The same of what `changes(flags)` says of: what changes nothing needs no split. Compare Linux mm/hugetlb.c:
/// hugetlb_vm_op_split().
template <class G, class Changes>
bool cuts_hugetlb_where(System<G>& system, Mm& mm, PageRange range, Changes&& changes) COWHERD_REQUIRES(mm.mmap_lock) {
  if (!system.has_pool()) return false;
  VmaTree areas = system.areas(mm);
  for (const Vpn edge : {range.begin, range.end}) {
    const Ref<Vma> cut = areas.at(edge);
    if (!cut || !system.at(cut).flags.hugetlb || edge == Tables<G>::covered(edge, 1).begin) continue;
    if (changes(system.at(cut).flags)) return true;
  }
  return false;
}
/// Whether some VMA in `range` is of hugetlb pages.
template <class G>
bool any_hugetlb(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Promises a page to each of `count` places. ENOMEM. Compare Linux mm/hugetlb.c: hugetlb_acct_memory().
template <class G>
Result<void> reserve_hugetlb(System<G>& system, std::uint32_t count);
/// Takes back what VMAs in `range` were promised and have not used: they are about to go.
template <class G>
void unreserve_hugetlb(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Takes back `count` promises.
template <class G>
void take_back_promises(System<G>& system, std::uint32_t count);

/// What a mapping of hugetlb pages needs before it is made: its promises, where it is not MAP_NORESERVE, of a private
/// one for each place of it, of a shared one for each page of `pages` of `file` that has neither page nor promise. A
/// file that may be written through it becomes as long as the mapping. ENOMEM, and then nothing was promised;
/// kWouldBlock. Compare Linux fs/hugetlbfs/inode.c: hugetlbfs_file_mmap().
template <class G>
Result<void> ready_hugetlb(System<G>& system, Ref<File> file, PageRange pages, MapFlags flags, Protection protection);
/// Page number `index` of the file, of which it is the first, with a reference for the caller; the zero page: it is not
/// in the cache.
template <class G>
FrameNumber hold_hugetlb_page(System<G>& system, Ref<File> file, std::uint32_t index);
/// Takes pages [first, end) out of the cache of the file, and their promises from it. Nobody maps them.
template <class G>
void drop_hugetlb_pages(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end);
/// As truncate() and punch(). Private copies go too, as those of whole pages do at a punch; of a page of which a part
/// is punched that part becomes zeros for everybody who has it. EINVAL: not a number of whole pages. Compare Linux
/// fs/hugetlbfs/inode.c: hugetlb_vmtruncate(), hugetlbfs_punch_hole().
template <class G>
Result<void> truncate_hugetlb(System<G>& system, Ref<File> file, std::uint32_t size);
template <class G>
Result<void> punch_hugetlb(System<G>& system, Ref<File> file, PageCount first, PageCount count);

/// A page of the pool, contents undefined. ENOMEM. Compare Linux mm/hugetlb.c: alloc_hugetlb_folio().
template <class G>
Result<FrameNumber> take_hugetlb_page(System<G>& system, Promised promised);
/// Gives back one that nobody else has seen; kYes: with its reservation.
template <class G>
void give_back_hugetlb_page(System<G>& system, FrameNumber head, Promised promised);
template <class G>
void copy_hugetlb_page(System<G>& system, FrameNumber to, FrameNumber from);

/// What put_page() does with a page of the pool that nobody has a reference to any more.
template <class G>
void free_hugetlb_page(System<G>& system, FrameNumber head);
/// A huge entry of a hugetlb VMA is gone, and nobody reaches its page through it.
template <class G>
void put_hugetlb_entry(System<G>& system, FrameNumber head);
/// The same of an entry that mapped a page: drops the mapping and its reference, and returns whether the page went back
/// to the pool, with a reservation where `promised` says so.
template <class G>
bool drop_hugetlb_mapping(System<G>& system, FrameNumber head, Promised promised);

/// As handle_fault(), which calls it. ENOMEM too where the page was taken away. Compare Linux mm/hugetlb.c:
/// hugetlb_fault().
template <class G>
Result<Faulted> fault_hugetlb(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind)
    COWHERD_REQUIRES(mm.mmap_lock);

/// Takes the page at the place of `page` from everybody but the faulting address space, and leaves entries that say so.
/// Returns whether there was anybody. The caller keeps the page. Compare Linux mm/hugetlb.c: unmap_ref_private().
template <class G>
bool take_from_others(System<G>& system, Mm& mm, Ref<Vma> vma, FrameNumber head);

/// MADV_DONTNEED of whole pages of `vma`. The places have reservations after that where their pages went back to the
/// pool. With the mmap lock for writing.
template <class G>
void zap_hugetlb(System<G>& system, Mm& mm, const Vma& vma, PageRange part) COWHERD_REQUIRES(mm.mmap_lock);

/// mprotect of whole pages of a VMA.
template <class G>
void reprotect_hugetlb(System<G>& system, Mm& mm, PageRange part, Protection protection, PendingFlush<G>& flush)
    COWHERD_REQUIRES(mm.mmap_lock);

/// One VMA on its way from parent to child, as fork_pages.cpp has it.
template <class G>
struct HugetlbFork {
  Mm& parent;
  Mm& child;
  const Vma& child_vma;
  /// Of the parent's VMA.
  bool parent_reserved;
  /// As on_fork() is told.
  bool entry_holds_pin;
  PendingFlush<G>& flush;
};
/// The child gets what the place of `first` has, shared or a copy. Returns whether it got a copy. ENOMEM: the child's
/// part is undone by who drops it. Both mmap locks are held for writing. Compare Linux mm/hugetlb.c:
/// copy_hugetlb_page_range().
template <class G>
Result<bool> fork_hugetlb(System<G>& system, const HugetlbFork<G>& fork, Vpn first);

}  // namespace cowherd::mm
