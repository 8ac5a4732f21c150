#include <algorithm>
#include <array>

#include "base/mutant.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/files.hpp"
#include "mm/gather.hpp"
#include "mm/page.hpp"
#include "mm/walker_inside.hpp"

namespace cowherd::mm {

namespace {

// Who comes by a file's list of mappings holds no mmap lock: tables may go meanwhile, and others may take their place.
//
//   reverse map                            another process of the family
//   find the place of the entry, in a
//   table that both have
//                                          make the table its own: copy the entries, hang in the copy
//   lock the table, clear the entry
//
// and the copy would keep what was cleared. Allowed because the place is looked up again under the table's lock, which
// is held while a copy is made and hung in.

/// The lowest table for `page`, if there is one, is held: `visit(table, shared)` with its lock.
template <class G, class Visit>
void with_table_locked(System<G>& system, Mm& mm, Vpn page, Visit&& visit) {
  const WalkerInside<G> inside(system, mm, page);
  while (true) {
    point(system, mm, Point::kReadTable);
    const auto walk = system.tables(mm).walk_to(page);
    if (!walk.slot) return;
    const FrameNumber table = system.tables(mm).table_of(walk.slot);
    const Live live(system, "with-table-locked", table);
    PageTableGuard<G> guard(system, mm, walk.slot);
    if (guard.blocked()) return;
    const auto again = system.tables(mm).walk_to(page);
    if (again.slot.place() != walk.slot.place()) continue;
    visit(table, again.shared);
    return;
  }
}

template <class G>
void clean_entry(System<G>& system, Mm& mm, Vpn page, FrameNumber frame) {
  with_table_locked(system, mm, page, [&](FrameNumber table, bool) {
    const EntrySlot slot = Tables<G>::slot_at(system.frames(), table, Tables<G>::index_of(page, 0));
    Entry entry = slot.load();
    if (!entry.present() || entry.frame() != frame || (!entry.writable() && !entry.dirty())) return;
    point(system, mm, Point::kProtectEntry);
    while (!slot.replace(entry, entry.with_dirty(false).with_writable(COWHERD_MUTANT(cleaned_entry_stays_writable)))) {
    }
  });
}

/// A range of a file that everybody loses.
template <class G>
struct Unmapping {
  System<G>& system;
  Ref<File> file;
  std::uint32_t first;
  std::uint32_t end;
  bool copies;

