#include "mm/move_pages.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/mutant.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Whether CPUs go on using the old addresses until all pages have moved.
template <class G>
bool flushes_late(System<G>& system) {
  const Rules& rules = system.rules();
  return rules.remap_flush == RemapFlush::kLate || rules.tlb_flush == TlbFlush::kAfterUnlock ||
         COWHERD_MUTANT(move_flushes_late);
}

/// Whether entries of `from`, all of one VMA, lose userfaultfd's mark on the way.
template <class G>
bool drops_marks_of(System<G>& system, Mm& mm, PageRange from) {
  const UffdFlags flags = system.at(system.areas(mm).at(from.begin)).flags.uffd;
  return has(flags, UffdFlags::kWriteProtect) && leaves_registration(flags) &&
         system.rules().uffd_remap == UffdRemap::kDrop && !COWHERD_MUTANT(move_keeps_uffd_wp);
}

/// What moves at once: the entries of one lowest table that go to one other, or such a table as a whole.
struct Chunk {
  PageRange pages;
  bool whole_table = false;
};

/// A table goes whole where its entry at the other place is one entry too, and all of it moves. A fast pin that has
/// found the table before must find out: it may have left its note about pins (note_pins_below()) on a way that does
/// not lead to the table any more, and gives up only where the rules make it look at the table's entry again.
template <class G>
bool moves_whole(System<G>& system, Mm& mm, PageRange table, PageRange from, Vpn to) {
  if (drops_marks_of(system, mm, from)) return false;
  if (table.begin < from.begin || from.end < table.end) return false;
  const Vpn there = to + (table.begin - from.begin);
  return there.value() % Tables<G>::span(1) == 0 && system.rules().gup_recheck == GupRecheck::kEntryAndTable;
}

/// The first chunk of `from` with something in it that begins at `at` or after; empty where there is none.
template <class G>
Chunk next_chunk(System<G>& system, Mm& mm, PageRange from, Vpn to, Vpn at) {
  const auto tables = system.tables(mm);
  while ((at = tables.next_used(at, from.end)) < from.end) {
    const PageRange table = Tables<G>::covered(at, 1);
    const bool whole = moves_whole(system, mm, table, from, to);
    const Vpn there = to + (at - from.begin);
    const PageCount fits = Tables<G>::table_end(there) - there;
    const PageRange pages = whole ? table : intersect({at, std::min(table.end, at + fits)}, from);
    const FrameNumber frame = tables.table_of(tables.find(at));
    const bool empty =
        Tables<G>::for_each_in(system.frames(), frame, pages, [](Vpn, EntrySlot, Entry) { return false; });
    if (!empty) return {pages, whole};
    at = pages.end;
  }
  return {{from.end, from.end}, false};
}

/// Whether a table that covers `span` is there and stays, with what it needs to be there for: a lowest table below it
/// that neither goes with what is in `target` nor leaves with `from`.
template <class G>
bool stays(System<G>& system, Mm& mm, PageRange span, PageRange from, PageRange target) COWHERD_REQUIRES(mm.mmap_lock) {
  const auto tables = system.tables(mm);
  Vpn at = span.begin;
  while ((at = tables.next_used(at, span.end)) < span.end) {
    const PageRange table = Tables<G>::covered(at, 1);
    Vpn next = table.end;
    bool goes = nothing_outside(system, mm, table, target);
    for (const PageRange& going : {from, target}) {
      if (table.begin < going.begin || going.end < table.end) continue;
      goes = true;
      next = std::max(next, Tables<G>::covered(going.end, 1).begin);
    }
    if (!goes) return true;
    at = next;
  }
  return false;
}

/// The place of the entry of `level` for `page`, with the tables above it.
template <class G>
EntrySlot place_for(System<G>& system, Mm& mm, Vpn page, unsigned level, TableReserve<G>& reserve) {
  auto tables = system.tables(mm);
  for (unsigned above = Tables<G>::kLowerLevels; above > level; --above) {
    const EntrySlot place = tables.walk_to(page, above).slot;
    if (place.load().present()) continue;
    point(system, mm, Point::kSetEntry);
    tables.set(place, Entry::of(reserve.take()).with_writable(true));
  }
  return tables.walk_to(page, level).slot;
}

/// What fork has to know of the tables at the old place it has to know at the new one.
template <class G>
void pass_on_pins_below(System<G>& system, Mm& mm, FrameNumber table, Vpn there) {
  if (system.descriptor(table).pins_below() && !COWHERD_MUTANT(move_forgets_pins_below)) {
    note_pins_below(system, mm, there);
  }
}

