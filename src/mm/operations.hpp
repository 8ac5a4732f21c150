#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cowherd/flags.hpp"
#include "cowherd/result.hpp"
#include "cowherd/types.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// The operations of a machine, as its processes ask for them. Common to all:
//  - a bad argument, a bad access and a lack of memory are results, never a crash;
//  - kWouldBlock: the operation has to wait for another agent. It may have done a part; the caller goes back to a
//    snapshot from before, or tries again later, which carries on;
//  - any other failure leaves what processes and devices can observe as it was, except where Linux documents a part;
//  - addresses need not be aligned for read, write and pin; they must be for everything else (EINVAL);
//  - a ProcessId names a process that is there and has not exited; inspect(), rss(), exited(), suspended() and, for the
//    child, wait() also take one that has. A PinId names a pin that has not been given back.

/// A process with an empty address space, child of nobody. ENOMEM.
template <class G>
Result<ProcessId> spawn(System<G>& system);

/// A child whose private memory holds what the parent's holds now. ENOMEM; EBUSY under rules that refuse while pages
/// are pinned. `told`: userfaultfd's handler hears of it where it wants to, and ENOMEM may be that it has too much to
/// read. Compare Linux kernel/fork.c: dup_mmap().
template <class G>
Result<ProcessId> fork(System<G>& system, ProcessId parent, ForkMode mode = ForkMode::kClassic, bool told = true);

/// Gives `process` the private memory that `from` has now, as fork would give it a child of that process, in place of
/// all that it had. Its address space stays the same one; pins keep their pages, as for munmap(). ENOMEM, EBUSY as
/// fork(), and then nothing has changed. Precondition: they are two processes, in two address spaces.
template <class G>
Result<void> restore(System<G>& system, ProcessId process, ProcessId from);

/// A child in the parent's own address space; the parent is suspended() until it execs or exits. ENOMEM.
template <class G>
Result<ProcessId> vfork(System<G>& system, ProcessId parent);

/// Whether a vfork child keeps `process` from running.
template <class G>
bool suspended(System<G>& system, ProcessId process);

/// Replaces the process's memory by an empty address space. ENOMEM, and then nothing has changed.
template <class G>
Result<void> exec(System<G>& system, ProcessId process);

/// Ends the process; its memory is gone, its number stays until its parent waits. Its children become nobody's, and
/// those that have exited already vanish. A process that is nobody's child vanishes at once. Fails with kWouldBlock
/// only.
template <class G>
Result<void> exit(System<G>& system, ProcessId process);

/// Makes `child` nobody's child: nobody will wait for it. Precondition: it runs.
template <class G>
void disown(System<G>& system, ProcessId child);

/// Forgets a child that has exited. ECHILD if it is none of `parent`'s; kWouldBlock while it runs.
template <class G>
Result<void> wait(System<G>& system, ProcessId parent, ProcessId child);

/// Names a file of a machine; given out again after its last user has gone.
using FileId = Strong<struct FileIdTag, std::uint32_t>;
inline constexpr FileId kNoFile{0};

/// What lies behind a file's pages.
enum class FileKind : std::uint8_t {
  /// Nothing: they live in memory alone. Linux: memfd, tmpfs.
  kMemory,
  kDisk,
  /// Nothing: they are of the hugetlb pool. Linux: hugetlbfs, memfd_create(MFD_HUGETLB). Its size is a number of whole
  /// hugetlb pages, a mapping of it one of hugetlb memory, and write() is EINVAL.
  kHugetlb,
};

/// What is mapped: pages of a file from `first` on, or, with kNoFile, memory of its own that begins as zeros.
struct Backing {
  FileId file = kNoFile;
  PageCount first{0};
};

/// Maps memory, private or with kShared shared. With kFixed at `address`, replacing what is there; with kFixedNoReplace
/// there or EEXIST; else there if it is free, or in the lowest hole. Returns the address. EINVAL, ENOMEM.
template <class G>
Result<Vaddr> mmap(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection,
                   MapFlags flags, Backing backing = {});

/// Unmaps whatever is mapped in the range; holes are no error. EINVAL; ENOMEM where a VMA had to be split.
template <class G>
Result<void> munmap(System<G>& system, ProcessId process, Vaddr address, ByteCount length);

