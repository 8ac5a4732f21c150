#pragma once

#include <cstdint>

#include "mm/flush.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

/// Whether these rules let fork share tables: it asks the table about pins, so that rules which ask more than the page,
/// or which lead a writer to everybody who maps its page, copy all tables.
constexpr bool may_share_tables(const Rules& rules) {
  return shares_unpinned(rules) && rules.reuse != Reuse::kDirected && rules.fork_pinned != ForkPinned::kCopyEntry;
}

/// Whether the child gets everything below the entry that covers `span` as it is: every VMA there goes to the child.
template <class G>
bool inherited_whole(System<G>& system, Mm& parent, PageRange span) {
  VmaTree areas = system.areas(parent);
  for (Ref<Vma> vma = areas.find(span.begin); vma && system.at(vma).pages.begin < span.end; vma = areas.next(vma)) {
    const VmaFlags flags = system.at(vma).flags;
    if (flags.dont_fork || flags.wipe_on_fork) return false;
    // The child's entries may say less.
    const bool marks = has(flags.uffd, UffdFlags::kWriteProtect) && !stays_registered(flags.uffd);
    if (marks && !COWHERD_MUTANT(fork_shares_uffd_wp)) return false;
  }
  return true;
}

/// Whether a page of a lowest table counts as pinned, or has a reference that no mapping holds.
template <class G>
bool any_held(System<G>& system, FrameNumber table) {
  for (std::size_t i = 0; i < Geometry<G>::kEntries; ++i) {
    const Entry entry = Tables<G>::slot_at(system.frames(), table, i).load();
    // Somebody is at it: it may come back as it was; or it says something of a file's page, which a child's does not.
    if (entry.in_transit() || entry.migration() || entry.on_device() || entry.is_forbidden()) return true;
    if (!entry.present() || entry.frame() == Frames<G>::kZeroPage) continue;
    const FrameState page = system.state(entry.frame());
    const std::uint32_t cached = page.anon ? 0 : 1;
    if (page.references > page.mapcount + cached || maybe_pinned(system.rules(), page)) return true;
  }
  return false;
}

/// After the lowest table of `page` was copied: fork shares it next time where it holds no pin, and so the tables above
/// it that have no such table left below them. Fork goes upwards, so that those are found from the end.
template <class G>
void forget_pins_below(System<G>& system, Mm& mm, Vpn page) {
  const auto tables = system.tables(mm);
  for (unsigned level = 1; level <= Tables<G>::kLowerLevels; ++level) {
    const EntrySlot place = tables.walk_to(page, level).slot;
    const Entry entry = place ? place.load() : Entry{};
    if (!entry.present() || entry.huge()) return;
    bool held = level == 1 && any_held(system, entry.frame());
    for (std::size_t i = Geometry<G>::kEntries; level != 1 && !held && i-- != 0;) {
      const Entry below = Tables<G>::slot_at(system.frames(), entry.frame(), i).load();
      if (!below.present()) continue;
      if (below.huge()) {
        held = is_of_hugetlb(system, below) || system.frames().huge(below.frame()).pieces_used();
      } else {
        held = system.descriptor(below.frame()).pins_below();
      }
    }
    if (held) return;
    system.descriptor(entry.frame()).set_pins_below(false);
  }
}

/// A fork that shares tables, both mmap locks held for writing.
template <class G>
struct Sharing {
  System<G>& system;
  Mm& parent;
  Mm& child;
  /// Of the tables that are shared, 0: the lowest ones only.
  unsigned highest;
  PendingFlush<G>& flush;
  /// Whether the child gets all VMAs.
  bool all_inherited;
};

