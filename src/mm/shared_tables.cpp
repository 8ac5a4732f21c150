#include "mm/shared_tables.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/full_fence.hpp"
#include "base/mutant.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/swap.hpp"

namespace cowherd::mm {

namespace {

/// Makes the entries of `copy` those of `table`, both of `level`: what they name is in both from now on, and may be
/// written through neither. Called with the lock of `table`. ENOMEM: `copy` then holds a part.
template <class G>
Result<void> copy_entries(System<G>& system, Mm& mm, FrameNumber table, FrameNumber copy, unsigned level) {
  TableTally<G> tally(system, mm, copy);
  std::size_t at = 0;
  const Live live(system, "copy-entries", at);
  for (; at < Geometry<G>::kEntries; ++at) {
    const EntrySlot from = Tables<G>::slot_at(system.frames(), table, at);
    Entry entry = from.load();
    if (entry.none()) continue;
    if (level == 0) entry = take_back(system, mm, from, entry);
    Tables<G>::prefetch_ahead(system.frames(), table, at);
    if (level == 1 && entry.huge()) [[unlikely]] {
      COWHERD_TRY(map_huge_once_more(system, entry.frame()));
    } else if (level != 0) {
      point(system, Point::kTakeReference);
      if (!COWHERD_MUTANT(table_copy_without_reference)) system.descriptor(entry.frame()).add_references(1);
    } else if (entry.poison() || entry.is_marker()) [[unlikely]] {
      tally.set(Tables<G>::slot_at(system.frames(), copy, at), entry);
      continue;
    } else if (entry.swap()) [[unlikely]] {
      COWHERD_TRY(duplicate_swap(system, entry.slot()));
      const bool keeps = entry.swap_exclusive() && COWHERD_MUTANT(table_copy_keeps_swap_mark);
      from.store(entry.with_swap_exclusive(keeps));
      tally.set(Tables<G>::slot_at(system.frames(), copy, at), entry.with_swap_exclusive(false));
      continue;
    } else if (entry.frame() != Frames<G>::kZeroPage) {
      COWHERD_TRY(map_once_more(system, entry.frame()));
      tally.add_rss(1, system.rss_class(entry.frame()));
    }
    // No CPU writes through it as it is: the table above is write-protected.
    if (entry.writable() && !COWHERD_MUTANT(table_copy_keeps_writable)) (void)protect_entry<G>(from, entry);
    const bool stays_writable = entry.writable() && COWHERD_MUTANT(table_copy_keeps_writable);
    tally.set(Tables<G>::slot_at(system.frames(), copy, at), entry.with_writable(stays_writable).with_young(false));
  }
  return {};
}

/// Makes the table that `place` names, of `level`, the address space's own. ENOMEM.
///
/// The table may lose its other owners meanwhile:
///
///   this address space                   the last other one
///   two have the table: make another
///                                        let go of it
///   copy the entries, let go of it: it was the last reference
///
/// and everything in it is given back, each page then being mapped by the new table alone. Allowed because whoever has
/// the last reference gives back what is below, and an exclusive mark that is gone costs no more than a copy.
template <class G>
Result<void> own_table(System<G>& system, Mm& mm, EntrySlot place, unsigned level, Vpn page) {
  const Entry entry = place.load();
  const FrameNumber table = entry.frame();
  FrameNumber copy{0};
  point(system, Point::kReadCounts);
  if (system.descriptor(table).references() != 1) {
    COWHERD_TRY_ASSIGN(made, Tables<G>::make_table(system.frames()));
    copy = made;
  }
  const Live live(system, "own-table", entry, copy);
  Result<void> copied;
  bool reused = false;
  {
    const PageTableGuard<G> guard(system, mm, Tables<G>::slot_at(system.frames(), table, 0));
    if (guard.blocked()) {
      if (copy.value() != 0) system.frames().put(copy);
      return would_block(system, Point::kPageTableLock);
    }
    reused = system.descriptor(table).references() == 1 || COWHERD_MUTANT(shared_table_reused);
    if (!reused) {
      copied = copy_entries(system, mm, table, copy, level);
    }
    if (copied) {
      point(system, mm, Point::kSetEntry);
      place.store(reused ? entry.with_writable(true) : Entry::of(copy).with_writable(true));
    }
  }
  if (reused || !copied) {
    if (copy.value() != 0) put_table(system, copy, level);
    return copied;
  }
  system.note({.kind = EventKind::kTableCopied, .page = page, .frame = table, .new_frame = copy});
  if (!COWHERD_MUTANT(table_put_under_walker)) wait_for_walkers(system, mm, Tables<G>::covered(page, level + 1));
  if (!COWHERD_MUTANT(copied_table_kept)) put_table(system, table, level);
  return {};
}

/// Shared tables whose entries were cleared, and that go back when no CPU can reach what is below them any more.
template <class G>
class UnhookedTables {
 public:
  struct Unhooked {
    FrameNumber table;
    /// Of the entry that named it; kHuge: it is no table.
    std::uint32_t level;
  };
  static constexpr std::uint32_t kHuge = 0;

