#include <cstring>
#include <optional>

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
#include "mm/files.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// Whether the page goes to the disk: a page that is dirty without the file system's knowing may not.
template <class G>
bool may_write_out(System<G>& system, FrameDescriptor& page) {
  if (page.prepared() || system.rules().dirty_unprepared == DirtyUnprepared::kWrite) return true;
  if (system.rules().dirty_unprepared == DirtyUnprepared::kBug) system.report(Violation::kUnprepared);
  page.set_dirty(false);
  return false;
}

/// Writes out a dirty page, whose lock the caller holds and loses.
///
/// A device writes without a fault, and so without a word:
///
///   writeback                              device, through a pin
///   write-protect all entries
///   take the page for clean
///   copy it to the disk
///                                          write
///                                          let go of the page
///
/// and what it wrote would never reach the disk. Allowed because a page that may be pinned stays dirty: whoever can
/// still write it is seen here, since nobody takes a reference for writing through an entry that is read-only.
template <class G>
void write_out(System<G>& system, Ref<File> file, FrameNumber frame, std::uint32_t index) {
  FrameDescriptor& page = system.descriptor(frame);
  wait_until_written(system, frame);
  const auto asks = [&] {
    point(system, Point::kReadCounts);
    return stays_dirty(system.rules(), system.state(frame));
  };
  const bool asked_first = COWHERD_MUTANT(writeback_asks_first) && asks();
  const Live live(system, "write-out", asked_first);
  clean_mappings(system, file, frame);
  const bool stays = COWHERD_MUTANT(writeback_asks_first) ? asked_first : asks();
  const Live asked(system, "asked", stays);
  point(system, Point::kDirty);
  std::optional<BlockNumber> block;
  {
    const MappingGuard<G, true> guard(system, file);
    block = find_block(system.frames(), system.at(file), index);
  }
  if (!block || !may_write_out(system, page)) {
    unlock_page_of(system, frame);
    return;
  }
  page.set_under_writeback(true);
  const bool clean_late = COWHERD_MUTANT(writeback_keeps_dirt);
  if (stays) {
    page.set_prepared(true);
  } else if (!clean_late) {
    page.set_prepared(false);
    page.set_dirty(false);
  }
  unlock_page_of(system, frame);
  const BlockNumber to = *block;
  const Live writing(system, "writing", to);
  point(system, Point::kDisk);
  copy_racing(system.swap().bytes(to), system.frames().bytes(frame), Geometry<G>::kPageBytes);
  if (clean_late && !stays) {
    point(system, Point::kDirty);
    page.set_dirty(false);
    page.set_prepared(false);
  }
  point(system, Point::kWriteback);
  page.set_under_writeback(false);
  system.note(
      {.kind = EventKind::kWrittenBack, .decision = Decision::kWritebackPinned, .page = page.index(), .frame = frame});
}

}  // namespace

template <class G>
Result<void> writeback_range(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  if (!system.at(file).on_disk()) return {};
  std::uint32_t at = first;
  const Live live(system, "writeback", at, end);
  for (FilePlace found = hold_next_place(system, file, at); found.frame != Frames<G>::kZeroPage;
       found = hold_next_place(system, file, at)) {
    if (found.index >= end) {
      put_page(system, found.frame);
      break;
    }
    at = found.index + 1;
    const Live held(system, "held", found.frame, found.index);
    if (auto locked = wait_for_page_lock(system, found.frame); !locked) {
      put_page(system, found.frame);
      return locked;
    }
    const FrameDescriptor& page = system.descriptor(found.frame);
    if (page.owner() == file.unit && page.dirty()) {
      write_out(system, file, found.frame, found.index);
    } else {
      // Another agent may be writing it out: who asks for this wants it to be there.
      wait_until_written(system, found.frame);
      unlock_page_of(system, found.frame);
    }
    put_page(system, found.frame);
  }
  return {};
}

template <class G>
Result<void> writeback(System<G>& system, FileId id) {
  return writeback_range(system, file_ref<G>(id), 0, ~std::uint32_t{0});
}

template <class G>
Result<void> drop_cache(System<G>& system, FileId id) {
  const Ref<File> file = file_ref<G>(id);
  if (!system.at(file).on_disk()) return {};
  std::uint32_t at = 0;
  const Live live(system, "drop-cache", at);
  for (FilePlace found = hold_next_place(system, file, at); found.frame != Frames<G>::kZeroPage;
       found = hold_next_place(system, file, at)) {
    at = found.index + 1;
    const Live held(system, "held", found.frame, found.index);
    FrameDescriptor& page = system.descriptor(found.frame);
    point(system, Point::kTryPageLock);
    if (!try_lock_page_of(system, found.frame)) {
      put_page(system, found.frame);
      continue;
    }
    bool dropped = false;
    {
      // Nobody finds the page meanwhile, and who had it before has a reference or a mapping.
      const MappingGuard<G, false> guard(system, file);
      const bool idle = page.mapcount() == 0 && page.references() == 2;
      dropped = idle && page.owner() == file.unit && !page.dirty() && !page.under_writeback();
      if (dropped) {
        remove_cached(system.frames(), system.at(file), found.index);
        page.set_owner(0, page.index());
      }
    }
    unlock_page_of(system, found.frame);
    put_page(system, found.frame, dropped ? 2 : 1);
  }
  return {};
}

template <class G>
void read_disk(System<G>& system, FileId id, ByteCount offset, std::span<std::byte> to) {
  const Ref<File> file = file_ref<G>(id);
  for (std::size_t done = 0; done < to.size(); ++done) {
    const std::uint64_t at = offset.value() + done;
    const auto index = static_cast<std::uint32_t>(at / Geometry<G>::kPageBytes);
    const auto block = find_block(system.frames(), system.at(file), index);
    to[done] = block ? system.swap().bytes(*block)[at % Geometry<G>::kPageBytes] : std::byte{0};
  }
}

#define COWHERD_INSTANTIATE(G)                                                                   \
  template Result<void> writeback_range<G>(System<G>&, Ref<File>, std::uint32_t, std::uint32_t); \
  template Result<void> writeback<G>(System<G>&, FileId);                                        \
  template Result<void> drop_cache<G>(System<G>&, FileId);                                       \
  template void read_disk<G>(System<G>&, FileId, ByteCount, std::span<std::byte>);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