/// Takes the table out of its old place and hangs it in at the new one, when nobody is in it any more:
///
///   mremap                                 fast pin
///                                          read the table's entry, say that pins are below
///   clear the table's entry, flush
///                                          take a reference, read the page's entry again: it is the same
///                                          read the table's entry again: it has changed
///                                          let go
///   wait for it, hang the table in
///
/// Allowed because whoever read the table's entry before it was cleared is waited for, and whoever kept his reference
/// has left his note on the table itself, or lets go.
template <class G>
void move_table(System<G>& system, Mm& mm, PageRange pages, Vpn there, TableReserve<G>& reserve, PendingFlush<G>& flush)
    COWHERD_REQUIRES(mm.mmap_lock) {
  auto tables = system.tables(mm);
  const EntrySlot place = tables.walk_to(pages.begin, 1).slot;
  point(system, mm, Point::kClearEntry);
  const Entry entry = tables.set(place, Entry{});
  const Live live(system, "move-table", entry);
  if (!COWHERD_MUTANT(move_without_flush)) flush.add(pages);
  if (!flushes_late(system)) flush.after_unlock();
  wait_for_walkers(system, mm, pages);
  const EntrySlot new_place = place_for(system, mm, there, 1, reserve);
  point(system, mm, Point::kSetEntry);
  tables.set(new_place, entry);
  pass_on_pins_below(system, mm, entry.frame(), there);
  // Only now: the tables above may be those of the new place too.
  if (system.descriptor(tables.table_of(place)).mapcount() == 0) {
    tables.prune(pages.begin, [&](PageRange covered) { wait_for_walkers(system, mm, covered); });
  }
  system.note({.kind = EventKind::kTableMoved, .page = there, .frame = entry.frame()});
}

/// Moves the entries of `pages`, all of one lowest table, to another one. No CPU reaches a page by its old address once
/// one can by its new one:
///
///   mremap                                 two threads of the process
///   the entry leaves the old place
///                                          T1 stores to the old address, by a translation that its CPU remembers
///   flush
///   the entry arrives at the new place
///                                          T2 stores to the new address
///
/// Allowed because the flush lies between, and both locks are held until the page is where its reverse map says: who
/// unmaps it at the new place forgets the new address only.
template <class G>
void move_entries(System<G>& system, Mm& mm, bool of_file, PageRange pages, Vpn there, TableReserve<G>& reserve,
                  PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  const EntrySlot to_slot = place_for(system, mm, there, 0, reserve);
  const EntrySlot from_slot = tables.find(pages.begin);
  const FrameNumber from_table = tables.table_of(from_slot);
  const FrameNumber to_table = tables.table_of(to_slot);
  const PageTableGuard<G> guard(system, mm, from_slot);
  std::optional<PageTableGuard<G>> to_guard;
  if (to_table != from_table) to_guard.emplace(system, mm, to_slot);
  if (guard.blocked() || (to_guard && to_guard->blocked())) {
    return;
  }
  const bool late = flushes_late(system);
  Vpn at = pages.begin;
  bool arriving = late;
  const Live live(system, "move-entries", at, arriving);
  if (!late) {
    Tables<G>::for_each_in(system.frames(), from_table, pages, [&](Vpn page, EntrySlot slot, Entry entry) {
      at = page;
      entry = take_back(system, mm, slot, entry);
      if (!entry.present()) return true;
      point(system, mm, Point::kClearEntry);
      while (!slot.replace(entry, entry.departed())) {
      }
      if (!COWHERD_MUTANT(move_without_flush)) flush.add({page, page + PageCount{1}});
      return true;
    });
    arriving = true;
    at = pages.begin;
    flush.after_unlock();
  }
  pass_on_pins_below(system, mm, from_table, there);
  const bool drops_marks = drops_marks_of(system, mm, pages);
  TableTally<G> from_tally(system, mm, from_table);
  TableTally<G> to_tally(system, mm, to_table);
  Tables<G>::for_each_in(system.frames(), from_table, pages, [&](Vpn page, EntrySlot slot, Entry) {
    at = page;
    point(system, mm, Point::kSetEntry);
    const Entry was = COWHERD_MUTANT(moved_entry_stays) ? slot.load() : from_tally.clear(slot);
    if (late) flush.add({page, page + PageCount{1}});
    Entry entry = was.in_transit() ? was.arrived() : was.on_device() ? was.taken_back() : was;
    // Who tracks writes has to see that what is here now was not here before.
    entry = entry.with_soft_dirty(!COWHERD_MUTANT(move_is_not_soft_dirty));
    if (drops_marks && was.is_marker()) return true;
    if (was.is_marker()) entry = was;
    if (drops_marks) entry = entry.with_uffd_wp(false);
    if (COWHERD_MUTANT(move_loses_dirty)) entry = entry.with_dirty(false);
    to_tally.set(to_slot.after((page - pages.begin).value()), entry);
    if (entry.present() && entry.frame() != Frames<G>::kZeroPage) {
      const RssClass rss = of_file ? system.rss_class(entry.frame()) : RssClass::kAnon;
      from_tally.add_rss(COWHERD_MUTANT(move_without_rss) ? 0 : -1, rss);
      to_tally.add_rss(1, rss);
    }
    system.note({.kind = EventKind::kMoved, .page = there + (page - pages.begin), .frame = entry.frame()});
    return true;
  });
}

}  // namespace