/// Moves, grows or shrinks a mapping; pages, references to them and what is said of the VMA go along. The pages that
/// the new length has room for go to `new_address` with kFixed, in place of what is there, else anywhere with kMayMove
/// where they cannot stay; holes between the first and the last page stay holes. With kDontUnmap the old addresses stay
/// mapped, and empty; `new_address` is then a wish. Returns the new address. EINVAL: kFixed or kDontUnmap without
/// kMayMove, kDontUnmap with another length, both places overlap; EFAULT: nothing is mapped at `old_address`, or
/// several VMAs should grow; ENOMEM: no room, or no memory, and then nothing has changed. Compare Linux mm/mremap.c:
/// do_mremap().
template <class G>
Result<Vaddr> mremap(System<G>& system, ProcessId process, Vaddr old_address, ByteCount old_length,
                     ByteCount new_length, RemapFlags flags, Vaddr new_address = Vaddr{0});

/// ENOMEM over a hole: what lies before it has been changed, as on Linux.
template <class G>
Result<void> mprotect(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection);

/// ENOMEM over a hole: everything mapped has been treated, as on Linux; for kPopulateRead and kPopulateWrite what lies
/// before it. These two also give EINVAL where the protection forbids the access.
template <class G>
Result<void> madvise(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Advice advice);

/// What became of an access: how far it came, and why not further (Errno{0}: it is complete).
struct Access {
  ByteCount done;
  Errno error{0};
};

/// A thread's own load or store. SIGSEGV, SIGBUS (no memory for the page).
template <class G>
Access read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to);
template <class G>
Access write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from);

/// Pages of a file: no more than there are.
inline constexpr std::uint32_t kMaxFilePages = 1u << 31;

/// A file of `pages` pages of zeros, with a handle on it. EINVAL: too many, a part of a hugetlb page, or the machine
/// has no disk or no pool; ENOMEM.
template <class G>
Result<FileId> create_file(System<G>& system, FileKind kind, PageCount pages);
/// Gives the handle back; the file goes with its last mapping.
template <class G>
void close_file(System<G>& system, FileId file);
template <class G>
PageCount file_size(System<G>& system, FileId file);

/// Reads up to the file's end. ENOMEM. Compare Linux pread().
template <class G>
Access read_file(System<G>& system, FileId file, ByteCount offset, std::span<std::byte> to);
/// A write past the end makes the file longer. EINVAL: longer than it can be; ENOMEM. Compare Linux pwrite().
template <class G>
Access write_file(System<G>& system, FileId file, ByteCount offset, std::span<const std::byte> from);

/// Makes the file `pages` pages long. What was behind that is gone for everybody who maps it, private copies too; pins
/// keep their pages, which are nobody's any more. EINVAL. Compare Linux ftruncate().
template <class G>
Result<void> truncate(System<G>& system, FileId file, PageCount pages);
/// Pages of the file become zeros again; private copies of them stay. Compare Linux fallocate(FALLOC_FL_PUNCH_HOLE).
template <class G>
Result<void> punch(System<G>& system, FileId file, PageCount first, PageCount count);

/// Writes dirty pages of a file to its disk, and takes permission to write from every mapping of them first, so that
/// the next write says so; returns when they are there. Nothing for a file in memory. kWouldBlock.
/// Compare Linux mm/page-writeback.c: write_cache_pages(), fsync().
template <class G>
Result<void> writeback(System<G>& system, FileId file);
/// Takes pages out of the cache that are clean, mapped nowhere and held by nobody: the disk has them.
/// Compare Linux mm/truncate.c: invalidate_mapping_pages().
template <class G>
Result<void> drop_cache(System<G>& system, FileId file);
/// What the disk holds now, zeros where it holds nothing: for tests and explanations.
template <class G>
void read_disk(System<G>& system, FileId file, ByteCount offset, std::span<std::byte> to);

/// A debugger's access to another process, whatever the protection. EFAULT, ENOMEM.
/// Compare Linux mm/memory.c: access_remote_vm().
template <class G>
Access ptrace_read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to);
template <class G>
Access ptrace_write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from);

/// Names a pin of a machine; given out again after unpin().
using PinId = Strong<struct PinIdTag, std::uint32_t>;

struct Pinned {
  PinId id;
  /// At least one; fewer than asked for where a later page could not be had.
  PageCount pages;
};

/// Takes `times` references to each of the `pages` pages from `address` on, faulting them in as needed. EINVAL (no
/// pages, or kGet with kLongTerm), EFAULT, ENOMEM. Compare Linux mm/gup.c: __get_user_pages().
template <class G>
Result<Pinned> pin(System<G>& system, ProcessId process, Vaddr address, PageCount pages, PinFlags flags,
                   std::uint32_t times = 1);

/// Gives all references of `pin` back; `dirty`: the holder wrote.
template <class G>
void unpin(System<G>& system, PinId pin, bool dirty);

