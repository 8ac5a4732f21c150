#include "mm/files.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/mutant.hpp"
#include "mm/hugetlb.hpp"
#include "mm/page.hpp"
#include "mm/shmem_swap.hpp"

namespace cowherd::mm {

namespace {

/// Puts `fresh` into the cache, unless another agent was faster, which is left to be found.
template <class G>
Result<bool> publish(System<G>& system, Ref<File> file, std::uint32_t index, FrameNumber fresh, Behind behind) {
  const MappingGuard<G, false> guard(system, file);
  File& into = system.at(file);
  // With the lock that who shortens the file takes before it looks for pages.
  if (behind == Behind::kForbidden && index >= into.size()) return Errno::kSigBus;
  if (!find_place(system.frames(), into, index).none() && !COWHERD_MUTANT(cache_recheck_dropped)) {
    return false;
  }
  COWHERD_TRY(add_cached(system.frames(), into, index, fresh));
  return true;
}

/// The block behind a page; none where there is none.
template <class G>
std::optional<BlockNumber> block_of(System<G>& system, Ref<File> file, std::uint32_t index) {
  const MappingGuard<G, true> guard(system, file);
  return find_block(system.frames(), system.at(file), index);
}

template <class G>
void drop_block(System<G>& system, BlockNumber block) {
  const BlockGuard<G> guard(system);
  system.swap().drop_count(block);
}

/// What the file holds at `index`, into `to`, its page, which is locked: it keeps its block.
template <class G>
void read_block(System<G>& system, Ref<File> file, std::uint32_t index, FrameNumber to) {
  const auto block = block_of(system, file, index);
  if (!block || COWHERD_MUTANT(block_not_read)) {
    std::memset(system.frames().bytes(to), 0, Geometry<G>::kPageBytes);
    return;
  }
  const BlockNumber from = *block;
  const Live live(system, "read-block", from);
  point(system, Point::kDisk);
  std::memcpy(system.frames().bytes(to), system.swap().bytes(from), Geometry<G>::kPageBytes);
}

/// Gives page `index` a block, unless it has one. The caller has its page lock. ENOMEM.
template <class G>
Result<void> give_block(System<G>& system, Ref<File> file, std::uint32_t index) {
  if (block_of(system, file, index)) return {};
  Result<BlockNumber> block = Errno::kNoMemory;
  {
    const BlockGuard<G> guard(system);
    block = system.swap().allocate(FrameNumber{0}, 1);
  }
  if (!block) {
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  const BlockNumber given = *block;
  const Live live(system, "give-block", given);
  std::memset(system.swap().bytes(given), 0, Geometry<G>::kPageBytes);
  Result<void> added;
  {
    const MappingGuard<G, false> guard(system, file);
    added = add_block(system.frames(), system.at(file), index, given);
  }
  if (!added) drop_block(system, given);
  return added;
}

/// Whether a page that was found in the cache is still on its way from the disk: it belongs to no file until it is
/// there, and its page lock is held. (So does a page that was cut off since it was found, which needs to be looked for
/// again as well.)
template <class G>
bool is_arriving(System<G>& system, FrameNumber frame) {
  return system.descriptor(frame).owner() == 0 && !COWHERD_MUTANT(page_found_before_it_is_read);
}

/// A page that is not in the cache, with what the file holds there. What a disk is behind is found before it is read:
///
///   bring in                               write, write back, drop from the cache
///   read the block
///                                          bring in the same page, change it
///                                          write it back, it leaves the cache
///   put the page into the cache
///
/// and it would show what the file no longer holds, or, where the block is written while it is read, half of it.
/// Allowed because the page is in the cache first: whoever finds it waits until it is there.
/// Compare Linux mm/filemap.c: filemap_add_folio(), which leaves the folio locked and not up to date.
template <class G>
Result<FrameNumber> bring_in(System<G>& system, Ref<File> file, std::uint32_t index, Behind behind) {
  COWHERD_TRY_ASSIGN(fresh, system.allocate_page(FrameUse::kFile));
  const bool of_disk = system.at(file).on_disk();
  const Live live(system, "bring-in", fresh);
  FrameDescriptor& page = system.descriptor(fresh);
  if (!of_disk) std::memset(system.frames().bytes(fresh), 0, Geometry<G>::kPageBytes);
  // One reference is the cache's, one the caller's.
  page.start_file(of_disk ? 0 : file.unit, Vpn{index}, 2);
  // Nobody has it yet.
  if (of_disk) (void)try_lock_page_of(system, fresh);
  auto published = publish(system, file, index, fresh, behind);
  if (published && *published) {
    if (!of_disk) return fresh;
    read_block(system, file, index, fresh);
    page.set_owner(file.unit, Vpn{index});
    unlock_page_of(system, fresh);
    return fresh;
  }
  if (of_disk) unlock_page_of(system, fresh);
  (void)page.drop_references(2);
  system.frames().free(fresh);
  if (!published) return published.error();
  return Frames<G>::kZeroPage;
}

/// Nobody finds the page under its file any more. Called with the page lock, or by the last user of the file.
template <class G>
void cut_off(System<G>& system, Ref<File> file, FrameNumber frame, std::uint32_t index) {
  remove_cached(system.frames(), system.at(file), index);
  if (const auto block = find_block(system.frames(), system.at(file), index)) {
    remove_block(system.frames(), system.at(file), index);
    const BlockNumber gone = *block;
    const Live live(system, "cut-off", gone);
    if (!COWHERD_MUTANT(block_kept_by_truncate)) drop_block(system, gone);
  }
  FrameDescriptor& page = system.descriptor(frame);
  page.set_owner(0, page.index());
  if (page.dirty()) page.set_dirty(false);
  if (page.prepared()) page.set_prepared(false);
}

/// Of a file that nobody has any more, whose pages are not in the cache.
template <class G>
void drop_blocks(System<G>& system, Ref<File> file) {
  if (!system.at(file).on_disk()) return;
  const Live live(system, "drop-blocks", file);
  const MappingGuard<G, false> guard(system, file);
  for (auto at = next_block(system.frames(), system.at(file), 0); at;
       at = next_block(system.frames(), system.at(file), 0)) {
    remove_block(system.frames(), system.at(file), at->index);
    const BlockNumber gone = at->block;
    const Live going(system, "drop-block", gone);
    drop_block(system, gone);
  }
}

/// What the file has at or after `index`, in the cache, in swap or, where it is not in the cache, on the disk; a page
/// comes with a reference.
template <class G>
FilePlace hold_next_anywhere(System<G>& system, Ref<File> file, std::uint32_t index) {
  const MappingGuard<G, true> guard(system, file);
  const FilePlace place = next_place(system.frames(), system.at(file), index);
  if (system.at(file).on_disk()) {
    const auto behind = next_block(system.frames(), system.at(file), index);
    if (behind && (place.none() || behind->index < place.index)) {
      return {.frame = Frames<G>::kZeroPage, .slot = behind->block, .index = behind->index};
    }
  }
  if (place.frame != Frames<G>::kZeroPage) system.descriptor(place.frame).add_references(1);
  return place;
}

/// Gives back the block of page number `index`, which is not in the cache. False: it is there by now.
template <class G>
bool drop_from_disk(System<G>& system, Ref<File> file, std::uint32_t index, BlockNumber block) {
  const Live live(system, "drop-from-disk", file, index, block);
  {
    const MappingGuard<G, false> guard(system, file);
    const bool there = !find_place(system.frames(), system.at(file), index).none();
    if (there && !COWHERD_MUTANT(punch_takes_new_block)) return false;
    if (find_block(system.frames(), system.at(file), index) != block) return false;
    remove_block(system.frames(), system.at(file), index);
  }
  drop_block(system, block);
  return true;
}

/// Takes pages [first, end) out of the cache, and out of every mapping before, and gives back what is behind them. Goes
/// along the file once: what comes to a place that was passed is whoever's who brought it. kWouldBlock.
/// Compare Linux mm/truncate.c: truncate_inode_pages_range().
template <class G>
Result<void> drop_cached_range(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  std::uint32_t at = first;
  const Live live(system, "drop-cached-range", at);
  while (true) {
    const FilePlace found = hold_next_anywhere(system, file, at);
    if (found.none() || found.index >= end) {
      if (found.frame != Frames<G>::kZeroPage) put_page(system, found.frame);
      return {};
    }
    at = found.index + 1;
    if (found.slot) {
      // It may be on its way back, and is looked for again.
      at = found.index;
      const bool dropped = system.at(file).on_disk() ? drop_from_disk(system, file, found.index, *found.slot)
                                                     : drop_from_swap(system, file, found.index, *found.slot);
      if (dropped) ++at;
      continue;
    }
    const Live held(system, "held", found.frame, found.index);
    if (auto locked = wait_for_page_lock(system, found.frame); !locked) {
      put_page(system, found.frame);
      return locked;
    }
    wait_until_written(system, found.frame);
    // A fault may have mapped it since everybody was unmapped:
    //
    //   truncate                             fault
    //   shorten the file
    //                                        lock the page, find it within the file: before that
    //   unmap everybody
    //                                        map it, unlock the page
    //   lock the page: it is mapped
    //
    // Allowed because whoever maps it holds its lock meanwhile, so that it is seen here.
    point(system, Point::kMapcount);
    if (system.descriptor(found.frame).mapcount() != 0 && !COWHERD_MUTANT(truncate_leaves_late_mapping)) {
      unmap_file_range(system, file, found.index, found.index + 1, false);
    }
    {
      const MappingGuard<G, false> guard(system, file);
      cut_off(system, file, found.frame, found.index);
    }
    unlock_page_of(system, found.frame);
    put_page(system, found.frame, 2);
  }
}

}  // namespace

template <class G>
Result<FilePlace> hold_place(System<G>& system, Ref<File> file, std::uint32_t index) {
  const MappingGuard<G, true> guard(system, file);
  const FilePlace found = find_place(system.frames(), system.at(file), index);
  if (found.frame == Frames<G>::kZeroPage) return found;
  if (!system.descriptor(found.frame).try_add_references(1, 0, FrameDescriptor::kMaxReferences)) {
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  return found;
}

template <class G>
void wait_until_written(System<G>& system, FrameNumber frame) {
  if constexpr (G::kExplored) {
    FrameDescriptor& page = system.descriptor(frame);
    if (!page.under_writeback()) return;
    (void)wait_until<G, FrameDescriptor>(system, Point::kWriteback, page,
                                         [](const FrameDescriptor& p) { return !p.under_writeback(); });
  } else {
    system.descriptor(frame).wait_for_writeback();
  }
}

template <class G>
Result<Ref<File>> make_file(System<G>& system, FileKind kind, std::uint32_t pages) {
  COWHERD_TRY_ASSIGN(made, system.frames().template make<File>());
  system.at(made).pages = pages;
  if (kind == FileKind::kDisk) system.at(made).store = FileStore::kDisk;
  if (kind == FileKind::kHugetlb) system.at(made).store = FileStore::kHugePool;
  return made;
}

template <class G>
void put_file(System<G>& system, Ref<File> file) {
  {
    const MappingGuard<G, false> guard(system, file);
    if (--system.at(file).users != 0) return;
  }
  // Nobody else comes by it any more, but who has a page of it may still wait for the page lock.
  const Live live(system, "put-file", file);
  if (system.at(file).is_hugetlb()) [[unlikely]]
    drop_hugetlb_pages(system, file, 0, ~std::uint32_t{0});
  for (FilePlace page = next_place(system.frames(), system.at(file), 0); !page.none();
       page = next_place(system.frames(), system.at(file), page.index)) {
    if (page.slot) {
      (void)drop_from_swap(system, file, page.index, *page.slot);
      continue;
    }
    cut_off(system, file, page.frame, page.index);
    put_page(system, page.frame);
  }
  drop_blocks(system, file);
  system.frames().destroy(file);
}

template <class G>
Result<FrameNumber> get_cached_page(System<G>& system, Ref<File> file, std::uint32_t index, Behind behind) {
  while (true) {
    point(system, Point::kFileSize);
    if (behind == Behind::kForbidden && index >= system.at(file).size()) return Errno::kSigBus;
    COWHERD_TRY_ASSIGN(found, hold_place(system, file, index));
    if (found.frame != Frames<G>::kZeroPage) {
      if (!is_arriving(system, found.frame)) [[likely]]
        return found.frame;
      const FrameNumber arriving = found.frame;
      const Live waiting(system, "arriving", arriving);
      auto locked = wait_for_page_lock(system, arriving);
      if (locked) unlock_page_of(system, arriving);
      put_page(system, arriving);
      COWHERD_TRY(locked);
      continue;
    }
    if (found.slot) [[unlikely]] {
      COWHERD_TRY_ASSIGN(back, swap_in_shared(system, file, index, *found.slot));
      if (back == Frames<G>::kZeroPage) continue;
      unlock_page_of(system, back);
      return back;
    }
    COWHERD_TRY_ASSIGN(brought, bring_in(system, file, index, behind));
    if (brought != Frames<G>::kZeroPage) return brought;
  }
}

template <class G>
Result<FrameNumber> lock_cached_page(System<G>& system, Ref<File> file, std::uint32_t index, Behind behind) {
  while (true) {
    COWHERD_TRY_ASSIGN(frame, get_cached_page(system, file, index, behind));
    const Live live(system, "lock-cached-page", frame);
    if (auto locked = wait_for_page_lock(system, frame); !locked) {
      put_page(system, frame);
      return locked.error();
    }
    // Who waited may find the page cut off the file, or the file shortened.
    if (system.descriptor(frame).owner() == file.unit || COWHERD_MUTANT(truncated_page_mapped)) return frame;
    unlock_page_of(system, frame);
    put_page(system, frame);
  }
}

template <class G>
Result<FrameNumber> lock_if_cached(System<G>& system, Ref<File> file, std::uint32_t index) {
  point(system, Point::kFileSize);
  if (index >= system.at(file).size()) return Errno::kSigBus;
  COWHERD_TRY_ASSIGN(found, hold_place(system, file, index));
  while (found.slot) [[unlikely]] {
      COWHERD_TRY_ASSIGN(back, swap_in_shared(system, file, index, *found.slot));
      if (back != Frames<G>::kZeroPage) return back;
      COWHERD_TRY_ASSIGN(again, hold_place(system, file, index));
      found = again;
    }
  if (found.none()) return Errno::kFault;
  const FrameNumber frame = found.frame;
  const Live live(system, "lock-if-cached", frame);
  Result<void> locked = wait_for_page_lock(system, frame);
  // Who waited may find the page cut off the file.
  if (locked && (system.descriptor(frame).owner() == file.unit || COWHERD_MUTANT(uffd_continue_ignores_truncate))) {
    return frame;
  }
  if (locked) unlock_page_of(system, frame);
  put_page(system, frame);
  return locked ? Errno::kFault : locked.error();
}

template <class G>
Result<FrameNumber> publish_locked(System<G>& system, Ref<File> file, std::uint32_t index, FrameNumber fresh) {
  const Live live(system, "publish-locked", fresh);
  system.descriptor(fresh).start_file(file.unit, Vpn{index}, 2);
  // Nobody has it yet.
  (void)try_lock_page_of(system, fresh);
  auto published = publish(system, file, index, fresh, Behind::kForbidden);
  if (published && *published) return fresh;
  unlock_page_of(system, fresh);
  FrameDescriptor& unused = system.descriptor(fresh);
  (void)unused.drop_references(2);
  system.frames().free(fresh);
  return published ? Errno::kExist : published.error();
}

template <class G>
void unlock_cached_page(System<G>& system, FrameNumber frame) {
  unlock_page_of(system, frame);
  put_page(system, frame);
}

template <class G>
Result<void> prepare_to_write(System<G>& system, Ref<File> file, FrameNumber frame) {
  if (!system.at(file).on_disk()) return {};
  wait_until_written(system, frame);
  FrameDescriptor& page = system.descriptor(frame);
  if (page.dirty() && page.prepared()) return {};
  COWHERD_TRY(give_block(system, file, static_cast<std::uint32_t>(page.index().value())));
  point(system, Point::kDirty);
  if (!page.prepared()) page.set_prepared(true);
  if (!page.dirty() && !COWHERD_MUTANT(written_page_stays_clean)) page.set_dirty(true);
  return {};
}

template <class G>
Result<void> truncate(System<G>& system, FileId id, PageCount pages) {
  if (pages.value() > kMaxFilePages) return Errno::kInvalid;
  const Ref<File> file = file_ref<G>(id);
  const auto size = static_cast<std::uint32_t>(pages.value());
  if (system.at(file).is_hugetlb()) [[unlikely]]
    return truncate_hugetlb(system, file, size);
  const FileGuard<G> guard(system, file);
  if (guard.blocked()) return would_block(system, Point::kFileLock);
  const std::uint32_t before = system.at(file).size();
  point(system, Point::kFileSize);
  system.at(file).set_size(size);
  if (size >= before) return {};
  unmap_file_range(system, file, size, ~std::uint32_t{0}, true);
  COWHERD_TRY(drop_cached_range(system, file, size, ~std::uint32_t{0}));
  // Private copies of pages that were there may have been made since.
  bool again = true;
  const Live live(system, "truncate", again);
  unmap_file_range(system, file, size, ~std::uint32_t{0}, true);
  return {};
}

template <class G>
Result<void> punch(System<G>& system, FileId id, PageCount first, PageCount count) {
  const Ref<File> file = file_ref<G>(id);
  if (system.at(file).is_hugetlb()) [[unlikely]]
    return punch_hugetlb(system, file, first, count);
  const FileGuard<G> guard(system, file);
  if (guard.blocked()) return would_block(system, Point::kFileLock);
  const std::uint64_t size = system.at(file).size();
  const auto begin = static_cast<std::uint32_t>(std::min(first.value(), size));
  const auto end = static_cast<std::uint32_t>(std::min(first.value() + count.value(), size));
  if (begin >= end) return {};
  unmap_file_range(system, file, begin, end, false);
  return drop_cached_range(system, file, begin, end);
}

#define COWHERD_INSTANTIATE(G)                                                                       \
  template void wait_until_written<G>(System<G>&, FrameNumber);                                      \
  template Result<FilePlace> hold_place<G>(System<G>&, Ref<File>, std::uint32_t);                    \
  template Result<Ref<File>> make_file<G>(System<G>&, FileKind, std::uint32_t);                      \
  template void put_file<G>(System<G>&, Ref<File>);                                                  \
  template Result<FrameNumber> get_cached_page<G>(System<G>&, Ref<File>, std::uint32_t, Behind);     \
  template Result<FrameNumber> lock_cached_page<G>(System<G>&, Ref<File>, std::uint32_t, Behind);    \
  template Result<FrameNumber> lock_if_cached<G>(System<G>&, Ref<File>, std::uint32_t);              \
  template Result<FrameNumber> publish_locked<G>(System<G>&, Ref<File>, std::uint32_t, FrameNumber); \
  template void unlock_cached_page<G>(System<G>&, FrameNumber);                                      \
  template Result<void> prepare_to_write<G>(System<G>&, Ref<File>, FrameNumber);                     \
  template Result<void> truncate<G>(System<G>&, FileId, PageCount);                                  \
  template Result<void> punch<G>(System<G>&, FileId, PageCount, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