template <class G>
TableReserve<G>::~TableReserve() {
  while (first_ != FrameNumber{0} && !COWHERD_MUTANT(move_leaks_reserve)) {
    const FrameNumber table = take();
    system_.frames().put(table);
  }
}

template <class G>
Result<void> TableReserve<G>::fill(std::uint64_t tables) {
  for (; tables != 0; --tables) {
    COWHERD_TRY_ASSIGN(made, Tables<G>::make_table(system_.frames()));
    system_.descriptor(made).set_owner(first_.value(), Vpn{0});
    first_ = made;
  }
  return {};
}

template <class G>
FrameNumber TableReserve<G>::take() {
  const FrameNumber table = first_;
  assert(table != FrameNumber{0});
  first_ = FrameNumber{system_.descriptor(table).owner()};
  system_.descriptor(table).set_owner(0, Vpn{0});
  return table;
}

template <class G>
std::uint64_t tables_for_move(System<G>& system, Mm& mm, PageRange from, PageRange target) {
  VmaTree areas = system.areas(mm);
  std::uint64_t count = 0;
  // By level, the end of the last span that a table was counted for.
  std::array<Vpn, Tables<G>::kLowerLevels + 1> counted{};
  for (Ref<Vma> vma = areas.find(from.begin); vma && system.at(vma).pages.begin < from.end; vma = areas.next(vma)) {
    const PageRange part = system.at(vma).pages;
    const Vpn to = target.begin + (part.begin - from.begin);
    for (Chunk chunk = next_chunk(system, mm, part, to, part.begin); !chunk.pages.empty();
         chunk = next_chunk(system, mm, part, to, chunk.pages.end)) {
      const Vpn there = to + (chunk.pages.begin - part.begin);
      for (unsigned level = Tables<G>::kLowerLevels; level > (chunk.whole_table ? 1U : 0U); --level) {
        if (there < counted[level]) continue;
        const PageRange span = Tables<G>::covered(there, level);
        counted[level] = span.end;
        count += stays(system, mm, span, from, target) ? 0 : 1;
      }
    }
  }
  return count;
}

template <class G>
void move_pages(System<G>& system, Mm& mm, Ref<Vma> vma, PageRange from, Vpn to, TableReserve<G>& reserve) {
  PendingFlush<G> flush(system, mm);
  Vpn at = from.begin;
  const Live live(system, "move-pages", at, flush.range());
  {
    // Who looks for all places of a page may come to the new one before it is there, and to the old one after.
    std::optional<VmaMappingGuard<G>> mapping_guard;
    if (!COWHERD_MUTANT(move_without_mapping_lock)) mapping_guard.emplace(system, vma);
    const AnonVmaGuard<G> guard(system, mm, vma);
    while (at < from.end) {
      const Chunk chunk = next_chunk(system, mm, from, to, at);
      if (chunk.pages.empty()) break;
      at = chunk.pages.begin;
      const Vpn there = to + (at - from.begin);
      if (chunk.whole_table) {
        move_table(system, mm, chunk.pages, there, reserve, flush);
      } else {
        move_entries(system, mm, static_cast<bool>(system.at(vma).mapping), chunk.pages, there, reserve, flush);
      }
      at = chunk.pages.end;
    }
  }
  flush.after_unlock();
}

#define COWHERD_INSTANTIATE(G)                                                      \
  template class TableReserve<G>;                                                   \
  template std::uint64_t tables_for_move<G>(System<G>&, Mm&, PageRange, PageRange); \
  template void move_pages<G>(System<G>&, Mm&, Ref<Vma>, PageRange, Vpn, TableReserve<G>&);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