  [[nodiscard]] bool full() const { return count_ == all_.size(); }
  void add(Unhooked unhooked) { all_[count_++] = unhooked; }
  Unhooked take() { return std::exchange(all_[--count_], {}); }

  // For the state of a suspended operation.
  [[nodiscard]] const auto& all() const { return all_; }
  [[nodiscard]] const std::uint32_t& count() const { return count_; }

 private:
  std::array<Unhooked, std::min<std::size_t>(Geometry<G>::kEntries, 64)> all_{};
  std::uint32_t count_ = 0;
};

}  // namespace

template <class G>
bool nothing_outside(System<G>& system, Mm& mm, PageRange span, PageRange range) {
  VmaTree areas = system.areas(mm);
  const auto any = [&](Vpn begin, Vpn end) {
    if (begin >= end) return false;
    const Ref<Vma> vma = areas.find(begin);
    return static_cast<bool>(vma) && system.at(vma).pages.begin < end;
  };
  return !any(span.begin, range.begin) && !any(range.end, span.end);
}

template <class G>
Result<bool> own_tables(System<G>& system, Mm& mm, Vpn page, OnHuge on_huge) {
  const Live live(system, "own-tables", page);
  for (unsigned level = Tables<G>::kLowerLevels; level > 0; --level) {
    const Live at_level(system, "level", level);
    const EntrySlot place = system.tables(mm).walk_to(page, level).slot;
    if (!place || !place.load().present()) break;
    if (place.load().huge()) {
      if (on_huge == OnHuge::kKeep) break;
      return own_huge(system, mm, place, Tables<G>::covered(page, 1).begin, on_huge);
    }
    if (!place.load().writable()) COWHERD_TRY(own_table(system, mm, place, level - 1, page));
  }
  return false;
}

template <class G>
Result<void> own_tables(System<G>& system, Mm& mm, PageRange range, OnHuge on_huge) {
  Vpn at = range.begin;
  unsigned level = Tables<G>::kLowerLevels;
  const Live live(system, "own-range", at, level);
  while (at < range.end) {
    const EntrySlot place = system.tables(mm).walk_to(at, level).slot;
    const bool present = place.load().present();
    if (present && place.load().huge()) {
      if (on_huge != OnHuge::kKeep) {
        COWHERD_TRY(own_huge(system, mm, place, Tables<G>::covered(at, 1).begin, on_huge));
      }
    } else if (present && !place.load().writable()) {
      COWHERD_TRY(own_table(system, mm, place, level - 1, at));
    }
    if (present && level > 1) {
      --level;
    } else {
      at = Tables<G>::covered(at, level).end;
      level = Tables<G>::kLowerLevels;
    }
  }
  return {};
}

template <class G>
Result<bool> lock_and_own_tables(System<G>& system, Mm& mm, Vpn page, OnHuge on_huge) {
  const Live live(system, "lock-and-own-tables", page, on_huge);
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  return own_tables(system, mm, page, on_huge);
}

template <class G>
Result<void> own_edges(System<G>& system, Mm& mm, PageRange range) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end, true);
  const Live live(system, "own-edges", at);
  while (at < range.end) {
    const auto shared = tables.find_shared(at);
    const PageRange span = Tables<G>::covered(at, shared.level == 0 ? 1 : shared.level);
    if (shared.level != 0 && !nothing_outside(system, mm, span, range)) {
      const bool huge = shared.place.load().huge();
      COWHERD_TRY(huge ? split_huge(system, mm, shared.place, span.begin)
                       : own_table(system, mm, shared.place, shared.level - 1, at));
    } else {
      at = tables.next_used(span.end, range.end, true);
    }
  }
  return {};
}

namespace {

/// Takes a shared table, or a huge page, out of the one above, which goes too with its last entry.
template <class G>
Entry unhook_shared(System<G>& system, Mm& mm, Vpn at, EntrySlot place) {
  auto tables = system.tables(mm);
  const auto unhook = [&] {
    point(system, mm, Point::kClearEntry);
    const Entry gone = tables.set(place, Entry{});
    if (system.descriptor(tables.table_of(place)).mapcount() == 0) {
      tables.prune(at, [&](PageRange covered) { wait_for_walkers(system, mm, covered); });
    }
    return gone;
  };
  if (!system.has_pool()) return unhook();
  // Who takes a hugetlb page from this address space comes without its mmap lock, and must not be in a table that goes.
  const UpperTableGuard<G> guard(system, mm);
  return unhook();
}

}  // namespace