/// A device's access to what `pin` holds, from byte `offset` of its first page on. ENXIO past the end; EPERM for a
/// write through a reference for reading.
template <class G>
Access dma_read(System<G>& system, PinId pin, ByteCount offset, std::span<std::byte> to);
template <class G>
Access dma_write(System<G>& system, PinId pin, ByteCount offset, std::span<const std::byte> from);

/// Starts a round of soft-dirty tracking: takes the soft-dirty bit, and write permission with it, from every entry in
/// the range, so that the next write faults and sets it; pinned pages are left alone where the rules say so, and so
/// stay soft-dirty. Pages without an entry go by their VMA, which is no longer soft-dirty where all of it is in the
/// range. EINVAL; ENOMEM, where tables are shared after a fork. Compare Linux fs/proc/task_mmu.c: clear_refs_write().
template <class G>
Result<void> clear_refs(System<G>& system, ProcessId process, Vaddr address, ByteCount length);

/// Takes the exclusive mark from the page at `address`, as swap-out, migration and KSM have to before they touch it;
/// its entry loses its write permission with it. EBUSY where the page may be pinned, and then nothing has changed;
/// EFAULT where no anonymous page is mapped. Compare Linux mm/rmap.h: folio_try_share_anon_rmap_pte().
template <class G>
Result<void> try_share(System<G>& system, ProcessId process, Vaddr address);

/// Reclaim takes the page at `address` from everybody who maps it, to swap or, under MADV_FREE, for good. EFAULT where
/// no anonymous page is mapped; EBUSY where the page is kept, being pinned, locked or in use; ENOMEM where swap is full
/// or there is none. Compare Linux mm/vmscan.c: reclaim_pages().
template <class G>
Result<void> swap_out(System<G>& system, ProcessId process, Vaddr address);

/// Brings the page at `address` back from swap, as a fault for reading would. EFAULT where it is not in swap, or has
/// failed; ENOMEM.
/// Compare Linux mm/swapfile.c: unuse_pte().
template <class G>
Result<void> swap_in(System<G>& system, ProcessId process, Vaddr address);

/// A huge page takes the place of the pages around `address`, as khugepaged makes it. EINVAL where no VMA that may be
/// read and written covers them, or nothing is mapped; EAGAIN where somebody holds one of them; EBUSY and EINVAL
/// where userfaultfd's handler decides about one; ENOMEM. Compare Linux
/// mm/khugepaged.c: collapse_huge_page().
template <class G>
Result<void> collapse(System<G>& system, ProcessId process, Vaddr address);

/// Small entries take the place of the huge one that maps the page at `address`; where small ones do, the large folio
/// that it is part of is taken apart. EFAULT where there is neither; EBUSY where somebody holds a page of such a folio,
/// and the rules count that per folio; ENOMEM. Compare Linux mm/huge_memory.c: split_huge_pmd(), split_folio().
template <class G>
Result<void> split(System<G>& system, ProcessId process, Vaddr address);

/// Reclaim takes up to `wanted` pages from whoever maps them, those first that nobody has used for a while. Returns how
/// many frames that has freed; none without swap. Compare Linux mm/vmscan.c: try_to_free_pages().
template <class G>
PageCount reclaim(System<G>& system, PageCount wanted);

/// Moves the page at `address` to another frame, for everybody who maps it. EFAULT where no anonymous page is mapped;
/// EBUSY where the page stays, being pinned, locked, merged or otherwise in use, or mapped by a table that several
/// address spaces have; ENOMEM. Compare Linux mm/migrate.c: migrate_pages().
template <class G>
Result<void> migrate(System<G>& system, ProcessId process, Vaddr address);

/// Moves pages of all processes to lower frames of the same zone, so that those above come free in a row. What cannot
/// be moved, being pinned, locked, merged or otherwise in use, stays where it is. Compare Linux mm/compaction.c:
/// compact_nodes().
template <class G>
Result<void> compact(System<G>& system);

/// Takes the memory that holds only what can be moved out of the machine: moves all that is there to normal memory, and
/// gives out no frame of it any more. EBUSY: something has stayed, or somebody else is at it, and the memory is in use
/// as before, though pages may have moved. EINVAL: there is no such memory. Compare Linux mm/memory_hotplug.c:
/// offline_pages().
template <class G>
Result<void> offline(System<G>& system);