  /// Where the range is in `vma`.
  [[nodiscard]] PageRange in(const Vma& vma) const {
    const PageRange part = intersect({Vpn{first}, Vpn{end}}, {vma.index, vma.index + vma.pages.count()});
    if (part.empty()) return {};
    return {vma.pages.begin + (part.begin - vma.index), vma.pages.begin + (part.end - vma.index)};
  }
};

/// What stays in place of an entry: whoever writes there has to ask userfaultfd's handler as before. Compare Linux
/// mm/memory.c: pte_install_uffd_wp_if_needed().
Entry left_of(Entry entry) { return entry.uffd_wp() && !COWHERD_MUTANT(uffd_marker_lost) ? Entry::marker() : Entry{}; }

/// Clears what one lowest table has for `pages`. Returns whether other address spaces may have the table too.
template <class G>
bool clear_entries(const Unmapping<G>& unmapping, Mm& mm, PageRange pages, Gather<G>& cleared, Vpn& stopped) {
  System<G>& system = unmapping.system;
  bool shared_table = false;
  with_table_locked(system, mm, pages.begin, [&](FrameNumber table, bool shared) {
    shared_table = shared;
    Vpn page = pages.begin;
    const Live live(system, "clear-entries", page);
    for (; page < pages.end; ++page) {
      const EntrySlot slot = Tables<G>::slot_at(system.frames(), table, Tables<G>::index_of(page, 0));
      const Entry entry = take_back(system, mm, slot, slot.load());
      if (!entry.present() && !entry.is_empty() && unmapping.copies) {
        if (cleared.full()) break;
        point(system, mm, Point::kClearEntry);
        (void)system.tables(mm).set(slot, left_of(entry));
        // Whoever moves a page finds that nobody wants it here.
        if (entry.swap()) cleared.add_slot(entry.slot());
        continue;
      }
      const bool zeros = entry.present() && entry.frame() == Frames<G>::kZeroPage;
      if (zeros && unmapping.copies && !COWHERD_MUTANT(truncate_leaves_zeros)) {
        // Of userfaultfd's handler: there are none otherwise where a file is mapped.
        point(system, mm, Point::kClearEntry);
        (void)system.tables(mm).set(slot, left_of(entry));
        continue;
      }
      if (!entry.present() || zeros) continue;
      const FrameNumber frame = entry.frame();
      if (system.descriptor(frame).use() != FrameUse::kFile && !unmapping.copies) continue;
      if (cleared.full()) break;
      point(system, mm, Point::kClearEntry);
      (void)system.tables(mm).set(slot, left_of(entry));
      add_rss(system, slot, -1, system.rss_class(frame));
      cleared.add(frame);
      system.note({.kind = EventKind::kUnmapped, .page = page, .frame = frame});
    }
    stopped = page;
  });
  return shared_table;
}

/// The end of what is not there around `at`, where its lowest table is not.
template <class G>
Vpn next_table(System<G>& system, Mm& mm, Vpn at) {
  const WalkerInside<G> inside(system, mm, at);
  for (unsigned level = Tables<G>::kLowerLevels; level > 1; --level) {
    if (!system.tables(mm).walk_to(at, level).load().present()) return Tables<G>::covered(at, level).end;
  }
  return Tables<G>::table_end(at);
}

template <class G>
void unmap_in(const Unmapping<G>& unmapping, Ref<FileMapping> mapping) {
  System<G>& system = unmapping.system;
  const Vma& vma = system.at(system.at(mapping).vma);
  Mm& mm = system.at(vma.mm);
  const PageRange all = unmapping.in(vma);
  Vpn at = all.begin;
  Gather<G> cleared;
  bool shared = false;
  const Live live(system, "unmap-in", at, cleared.frames(), cleared.count(), shared);
  while (at < all.end) {
    const PageRange part{at, std::min(all.end, Tables<G>::table_end(at))};
    Vpn stopped = next_table(system, mm, at);
    const Live stops(system, "stopped", stopped);
    shared = clear_entries(unmapping, mm, part, cleared, stopped);
    if (!COWHERD_MUTANT(truncate_without_flush)) {
      if (!shared) {
        flush_range(system, mm, {at, std::min(stopped, all.end)});
      } else {
        // Who shares the table has lost the page with it, and comes by it through translations of his own.
        Ref<FileMapping> other = system.at(unmapping.file).first;
        const Live flushing(system, "flush-all", other);
        for (; other; other = system.at(other).next) {
          const Vma& his = system.at(system.at(other).vma);
          flush_range(system, system.at(his.mm), unmapping.in(his));
        }
      }
    }
    cleared.drop_all(system);
    at = stopped;
  }
}

}  // namespace

template <class G>
void unmap_file_range(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end, bool copies) {
  const Unmapping<G> unmapping{system, file, first, end, copies};
  const Live asked(system, "unmap-file", file, first, end, copies);
  const MappingGuard<G, true> guard(system, file);
  Ref<FileMapping> at = system.at(file).first;
  const Live live(system, "unmap-file-range", at);
  for (; at; at = system.at(at).next) unmap_in(unmapping, at);
}

/// A page that is being unmapped counts its mapping until the CPUs have forgotten it, and its VMA is on the list until
/// then. So whoever may still write it is found here, with an entry or without:
///
///   munmap                                 writeback
///   clear the entry
///                                          clean all entries: there is none; take the page for clean
///   a CPU stores through what it remembers
///   flush
///
/// and the store would never reach the disk. Allowed because every address space where the page may be is flushed here.
template <class G>
void clean_mappings(System<G>& system, Ref<File> file, FrameNumber frame) {
  point(system, Point::kMapcount);
  if (system.descriptor(frame).mapcount() == 0) return;
  const Vpn index = system.descriptor(frame).index();
  const Live asked(system, "clean-file-page", frame, index);
  const MappingGuard<G, true> guard(system, file);
  Ref<FileMapping> at = system.at(file).first;
  const Live live(system, "clean-mappings", at);
  for (; at; at = system.at(at).next) {
    const Vma& vma = system.at(system.at(at).vma);
    if (index < vma.index || index - vma.index >= vma.pages.count()) continue;
    // A private mapping has no entry that could be written through.
    if (system.at(at).shared == 0) continue;
    const Vpn page = vma.pages.begin + (index - vma.index);
    Mm& mm = system.at(vma.mm);
    const Live here(system, "here", page);
    clean_entry(system, mm, page, frame);
    if (!COWHERD_MUTANT(clean_without_flush)) flush_range(system, mm, {page, page + PageCount{1}});
  }
}

#define COWHERD_INSTANTIATE(G)                                                                  \
  template void unmap_file_range<G>(System<G>&, Ref<File>, std::uint32_t, std::uint32_t, bool); \
  template void clean_mappings<G>(System<G>&, Ref<File>, FrameNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
