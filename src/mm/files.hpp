#pragma once

#include <cstdint>

#include "back/page_cache.hpp"
#include "mm/fault.hpp"
#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Files as the operations use them: pages that are found or brought into the cache, and mappings of them.

template <class G>
Ref<File> file_ref(FileId file) {
  return Ref<File>{file.value()};
}

/// The file that `vma` maps; null where it maps none.
template <class G>
Ref<File> file_of(System<G>& system, const Vma& vma) {
  return vma.mapping ? system.at(vma.mapping).file : Ref<File>{};
}

/// A file of `pages` pages without users. ENOMEM.
template <class G>
Result<Ref<File>> make_file(System<G>& system, FileKind kind, std::uint32_t pages);

/// Gives up one use of the file; with the last it goes, and what is in the cache with it.
template <class G>
void put_file(System<G>& system, Ref<File> file);

/// Until the page is not on its way to the disk. The caller keeps it.
template <class G>
void wait_until_written(System<G>& system, FrameNumber frame);

/// Whether a page may be brought in that lies behind the file's end: by who is about to extend it.
enum class Behind : std::uint8_t { kForbidden, kAllowed };

/// Page number `index` of the file, brought into the cache where it is not there, with a reference for the caller.
/// SIGBUS: it lies behind the end; ENOMEM. Compare Linux mm/filemap.c: __filemap_get_folio().
template <class G>
Result<FrameNumber> get_cached_page(System<G>& system, Ref<File> file, std::uint32_t index,
                                    Behind behind = Behind::kForbidden);
/// The same, with its page lock: it stays in the cache until the caller lets go. Also kWouldBlock.
template <class G>
Result<FrameNumber> lock_cached_page(System<G>& system, Ref<File> file, std::uint32_t index,
                                     Behind behind = Behind::kForbidden);
/// As lock_cached_page() where the page is in the cache already, and EFAULT where it is not.
template <class G>
Result<FrameNumber> lock_if_cached(System<G>& system, Ref<File> file, std::uint32_t index);
/// Of add_locked_page(): takes over `fresh`, which holds what the page is to hold.
template <class G>
Result<FrameNumber> publish_locked(System<G>& system, Ref<File> file, std::uint32_t index, FrameNumber fresh);
/// Makes page number `index` of the file, which is not in the cache, with what `fill(frame)` puts into it; locked, and
/// with a reference for the caller. EEXIST: it is there; SIGBUS: it lies behind the end; ENOMEM. Compare Linux
/// mm/shmem.c: shmem_mfill_atomic_pte().
template <class G, class Fill>
Result<FrameNumber> add_locked_page(System<G>& system, Ref<File> file, std::uint32_t index, Fill&& fill) {
  COWHERD_TRY_ASSIGN(fresh, system.allocate_page(FrameUse::kFile));
  fill(fresh);
  return publish_locked(system, file, index, fresh);
}
/// Lets go of the lock, and drops the reference.
template <class G>
void unlock_cached_page(System<G>& system, FrameNumber frame);

/// The page, whose lock the caller holds, is about to be written through a mapping or by write(): waits until it is not
/// on its way to the disk, gives it a block where it has none, and says that it is dirty. ENOMEM: the disk is full.
/// Compare Linux: page_mkwrite(), folio_wait_stable().
template <class G>
Result<void> prepare_to_write(System<G>& system, Ref<File> file, FrameNumber frame);

/// Handles a fault at `page` of a VMA that maps a file: where nothing is mapped (`seen` is none), or a write to a page
/// of a shared mapping behind a read-only entry `seen`. `slot` is the place of the entry, or null.
/// SIGBUS: behind the end of the file. ENOMEM, kWouldBlock. Compare Linux mm/memory.c: do_fault(), wp_page_shared().
template <class G>
Result<Faulted> fault_file(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot slot,
                           Entry seen);

/// Takes what pages [first, end) of the file are mapped as out of every address space, and what private copies there
/// are in their place too where `copies` says so. Nobody reaches them through an entry after that that was there
/// before. Compare Linux mm/memory.c: unmap_mapping_range().
template <class G>
void unmap_file_range(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end, bool copies);

/// Takes write permission and the dirty bit from every entry that maps the page, whose lock the caller holds.
/// Compare Linux mm/rmap.c: folio_mkclean().
template <class G>
void clean_mappings(System<G>& system, Ref<File> file, FrameNumber frame);

/// What stands for page number `index` of the file; a page in the cache comes with a reference. ENOMEM: it has too
/// many.
template <class G>
Result<FilePlace> hold_place(System<G>& system, Ref<File> file, std::uint32_t index);
/// What stands for the first page of the file at or after `index`, as hold_place().
template <class G>
FilePlace hold_next_place(System<G>& system, Ref<File> file, std::uint32_t index) {
  const MappingGuard<G, true> guard(system, file);
  const FilePlace found = next_place(system.frames(), system.at(file), index);
  if (found.frame != Frames<G>::kZeroPage) system.descriptor(found.frame).add_references(1);
  return found;
}

/// As writeback(), of pages [`first`, `end`) of the file.
template <class G>
Result<void> writeback_range(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end);

}  // namespace cowherd::mm