/// A device gets the page at `address` for itself: no processor gets at it until somebody needs it, who takes it back.
/// The page is faulted in as for a write first; it stays mapped, and may be pinned. EFAULT where it cannot be written;
/// EINVAL where it is no anonymous page; ENOMEM. Compare Linux mm/rmap.c: make_device_exclusive().
template <class G>
Result<void> make_exclusive(System<G>& system, ProcessId process, Vaddr address);
/// The access of a device to a word of a page that it has for itself. ENXIO: it has not, or no more.
template <class G>
Access device_read(System<G>& system, ProcessId process, Vaddr address, std::span<std::byte> to);
template <class G>
Access device_write(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> from);
/// The device reads a word and writes what is `value` more, as a device does that shares no atomic instructions with
/// the processors. Precondition: the word lies in one page.
template <class G>
Access device_add(System<G>& system, ProcessId process, Vaddr address, std::int64_t value);

/// The memory of the page at `address` fails: whoever maps it finds that out at the next access, and its frame is never
/// used again. EFAULT where no anonymous page is mapped; EBUSY, and nothing has changed, where it is locked, merged or
/// on its way to swap, or a fork may be sharing it. ENOMEM. Compare Linux mm/memory-failure.c: memory_failure().
template <class G>
Result<void> poison(System<G>& system, ProcessId process, Vaddr address);

/// Another part of the kernel takes the page lock of the page at `address`. EFAULT if none is there; kWouldBlock while
/// it is held. unlock_page() gives it back.
template <class G>
Result<FrameNumber> lock_page(System<G>& system, ProcessId process, Vaddr address);
template <class G>
void unlock_page(System<G>& system, FrameNumber frame);

/// Makes the entries in the range let no access through, so that the next one says who uses the page: its fault gives
/// the permissions back. Which pages are left alone is the rules' business. EINVAL; ENOMEM as clear_refs(). Compare
/// Linux mm/mprotect.c: change_protection() with MM_CP_PROT_NUMA.
template <class G>
Result<void> numa_hint(System<G>& system, ProcessId process, Vaddr address, ByteCount length);

/// KSM: one page for both addresses, if they hold the same and their mappings are MADV_MERGEABLE: the first one's,
/// which both map write-protected from then on. EFAULT: no page is mapped at one of them; EINVAL: not mergeable, or one
/// page already; EBUSY: somebody else holds one of them, or they differ, and then nothing has changed but that entries
/// may have lost their write permission. ENOMEM, where tables are shared after a fork. Compare Linux mm/ksm.c:
/// try_to_merge_two_pages().
template <class G>
Result<void> ksm_merge(System<G>& system, ProcessId one, Vaddr at_one, ProcessId other, Vaddr at_other);

/// KSM: the zero page in place of the page there, if that is all zeros. Errors as ksm_merge(). What had zeros before is
/// as memory that was never written, also to ksm_unmerge(). Compare Linux mm/ksm.c: cmp_and_merge_page() with
/// use_zero_pages.
template <class G>
Result<void> ksm_zero(System<G>& system, ProcessId process, Vaddr address);

/// Gives every page in the range that is merged a page of its own again. ENOMEM. Compare Linux mm/ksm.c:
/// unmerge_ksm_pages().
template <class G>
Result<void> ksm_unmerge(System<G>& system, ProcessId process, Vaddr address, ByteCount length);

/// Userfaultfd's handler, which is whoever calls the functions below, decides `modes` of faults in the range from now
/// on, and no others. Whoever faults so waits: until then his operation is one that would block. EINVAL: none of
/// missing, write-protect, minor is asked for, or something is mapped there that cannot be registered for it, or
/// nothing; ENOMEM. Compare Linux fs/userfaultfd.c: userfaultfd_register().
template <class G>
Result<void> uffd_register(System<G>& system, ProcessId process, Vaddr address, ByteCount length, UffdFlags modes);
/// The handler decides nothing there any more, and nothing is write-protected by it. EINVAL, ENOMEM.
template <class G>
Result<void> uffd_unregister(System<G>& system, ProcessId process, Vaddr address, ByteCount length);