/// Shares what the entries of `level` in one upper table of the parent name, from that for `at` on, which exists, to
/// the first one whose table is not shared. Returns where that is, or where the table ends. ENOMEM.
///
/// A fast pin may come between the look at the table and the write protection, as it may with a page (copy_entry()):
/// the sequence count, which fork holds, makes it let go.
template <class G>
Result<Vpn> share_entries(Sharing<G>& sharing, Vpn at, unsigned level) {
  System<G>& system = sharing.system;
  const FrameNumber upper =
      system.tables(sharing.parent).table_of(system.tables(sharing.parent).walk_to(at, level).slot);
  const EntrySlot to = system.tables(sharing.child).walk_to(at, level).slot;
  FrameNumber child_upper = to ? system.frames().frame_of(to.place()) : FrameNumber{0};
  TableTally<G> tally(system, sharing.child, child_upper);
  const Vpn end = Tables<G>::covered(at, level + 1).end;
  const Live live(system, "share-entries", at, child_upper);
  for (std::size_t index = Tables<G>::index_of(at, level); index < Geometry<G>::kEntries;
       ++index, at = at + PageCount{Tables<G>::span(level)}) {
    const EntrySlot place = Tables<G>::slot_at(system.frames(), upper, index);
    const Entry entry = place.load();
    if (!entry.present()) continue;
    if (entry.huge()) return at;
    Tables<G>::prefetch_ahead(system.frames(), upper, index);
    FrameDescriptor& table = system.descriptor(entry.frame());
    point(system, sharing.parent, Point::kReadCounts);
    const bool pins = table.pins_below() && !COWHERD_MUTANT(pins_below_ignored);
    const PageRange span = Tables<G>::covered(at, level);
    if (level - 1 > sharing.highest || pins ||
        !(sharing.all_inherited || inherited_whole(system, sharing.parent, span))) {
      return at;
    }
    if (table.mapcount() == 0) continue;
    if (child_upper.value() == 0) {
      COWHERD_TRY_ASSIGN(made, system.tables(sharing.child).obtain(at, level));
      child_upper = system.frames().frame_of(made.place());
      tally.begin(child_upper);
    }
    point(system, Point::kTakeReference);
    table.add_references(COWHERD_MUTANT(table_shared_without_reference) ? 0 : 1);
    if (entry.writable() && !COWHERD_MUTANT(shared_table_stays_writable)) {
      point(system, sharing.parent, Point::kProtectEntry);
      place.store(entry.with_writable(false));
      // Natively whoever is waited for is anybody below this upper table.
      const PageRange flushed = G::kExplored ? span : Tables<G>::covered(at, level + 1);
      if (!COWHERD_MUTANT(shared_table_without_flush)) sharing.flush.add(flushed);
    }
    tally.set(Tables<G>::slot_at(system.frames(), child_upper, index),
              entry.with_writable(COWHERD_MUTANT(shared_table_writable_in_child)));
    if (system.observed()) system.note({.kind = EventKind::kTableShared, .page = at, .frame = entry.frame()});
  }
  return end;
}

/// Fork's way through the parent's tables: those of `highest` and below that have no pin below them become the child's
/// too, write-protected where they hang and nowhere else; for the pages of every other lowest table it calls
/// `copy(range)`, the parent's tables on the way being its own. ENOMEM, or what `copy` fails with.
template <class G, class Copy>
Result<void> share_tables(System<G>& system, Mm& parent, Mm& child, unsigned highest, PendingFlush<G>& flush,
                          Copy&& copy) COWHERD_REQUIRES(parent.mmap_lock) {
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  Sharing<G> sharing{system, parent, child, highest, flush, inherited_whole(system, parent, {Vpn{0}, kEnd})};
  // The entry at hand is the one of `level` that begins at `at`; it names a table of the level below.
  Vpn at{0};
  unsigned level = Tables<G>::kLowerLevels;
  const Live live(system, "share-tables", at, level);
  while (at < kEnd) {
    COWHERD_TRY_ASSIGN(stopped, share_entries(sharing, at, level));
    const bool whole = stopped == Tables<G>::covered(at, level + 1).end;
    at = stopped;
    if (!whole && level > 1) {
      --level;
      continue;
    }
    if (!whole) {
      const PageRange span = Tables<G>::covered(at, level);
      COWHERD_TRY(own_tables(system, parent, at, OnHuge::kKeep));
      COWHERD_TRY(copy(span));
      at = span.end;
    }
    while (level < Tables<G>::kLowerLevels && at.value() % Tables<G>::span(level + 1) == 0) ++level;
  }
  return {};
}

}  // namespace cowherd::mm
