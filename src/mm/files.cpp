#include "mm/files.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
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

/// What the file holds at `index`, into `to`.
template <class G>
void read_block(System<G>& system, Ref<File> file, std::uint32_t index, FrameNumber to) {
  const auto block = system.at(file).on_disk() ? block_of(system, file, index) : std::nullopt;
  if (!block || COWHERD_MUTANT(block_not_read)) {
    std::memset(system.frames().bytes(to), 0, Geometry<G>::kPageBytes);
    return;
  }
  point(system, Point::kDisk);
  std::memcpy(system.frames().bytes(to), system.swap().bytes(*block), Geometry<G>::kPageBytes);
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

/// A page that is not in the cache, with what the file holds there.
template <class G>
Result<FrameNumber> bring_in(System<G>& system, Ref<File> file, std::uint32_t index, Behind behind) {
  COWHERD_TRY_ASSIGN(fresh, system.allocate_page(FrameUse::kFile));
  const Live live(system, "bring-in", fresh);
  read_block(system, file, index, fresh);
  // One reference is the cache's, one the caller's.
  system.descriptor(fresh).start_file(file.unit, Vpn{index}, 2);
  auto published = publish(system, file, index, fresh, behind);
  if (published && *published) return fresh;
  FrameDescriptor& unused = system.descriptor(fresh);
  (void)unused.drop_references(2);
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

/// Of pages in [first, end), which are not in the cache.
template <class G>
void drop_blocks(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  if (!system.at(file).on_disk()) return;
  const Live live(system, "drop-blocks", file, first, end);
  const MappingGuard<G, false> guard(system, file);
  for (auto at = next_block(system.frames(), system.at(file), first); at && at->index < end;
       at = next_block(system.frames(), system.at(file), first)) {
    remove_block(system.frames(), system.at(file), at->index);
    const BlockNumber gone = at->block;
    const Live going(system, "drop-block", gone);
    drop_block(system, gone);
  }
}

/// Takes pages [first, end) out of the cache, and out of every mapping before. kWouldBlock.
/// Compare Linux mm/truncate.c: truncate_inode_pages_range().
template <class G>
Result<void> drop_cached_range(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  std::uint32_t at = first;
  const Live live(system, "drop-cached-range", at);
  while (true) {
    const FilePlace found = hold_next_place(system, file, at);
    if (found.none() || found.index >= end) {
      if (found.frame != Frames<G>::kZeroPage) put_page(system, found.frame);
      drop_blocks(system, file, first, end);
      return {};
    }
    at = found.index + 1;
    if (found.slot) [[unlikely]] {
      // It may be on its way back, and is looked for again.
      at = found.index;
      if (drop_from_swap(system, file, found.index, *found.slot)) ++at;
      continue;
    }
    const Live held(system, "held", found.frame, found.index);
    if (auto locked = wait_for_page_lock(system, found.frame); !locked) {
      put_page(system, found.frame);
      return locked;
    }
    wait_until_written(system, found.frame);
    const bool went = system.descriptor(found.frame).owner() != file.unit;
    if (went && !COWHERD_MUTANT(truncate_takes_swapped_out_page)) [[unlikely]] {
      // To swap, while its lock was waited for.
      at = found.index;
      unlock_cached_page(system, found.frame);
      continue;
    }
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
  system.at(made).disk = kind == FileKind::kDisk;
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
  if (system.at(file).promised) [[unlikely]]
    unreserve_hugetlb_file(system, file);
  for (FilePlace page = next_place(system.frames(), system.at(file), 0); !page.none();
       page = next_place(system.frames(), system.at(file), page.index)) {
    if (page.slot) {
      (void)drop_from_swap(system, file, page.index, *page.slot);
      continue;
    }
    cut_off(system, file, page.frame, page.index);
    put_page(system, page.frame);
  }
  drop_blocks(system, file, 0, ~std::uint32_t{0});
  system.frames().destroy(file);
}

template <class G>
Result<FrameNumber> get_cached_page(System<G>& system, Ref<File> file, std::uint32_t index, Behind behind) {
  while (true) {
    point(system, Point::kFileSize);
    if (behind == Behind::kForbidden && index >= system.at(file).size()) return Errno::kSigBus;
    COWHERD_TRY_ASSIGN(found, hold_place(system, file, index));
    if (found.frame != Frames<G>::kZeroPage) return found.frame;
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
Result<FileId> create_file(System<G>& system, FileKind kind, PageCount pages) {
  if (pages.value() > kMaxFilePages || (kind == FileKind::kDisk && !system.has_swap())) return Errno::kInvalid;
  COWHERD_TRY_ASSIGN(made, make_file(system, kind, static_cast<std::uint32_t>(pages.value())));
  system.at(made).users = 1;
  system.at(made).open = true;
  return FileId{made.unit};
}

template <class G>
void close_file(System<G>& system, FileId id) {
  const Ref<File> file = file_ref<G>(id);
  system.at(file).open = false;
  put_file(system, file);
}

template <class G>
PageCount file_size(System<G>& system, FileId id) {
  return PageCount{system.at(file_ref<G>(id)).size()};
}

template <class G>
Access read_file(System<G>& system, FileId id, ByteCount offset, std::span<std::byte> to) {
  const Ref<File> file = file_ref<G>(id);
  std::size_t done = 0;
  const Live live(system, "read-file", done);
  while (done < to.size()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t index = at / Geometry<G>::kPageBytes;
    if (index > kMaxFilePages) break;
    auto frame = get_cached_page(system, file, static_cast<std::uint32_t>(index));
    if (!frame && frame.error() == Errno::kSigBus) break;
    if (!frame) return {ByteCount{done}, frame.error()};
    const std::size_t in_page = at % Geometry<G>::kPageBytes;
    const std::size_t part = std::min(to.size() - done, Geometry<G>::kPageBytes - in_page);
    const Live held(system, "held", *frame);
    point(system, Point::kDevice);
    copy_racing(to.data() + done, system.frames().bytes(*frame) + in_page, part);
    put_page(system, *frame);
    done += part;
  }
  return {ByteCount{done}};
}

template <class G>
Access write_file(System<G>& system, FileId id, ByteCount offset, std::span<const std::byte> from) {
  const Ref<File> file = file_ref<G>(id);
  std::size_t done = 0;
  const Live live(system, "write-file", done);
  const FileGuard<G> guard(system, file);
  if (guard.blocked()) return {ByteCount{0}, would_block(system, Point::kFileLock)};
  while (done < from.size()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t index = at / Geometry<G>::kPageBytes;
    if (index >= kMaxFilePages) return {ByteCount{done}, Errno::kInvalid};
    const auto number = static_cast<std::uint32_t>(index);
    auto frame = lock_cached_page(system, file, number, Behind::kAllowed);
    if (!frame) return {ByteCount{done}, frame.error()};
    const std::size_t in_page = at % Geometry<G>::kPageBytes;
    const std::size_t part = std::min(from.size() - done, Geometry<G>::kPageBytes - in_page);
    const Live held(system, "held", *frame);
    if (auto prepared = prepare_to_write(system, file, *frame); !prepared) {
      unlock_cached_page(system, *frame);
      return {ByteCount{done}, prepared.error()};
    }
    point(system, Point::kDevice);
    copy_racing(system.frames().bytes(*frame) + in_page, from.data() + done, part);
    // Only now can anybody come by it who could not before.
    point(system, Point::kFileSize);
    if (number >= system.at(file).size()) system.at(file).set_size(number + 1);
    unlock_cached_page(system, *frame);
    done += part;
  }
  return {ByteCount{done}};
}

template <class G>
Result<void> truncate(System<G>& system, FileId id, PageCount pages) {
  if (pages.value() > kMaxFilePages) return Errno::kInvalid;
  const Ref<File> file = file_ref<G>(id);
  const FileGuard<G> guard(system, file);
  if (guard.blocked()) return would_block(system, Point::kFileLock);
  const auto size = static_cast<std::uint32_t>(pages.value());
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
  template Result<FileId> create_file<G>(System<G>&, FileKind, PageCount);                           \
  template void close_file<G>(System<G>&, FileId);                                                   \
  template PageCount file_size<G>(System<G>&, FileId);                                               \
  template Access read_file<G>(System<G>&, FileId, ByteCount, std::span<std::byte>);                 \
  template Access write_file<G>(System<G>&, FileId, ByteCount, std::span<const std::byte>);          \
  template Result<void> truncate<G>(System<G>&, FileId, PageCount);                                  \
  template Result<void> punch<G>(System<G>&, FileId, PageCount, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
