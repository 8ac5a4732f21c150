#pragma once

#include <cstdint>

#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/shared_tables.hpp"

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
  }
  return true;
}

/// Whether a page of a lowest table counts as pinned, or has a reference that no mapping holds.
template <class G>
bool any_held(System<G>& system, FrameNumber table) {
  for (std::size_t i = 0; i < Geometry<G>::kEntries; ++i) {
    const Entry entry = Tables<G>::slot_at(system.frames(), table, i).load();
    if (entry.none() || entry.frame() == Frames<G>::kZeroPage) continue;
    const FrameState page = system.state(entry.frame());
    if (page.references > page.mapcount || maybe_pinned(system.rules(), page)) return true;
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
    if (!entry.present()) return;
    bool held = level == 1 && any_held(system, entry.frame());
    for (std::size_t i = Geometry<G>::kEntries; level != 1 && !held && i-- != 0;) {
      const Entry below = Tables<G>::slot_at(system.frames(), entry.frame(), i).load();
      held = below.present() && system.descriptor(below.frame()).pins_below();
    }
    if (held) return;
    system.descriptor(entry.frame()).set_pins_below(false);
  }
}

/// Sets entries of the child's upper tables that were none. Natively those of one table are booked together.
template <class G>
class ChildTally {
 public:
  ChildTally(System<G>& system, Mm& child) : system_(system), child_(child) {}
  ~ChildTally() { book(); }
  ChildTally(const ChildTally&) = delete;
  ChildTally& operator=(const ChildTally&) = delete;

  void set(EntrySlot slot, Entry entry) {
    if constexpr (G::kExplored) {
      system_.tables(child_).set(slot, entry);
    } else {
      const FrameNumber table = system_.frames().frame_of(slot.place());
      if (table != table_) book();
      table_ = table;
      slot.store(entry);
      ++used_;
    }
  }

 private:
  void book() {
    if (used_ != 0) system_.descriptor(table_).change_mapcount(used_);
    used_ = 0;
  }

  System<G>& system_;
  Mm& child_;
  FrameNumber table_{0};
  std::int32_t used_ = 0;
};

/// Fork's way through the parent's tables, both mmap locks held for writing: tables of `highest` and below (0: the
/// lowest ones) that have no pin below them become the child's too, write-protected where they hang and nowhere else;
/// for the pages of every other lowest table it calls `copy(range)`, the parent's tables on the way being its own.
/// ENOMEM, or what `copy` fails with.
///
/// A fast pin may come between the look at the table and the write protection, as it may with a page (copy_entry()):
/// the sequence count, which fork holds, makes it let go.
template <class G, class Copy>
Result<void> share_tables(System<G>& system, Mm& parent, Mm& child, unsigned highest, PendingFlush<G>& flush,
                          Copy&& copy) COWHERD_REQUIRES(parent.mmap_lock) {
  auto tables = system.tables(parent);
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  const bool all_inherited = inherited_whole(system, parent, {Vpn{0}, kEnd});
  // The entry at hand is the one of `level` that begins at `at`; it names a table of the level below.
  Vpn at{0};
  unsigned level = Tables<G>::kLowerLevels;
  ChildTally<G> tally(system, child);
  const Live live(system, "share-tables", at, level);
  while (at < kEnd) {
    const EntrySlot place = tables.walk_to(at, level).slot;
    const PageRange span = Tables<G>::covered(at, level);
    const Entry entry = place.load();
    if (entry.present()) {
      FrameDescriptor& table = system.descriptor(entry.frame());
      point(system, parent, Point::kReadCounts);
      const bool pins = table.pins_below() && !COWHERD_MUTANT(pins_below_ignored);
      if (level - 1 <= highest && !pins && (all_inherited || inherited_whole(system, parent, span))) {
        if (table.mapcount() != 0) {
          EntrySlot to = system.tables(child).walk_to(at, level).slot;
          if (!to) {
            COWHERD_TRY_ASSIGN(made, system.tables(child).obtain(at, level));
            to = made;
          }
          point(system, Point::kTakeReference);
          table.add_references(COWHERD_MUTANT(table_shared_without_reference) ? 0 : 1);
          if (entry.writable() && !COWHERD_MUTANT(shared_table_stays_writable)) {
            point(system, parent, Point::kProtectEntry);
            place.store(entry.with_writable(false));
            if (!COWHERD_MUTANT(shared_table_without_flush)) flush.add(span);
          }
          tally.set(to, entry.with_writable(COWHERD_MUTANT(shared_table_writable_in_child)));
          system.note({.kind = EventKind::kTableShared, .page = at, .frame = entry.frame()});
        }
      } else if (level > 1) {
        --level;
        continue;
      } else {
        COWHERD_TRY(own_tables(system, parent, at));
        COWHERD_TRY(copy(span));
      }
    }
    at = span.end;
    while (level < Tables<G>::kLowerLevels && at.value() % Tables<G>::span(level + 1) == 0) ++level;
  }
  return {};
}

}  // namespace cowherd::mm