/// Puts a page with these bytes where none is. ENOENT: the address is not registered; EEXIST: a page is there; EINVAL:
/// nothing new can be put there; EFAULT: behind the end of the file; ENOMEM. Precondition: `page` has a page's size.
/// Compare Linux UFFDIO_COPY.
template <class G>
Result<void> uffd_copy(System<G>& system, ProcessId process, Vaddr address, std::span<const std::byte> page);
/// As uffd_copy(), with zeros. Compare Linux UFFDIO_ZEROPAGE.
template <class G>
Result<void> uffd_zeropage(System<G>& system, ProcessId process, Vaddr address);
/// Nobody gets a page there, as if its memory had failed: SIGBUS, and EFAULT or EHWPOISON for the kernel, until
/// uffd_copy() brings one after all or the address is given up. A file is as it was, for whoever has
/// it by another way. Errors as uffd_copy().
/// Compare Linux UFFDIO_POISON.
template <class G>
Result<void> uffd_poison(System<G>& system, ProcessId process, Vaddr address);
/// Maps the page that the file has. As uffd_copy(); EFAULT: it has none; EINVAL: no file in memory is mapped there.
/// Compare Linux UFFDIO_CONTINUE.
template <class G>
Result<void> uffd_continue(System<G>& system, ProcessId process, Vaddr address);
/// Write-protects the pages of the range that are there, or takes that back. ENOENT: some of it is not registered for
/// that; ENOMEM. Compare Linux UFFDIO_WRITEPROTECT.
template <class G>
Result<void> uffd_write_protect(System<G>& system, ProcessId process, Vaddr address, ByteCount length, bool protect);
/// Takes the page at `from`, with what it holds, to `to`, where none is; where it was none is then. ENOENT: none is at
/// `from`, or nothing is mapped at one of them; EEXIST: one is at `to`; EBUSY: the page is not the process's own alone,
/// or somebody holds it; EINVAL: `to` is not registered, or both are not private memory alike that may be written;
/// EFAULT: the page has failed; ENOMEM. Compare Linux UFFDIO_MOVE.
template <class G>
Result<void> uffd_move(System<G>& system, ProcessId process, Vaddr to, Vaddr from);

/// The oldest event that the handler of the process's memory has not read; whoever has caused it goes on. EAGAIN: there
/// is none. Compare Linux fs/userfaultfd.c: userfaultfd_read().
template <class G>
Result<UffdEvent> uffd_read(System<G>& system, ProcessId process);
/// Whether there is one; whether there is one that `agent` has caused, whose operation is over only when it was read.
template <class G>
bool has_unread_event(System<G>& system, ProcessId process);
template <class G>
bool waits_to_be_read(System<G>& system, ProcessId process, std::uint8_t agent);
/// What is to be said before madvise() takes memory: of the first `pages` pages of the range.
struct Removal {
  PageCount pages;
  /// The handler was told that they go, and madvise() waits until it has read that; else nobody has to be told.
  bool told = false;
};
/// Looks at what begins the range, and tells the handler that it goes if it wants to hear that (kEventRemove). Whoever
/// calls madvise() with kDontNeed, kFree or kRemove on memory that is registered so calls this first, then madvise() of
/// the pages that it was about, and so on to the end of the range. ENOMEM: the handler cannot be told. Compare Linux
/// fs/userfaultfd.c: userfaultfd_remove().
template <class G>
Result<Removal> tell_of_removal(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Advice advice);
/// What nobody is known to have caused, there being no scheduler, was caused by `agent`.
template <class G>
void claim_events(System<G>& system, ProcessId process, std::uint8_t agent);

/// What is known of the page at an address: for tests and explanations.
struct PageView {
  Entry entry;
  /// Where the entry is present:
  FrameNumber frame;
  std::uint32_t references = 0;
  std::uint32_t mapcount = 0;
  std::uint32_t pins = 0;
  bool exclusive = false;
  bool dirty = false;
  /// Also where nothing is mapped by an entry: as /proc/PID/pagemap says it.
  bool soft_dirty = false;
  bool in_vma = false;
  /// Of its mapping.
  UffdFlags uffd = UffdFlags::kNone;
  /// A huge entry maps it; `entry` is what a small one would say.
  bool huge = false;
  /// The large folio that it is part of has 2^folio_order pages, mapped by whatever entries; 0: it is part of none.
  unsigned folio_order = 0;
  /// The page is in swap: the entry names a slot, or is none and the file that it shows has one there.
  bool in_swap = false;
  /// Of a page that has a slot of swap, mapped or not: who names it, and whether it is in the swap cache.
  bool has_slot = false;
  bool in_swap_cache = false;
  std::uint32_t swap_entries = 0;
};
template <class G>
PageView inspect(System<G>& system, ProcessId process, Vaddr address);
/// The frame under page number `page` of a pin. Precondition: `page` is one of its pages.
template <class G>
FrameNumber pinned_frame(System<G>& system, PinId pin, PageCount page);
/// Entries of a process that name slots of swap; zero once it has exited.
template <class G>
PageCount swapped(System<G>& system, ProcessId process);
/// Pages of a process, of all classes; zero once it has exited.
template <class G>
PageCount rss(System<G>& system, ProcessId process);
/// Whether `process` has exited and waits for its parent.
template <class G>
bool exited(System<G>& system, ProcessId process);

/// Recounts everything: see Violation. Also returns what the operations have reported since the last call. Linear in
/// the machine's frames.
template <class G>
Violations verify(System<G>& system);

}  // namespace cowherd::mm
