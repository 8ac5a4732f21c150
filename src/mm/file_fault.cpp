#include "base/mutant.hpp"
#include "mm/files.hpp"
#include "mm/page.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// What a fault in a file mapping maps, and what it has to give back where it maps nothing.
template <class G>
struct FileFault {
  System<G>& system;
  Mm& mm;
  Ref<Vma> vma;
  Vpn page;
  FaultKind kind;
  /// Of the cache, locked, with a reference.
  FrameNumber frame;
  /// A private copy of it; the zero page: none is wanted.
  FrameNumber copy;

  [[nodiscard]] bool copies() const { return copy != Frames<G>::kZeroPage; }
  [[nodiscard]] bool shared() const { return system.at(vma).flags.shared; }
  void give_up() const {
    if (copies()) system.frames().free(copy);
    unlock_cached_page(system, frame);
  }
};

/// The entry by which a VMA maps a page of a file. A page that a disk is behind, or whose writes are tracked, may be
/// written through it only after a fault that says so. Compare Linux mm/mmap.c: vma_wants_writenotify().
template <class G>
Entry make_file_entry(const FileFault<G>& fault) {
  const Vma& vma = fault.system.at(fault.vma);
  const bool written = vma.flags.shared && fault.kind == FaultKind::kWrite;
  const bool noticed = (fault.system.at(file_of(fault.system, vma)).on_disk() || !vma.flags.soft_dirty) &&
                       !COWHERD_MUTANT(write_not_noticed);
  const bool writable = vma.flags.shared && has(vma.flags.protection, Protection::kWrite) && (written || !noticed);
  return Entry::of(fault.frame)
      .with_user(vma.flags.protection != Protection::kNone)
      .with_dirty(written)
      .with_soft_dirty(writable)
      .with_writable(writable || COWHERD_MUTANT(private_file_page_writable));
}

/// Sets the entry where an empty one is.
template <class G>
void set_entry(const FileFault<G>& fault, PageTableGuard<G>& guard, EntrySlot slot, Entry entry) {
  const Entry there = slot.load();
  point(fault.system, fault.mm, Point::kSetEntry);
  // What was there is counted already.
  there.none() ? guard.set(slot, entry) : slot.store(in_place_of(there, fault.system.at(fault.vma), entry));
}

/// Sets the entry, its lock held.
template <class G>
void map_page(const FileFault<G>& fault, PageTableGuard<G>& guard, EntrySlot slot, bool upgrades) {
  System<G>& system = fault.system;
  if (fault.copies()) {
    add_new_anon_page(system, fault.copy, system.at(fault.vma), fault.page);
    add_rss(system, slot, 1);
    set_entry(fault, guard, slot, make_entry(fault.copy, system.at(fault.vma), true));
    system.note({.kind = EventKind::kCopiedOnWrite,
                 .decision = Decision::kReuse,
                 .page = fault.page,
                 .frame = fault.frame,
                 .new_frame = fault.copy});
    return;
  }
  const EventKind what = fault.kind == FaultKind::kWrite ? EventKind::kFileWritable : EventKind::kFileMapped;
  if (upgrades) {
    point(system, fault.mm, Point::kSetEntry);
    slot.store(make_file_entry(fault));
  } else {
    FrameDescriptor& page = system.descriptor(fault.frame);
    page.add_references(COWHERD_MUTANT(file_mapped_without_reference) ? 0 : 1);
    page.add_mapcount();
    add_rss(system, slot, 1, system.rss_class(fault.frame));
    set_entry(fault, guard, slot, make_file_entry(fault));
  }
  system.note({.kind = what, .page = fault.page, .frame = fault.frame});
}

}  // namespace

/// The page lock is held until the entry is there: who shortens the file takes it before the page goes, and then finds
/// the page mapped.
template <class G>
Result<Faulted> fault_file(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot slot,
                           Entry seen) {
  const Ref<File> file = file_of(system, system.at(vma));
  const auto index = static_cast<std::uint32_t>(system.at(vma).index_of(page).value());
  COWHERD_TRY_ASSIGN(frame, lock_cached_page(system, file, index));
  FileFault<G> fault{system, mm, vma, page, kind, frame, Frames<G>::kZeroPage};
  const Live live(system, "fault-file", fault.frame, fault.copy);
  if (kind == FaultKind::kWrite && !fault.shared()) {
    auto copy = system.allocate_page();
    if (!copy) {
      fault.give_up();
      return copy.error();
    }
    fault.copy = *copy;
    copy_page(system, fault.copy, frame);
  } else if (kind == FaultKind::kWrite) {
    if (auto prepared = prepare_to_write(system, file, frame); !prepared) {
      fault.give_up();
      return prepared.error();
    }
  }
  if (!slot) {
    auto made = make_slot(system, mm, page);
    if (!made) {
      fault.give_up();
      return made.error();
    }
    slot = *made;
  }
  {
    PageTableGuard<G> guard(system, mm, slot);
    if (guard.blocked()) {
      fault.give_up();
      return would_block(system, Point::kPageTableLock);
    }
    // Another thread was faster, or the page went; the processor may have set the accessed bit.
    const Entry now = slot.load();
    const bool upgrades = seen.present() && now.present() && !now.writable() && now.frame() == frame && !now.uffd_wp();
    if (upgrades || (seen.is_empty() && now.is_empty()) || COWHERD_MUTANT(file_fault_recheck_dropped)) {
      map_page(fault, guard, slot, upgrades);
      guard.release();
      unlock_cached_page(system, frame);
      return Faulted::kRetry;
    }
  }
  fault.give_up();
  return Faulted::kRetry;
}

#define COWHERD_INSTANTIATE(G) \
  template Result<Faulted> fault_file<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind, EntrySlot, Entry);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