template <class G>
void drop_shared_tables(System<G>& system, Mm& mm, PageRange range) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end, true);
  UnhookedTables<G> unhooked;
  const Live live(system, "drop-shared-tables", at, unhooked.all(), unhooked.count());
  while (at < range.end) {
    const Vpn first = at;
    while (at < range.end && !unhooked.full()) {
      const auto shared = tables.find_shared(at);
      if (shared.level != 0) {
        const Entry gone = unhook_shared(system, mm, at, shared.place);
        unhooked.add({gone.frame(), gone.huge() ? UnhookedTables<G>::kHuge : shared.level});
      }
      at = tables.next_used(Tables<G>::covered(at, shared.level == 0 ? 1 : shared.level).end, range.end, true);
    }
    if (unhooked.count() == 0) continue;
    // Nobody of this address space loads from their pages or is in them: it may be the last to have them.
    if (!COWHERD_MUTANT(shared_table_dropped_without_flush)) {
      const PageRange gone{Tables<G>::covered(first, Tables<G>::kLowerLevels).begin, at};
      flush_range(system, mm, gone);
      wait_for_walkers(system, mm, gone);
    }
    while (unhooked.count() != 0) {
      const auto [table, level] = unhooked.take();
      level == UnhookedTables<G>::kHuge ? put_huge(system, table) : put_table(system, table, level - 1);
    }
  }
}

namespace {

/// Gives up what the entries of `table` name.
template <class G>
void put_entries(System<G>& system, FrameNumber table, unsigned level) {
  std::size_t at = 0;
  const Live live(system, "put-entries", table, level, at);
  FreedPages<G> freed(system);
  for (; at < Geometry<G>::kEntries; ++at) {
    const Entry entry = Tables<G>::slot_at(system.frames(), table, at).load();
    if (entry.none()) continue;
    Tables<G>::prefetch_ahead(system.frames(), table, at);
    if (level == 1 && entry.huge()) [[unlikely]] {
      put_huge(system, entry.frame());
    } else if (level != 0) {
      // Who may write below has the table alone.
      entry.writable() ? free_table(system, entry.frame(), level - 1) : put_table(system, entry.frame(), level - 1);
    } else if (entry.swap()) [[unlikely]] {
      free_swap_entry(system, entry.slot());
    } else if (entry.holds_nothing()) [[unlikely]] {
      continue;
    } else if (entry.frame() != Frames<G>::kZeroPage || COWHERD_MUTANT(zero_page_unmapped_as_ordinary)) {
      if (system.observed()) {
        const Vpn page = system.descriptor(entry.frame()).index();
        system.note({.kind = EventKind::kUnmapped, .page = page, .frame = entry.frame()});
      }
      if (!COWHERD_MUTANT(zap_leaks_page)) drop_mapping(system, entry.frame(), freed);
      if (COWHERD_MUTANT(zap_frees_twice)) put_page(system, entry.frame());
    }
  }
}

}  // namespace

template <class G>
void free_table(System<G>& system, FrameNumber table, unsigned level) {
  const Live live(system, "free-table", table);
  put_entries(system, table, level);
  point(system, Point::kDropReference);
  system.frames().put(table);
}

template <class G>
void put_table(System<G>& system, FrameNumber table, unsigned level) {
  point(system, Point::kDropReference);
  if (system.descriptor(table).drop_references(1).references != 0) return;
  put_entries(system, table, level);
  system.frames().free(table);
}

template <class G>
void note_pins_below(System<G>& system, Mm& mm, Vpn page) {
  if (COWHERD_MUTANT(pins_below_not_noted)) return;
  bool any = false;
  system.tables(mm).for_each_on_way(page, [&](FrameNumber frame) {
    FrameDescriptor& table = system.descriptor(frame);
    if (table.pins_below()) return;
    table.set_pins_below(true);
    any = true;
  });
  // Before a fast pin looks at the sequence count again: it has changed, or fork sees what was set here.
  if (any) full_fence();
}

template <class G>
bool keep_tables_unshared(System<G>& system, Mm& mm, Vpn page) {
  if (COWHERD_MUTANT(rmap_lets_fork_share)) return true;
  note_pins_below(system, mm, page);
  return !mm.mmap_lock.held_exclusively() && !system.tables(mm).walk_to(page).shared;
}

#define COWHERD_INSTANTIATE(G)                                                \
  template Result<bool> own_tables<G>(System<G>&, Mm&, Vpn, OnHuge);          \
  template Result<void> own_tables<G>(System<G>&, Mm&, PageRange, OnHuge);    \
  template Result<bool> lock_and_own_tables<G>(System<G>&, Mm&, Vpn, OnHuge); \
  template Result<void> own_edges<G>(System<G>&, Mm&, PageRange);             \
  template void drop_shared_tables<G>(System<G>&, Mm&, PageRange);            \
  template bool nothing_outside<G>(System<G>&, Mm&, PageRange, PageRange);    \
  template void free_table<G>(System<G>&, FrameNumber, unsigned);             \
  template void put_table<G>(System<G>&, FrameNumber, unsigned);              \
  template void note_pins_below<G>(System<G>&, Mm&, Vpn);                     \
  template bool keep_tables_unshared<G>(System<G>&, Mm&, Vpn);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
