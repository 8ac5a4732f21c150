#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "base/geometry.hpp"
#include "base/mutant.hpp"
#include "base/try.hpp"
#include "cowherd/result.hpp"
#include "frame/frames.hpp"
#include "table/entry.hpp"

namespace cowherd {

/// The page tables of one address space: a radix tree of frames, root first. Each table's descriptor counts its entries
/// in use, and its lock guards the entries of a lowest table.
///
/// A table may be part of several address spaces; each entry that names it holds a reference to it, and while there is
/// more than one none of them is writable. As in hardware, a page may be written where every entry on the way is
/// writable.
///
/// A Tables is a view on the root's frame number, which its owner keeps. Reading is safe from any thread as long as
/// nobody frees tables; changes are the business of whoever holds the lock that guards the entry.
template <class G>
class Tables {
 public:
  using Slot = EntrySlot;
  static constexpr unsigned kLowerLevels = G::kLevels - 1;

  Tables(Frames<G>& frames, FrameNumber root) : frames_(frames), root_(root) {}

  /// A root without entries. ENOMEM.
  static Result<FrameNumber> create(Frames<G>& frames) { return make_table(frames); }
  /// Frees the root. Precondition: nothing is mapped.
  static void destroy(Frames<G>& frames, FrameNumber root) { frames.put(root); }

  /// The place of the entry for `page`, null where the table that would hold it does not exist; so where the page is
  /// part of a huge one.
  [[nodiscard]] Slot find(Vpn page) const {
    FrameNumber table = root_;
    for (unsigned level = kLowerLevels; level > 0; --level) {
      const Entry entry = slot(table, level, page).load();
      if (!entry.present() || entry.huge()) {
        return {};
      }
      table = entry.frame();
    }
    return slot(table, 0, page);
  }

  /// What a walk comes to.
  struct Walk {
    /// Null where a table on the way does not exist. The place of the huge entry where the page is part of a huge one.
    Slot slot;
    /// The page has no entry that is the address space's alone: a table on the way may belong to other address spaces
    /// too, or the page is part of a huge one.
    bool shared = false;
    /// The way does not let writes through.
    bool read_only = false;
    bool huge = false;
    /// Number of the page in the huge one.
    std::uint16_t piece = 0;

    /// The page's entry as hardware takes it: with the permissions that the whole way leaves.
    [[nodiscard]] Entry load() const { return slot ? as_permitted(slot.load()) : Entry{}; }
    /// The same of what was in `slot`.
    [[nodiscard]] Entry as_permitted(Entry entry) const {
      if (huge) [[unlikely]]
        entry = entry.huge() ? entry.piece(piece) : Entry{};
      return read_only ? entry.with_writable(false) : entry;
    }
  };
  /// Walks to the entry of `level` for `page`: 0 is the page's own, 1 the one that names its lowest table.
  [[nodiscard]] Walk walk_to(Vpn page, unsigned level = 0) const {
    Walk walk;
    FrameNumber table = root_;
    for (unsigned at = kLowerLevels; at > level; --at) {
      const Entry entry = slot(table, at, page).load();
      if (!entry.present()) {
        return walk;
      }
      if (entry.huge()) [[unlikely]] {
        walk.slot = slot(table, at, page);
        walk.shared = true;
        walk.huge = true;
        walk.piece = static_cast<std::uint16_t>(index_of(page, 0));
        return walk;
      }
      walk.shared = walk.shared || !entry.writable();
      walk.read_only = walk.shared;
      table = entry.frame();
    }
    walk.slot = slot(table, level, page);
    return walk;
  }

  /// Calls `visit(table)` for every table on the way to `page` below the root, from above.
  template <class Visit>
  void for_each_on_way(Vpn page, Visit&& visit) const {
    FrameNumber table = root_;
    for (unsigned level = kLowerLevels; level > 0; --level) {
      const Entry entry = slot(table, level, page).load();
      if (!entry.present() || entry.huge()) return;
      table = entry.frame();
      visit(table);
    }
  }

  /// The entry for `page` with the permissions that the whole way leaves; none where there is no table.
  [[nodiscard]] Entry get(Vpn page) const { return walk_to(page).load(); }

  /// The highest entry on the way to `page` that names a table which may be shared, or is huge; level 0: there is none.
  struct SharedEntry {
    Slot place;
    unsigned level = 0;
  };
  [[nodiscard]] SharedEntry find_shared(Vpn page) const {
    FrameNumber table = root_;
    for (unsigned level = kLowerLevels; level > 0; --level) {
      const Slot place = slot(table, level, page);
      const Entry entry = place.load();
      if (!entry.present()) break;
      if (!entry.writable() || entry.huge()) return {place, level};
      table = entry.frame();
    }
    return {};
  }

  /// Whether some page in `range` is below a table that may belong to other address spaces too, or part of a huge one.
  [[nodiscard]] bool any_shared(PageRange range) const {
    for (Vpn at = range.begin; at < range.end;) {
      unsigned level = kLowerLevels;
      for (FrameNumber table = root_; level > 0; --level) {
        const Entry entry = slot(table, level, at).load();
        if (!entry.present()) break;
        if (!entry.writable() || entry.huge()) return true;
        table = entry.frame();
      }
      at = covered(at, level == 0 ? 1 : level).end;
    }
    return false;
  }

  /// The place of the entry for `page` in the lowest table `table`.
  [[nodiscard]] Slot slot_in(FrameNumber table, Vpn page) const { return slot(table, 0, page); }

  /// Tables that a page needs and that are not there yet.
  class Missing {
   public:
    explicit Missing(Frames<G>& frames) : frames_(frames) {}
    ~Missing() {
      while (count_ != 0 && !COWHERD_MUTANT(missing_tables_leaked)) frames_.put(made_[--count_]);
    }
    Missing(const Missing&) = delete;
    Missing& operator=(const Missing&) = delete;

    // What they are, for the state of a suspended operation.
    [[nodiscard]] const std::array<FrameNumber, kLowerLevels>& frames() const { return made_; }
    [[nodiscard]] const unsigned& count() const { return count_; }

   private:
    friend class Tables;
    Frames<G>& frames_;
    std::array<FrameNumber, kLowerLevels> made_{};
    unsigned count_ = 0;
  };

  /// Makes what walk_to() would not find on the way to `page`'s entry of `lowest`. ENOMEM, and then nothing was made.
  Result<void> reserve(Vpn page, Missing& missing, unsigned lowest = 0) {
    FrameNumber table = root_;
    unsigned level = kLowerLevels;
    for (; level > lowest; --level) {
      const Entry entry = slot(table, level, page).load();
      if (!entry.present()) break;
      if (entry.huge()) return {};
      table = entry.frame();
    }
    while (missing.count_ < level - lowest) {
      auto made = make_table(frames_);
      if (!made) return made.error();
      missing.made_[missing.count_++] = *made;
    }
    return {};
  }

  /// Hangs in the reserved tables that are still missing on the way to `page`, calling `publish()` before each becomes
  /// visible. The caller holds the lock of the upper tables. Null: a huge entry has come to stand there meanwhile.
  template <class Publish>
  Slot install(Vpn page, Missing& missing, Publish&& publish, unsigned lowest = 0) {
    FrameNumber table = root_;
    for (unsigned level = kLowerLevels; level > lowest; --level) {
      const Slot where = slot(table, level, page);
      if (!where.load().present() || (COWHERD_MUTANT(table_recheck_dropped) && missing.count_ == level)) {
        assert(missing.count_ != 0);
        publish();
        set(where, Entry::of(missing.made_[--missing.count_]).with_writable(true));
      }
      if (where.load().huge()) return {};
      table = where.load().frame();
    }
    return slot(table, lowest, page);
  }

  /// reserve() and install() for tables that nobody else can reach. ENOMEM.
  Result<Slot> obtain(Vpn page, unsigned lowest = 0) {
    Missing missing(frames_);
    COWHERD_TRY(reserve(page, missing, lowest));
    return install(
        page, missing, [] {}, lowest);
  }

  /// Stores an entry and keeps its table's count; returns what was there.
  Entry set(Slot where, Entry entry) {
    FrameDescriptor& table = frames_.descriptor(table_of(where));
    const Entry before = where.exchange(entry);
    if (before.none() && !entry.none()) {
      table.add_mapcount();
    } else if (!before.none() && entry.none() && !COWHERD_MUTANT(table_count_kept)) {
      table.drop_mapcount();
    }
    return before;
  }

  /// The table that holds `where`.
  [[nodiscard]] FrameNumber table_of(Slot where) const { return frames_.frame_of(where.place()); }

  /// Frees the tables on the way to `page` that hold nothing, after `retire(pages)` has made sure that no walker is in
  /// the one that was just taken out, which covered `pages`. The caller is the only one who changes upper tables.
  template <class Retire>
  void prune(Vpn page, Retire&& retire) {
    Slot path[G::kLevels] = {};
    FrameNumber table = root_;
    unsigned level = kLowerLevels;
    for (; level > 0; --level) {
      path[level] = slot(table, level, page);
      if (!path[level].load().present() || path[level].load().huge()) {
        ++level;
        break;
      }
      table = path[level].load().frame();
    }
    for (level = level == 0 ? 1 : level; level < G::kLevels; ++level) {
      const FrameNumber below = path[level].load().frame();
      if (frames_.descriptor(below).mapcount() != 0) {
        return;
      }
      set(path[level], Entry{});
      retire(covered(page, level));
      frames_.put(below);
    }
  }

  /// Calls `visit(page, slot)` for every entry in use within `range`, in address order, huge ones left out; visit
  /// returns false to stop.
  /// It may clear entries, never free tables. Returns whether it went to the end.
  template <class Visit>
  bool for_each(PageRange range, Visit&& visit) const {
    return walk(root_, kLowerLevels, 0, range, visit);
  }

  /// The same for one lowest table, `table`, which covers `range`: `visit(page, slot, entry)`.
  template <class Visit>
  static bool for_each_in(Frames<G>& frames, FrameNumber table, PageRange range, Visit&& visit) {
    std::size_t index = index_of(range.begin, 0);
    for (Vpn page = range.begin; page < range.end; ++page, ++index) {
      const Slot where = slot_at(frames, table, index);
      const Entry entry = where.load();
      if (entry.none()) continue;
      prefetch_ahead(frames, table, index);
      if (!visit(page, where, entry)) return false;
    }
    return true;
  }

  /// The first page at or after `from` whose lowest table exists, or `end`: whoever goes table by table over a sparse
  /// range skips what is not there. `with_huge`: or that is part of a huge one.
  [[nodiscard]] Vpn next_used(Vpn from, Vpn end, bool with_huge = false) const {
    while (from < end) {
      FrameNumber table = root_;
      unsigned level = kLowerLevels;
      for (; level > 0; --level) {
        const Entry entry = slot(table, level, from).load();
        if (entry.none()) {
          break;
        }
        if (entry.huge()) [[unlikely]] {
          if (with_huge) return from;
          break;
        }
        table = entry.frame();
      }
      if (level == 0) {
        return from;
      }
      from = Vpn{(from.value() / span(level) + 1) * span(level)};
    }
    return end;
  }

  /// Calls `visit(page, slot)` for every huge entry that covers a page of `range`, `page` being its first.
  template <class Visit>
  void for_each_huge(PageRange range, Visit&& visit) const {
    for (Vpn at = next_used(range.begin, range.end, true); at < range.end;
         at = next_used(table_end(at), range.end, true)) {
      if (const Walk found = walk_to(at); found.huge) visit(covered(at, 1).begin, found.slot);
    }
  }

  /// Calls `visit(table, level)` for every table, the root first.
  template <class Visit>
  void for_each_table(Visit&& visit) const {
    walk_tables(root_, kLowerLevels, visit);
  }

  /// Pages that one entry of `level` covers.
  static constexpr std::uint64_t span(unsigned level) { return std::uint64_t{1} << (level * G::kTableShift); }
  /// Frames of a huge page: a power of two, 2 to this.
  static constexpr unsigned kHugeOrder = G::kTableShift;
  /// The page after the last one that shares a lowest table with `page`.
  static constexpr Vpn table_end(Vpn page) { return Vpn{(page.value() / span(1) + 1) * span(1)}; }

  /// A table without entries, with one reference. ENOMEM.
  static Result<FrameNumber> make_table(Frames<G>& frames) {
    auto table = frames.allocate(FrameUse::kTable);
    if (table) {
      std::memset(frames.bytes(*table), 0, Geometry<G>::kPageBytes);
      frames.descriptor(*table).add_references(1);
    }
    return table;
  }

  /// The place of entry number `index` in `table`.
  static Slot slot_at(Frames<G>& frames, FrameNumber table, std::size_t index) {
    return Slot{frames.bytes(table) + index * sizeof(Entry)};
  }

  /// For who goes over the entries of `table` and is at number `index`, and looks at what they name: the descriptors of
  /// those to come may be far away.
  static void prefetch_ahead(Frames<G>& frames, FrameNumber table, std::size_t index) {
    if constexpr (!G::kExplored) {
      constexpr std::size_t kAhead = 16;
      if (index + kAhead < Geometry<G>::kEntries) {
        frames.prefetch(slot_at(frames, table, index + kAhead).load().frame());
      }
    }
  }

  /// The number of the entry of `level` for `page` in the table that holds it.
  static constexpr std::size_t index_of(Vpn page, unsigned level) {
    return page.value() >> (level * G::kTableShift) & (Geometry<G>::kEntries - 1);
  }

  /// The pages that the entry of `level` for `page` covers.
  static constexpr PageRange covered(Vpn page, unsigned level) {
    const Vpn first{page.value() / span(level) * span(level)};
    return {first, first + PageCount{span(level)}};
  }

 private:
  [[nodiscard]] Slot slot(FrameNumber table, unsigned level, Vpn page) const {
    return slot_at(frames_, table, index_of(page, level));
  }

  template <class Visit>
  bool walk(FrameNumber table, unsigned level, std::uint64_t first, PageRange range, Visit& visit) const {
    if (level == 0) {
      return for_each_in(frames_, table, intersect(range, {Vpn{first}, Vpn{first + span(1)}}),
                         [&](Vpn page, Slot where, Entry) { return visit(page, where); });
    }
    const std::uint64_t step = span(level);
    const std::uint64_t begin = range.begin.value() <= first ? 0 : (range.begin.value() - first) / step;
    for (std::size_t i = begin; i < Geometry<G>::kEntries; ++i) {
      const std::uint64_t page = first + i * step;
      if (page >= range.end.value()) {
        break;
      }
      const Entry entry = slot_at(frames_, table, i).load();
      if (!entry.none() && !entry.huge() && !walk(entry.frame(), level - 1, page, range, visit)) {
        return false;
      }
    }
    return true;
  }

  template <class Visit>
  void walk_tables(FrameNumber table, unsigned level, Visit& visit) const {
    visit(table, level);
    for (std::size_t i = 0; level > 0 && i < Geometry<G>::kEntries; ++i) {
      const Entry entry = Slot{frames_.bytes(table) + i * sizeof(Entry)}.load();
      if (!entry.none() && !entry.huge()) {
        walk_tables(entry.frame(), level - 1, visit);
      }
    }
  }

  Frames<G>& frames_;
  FrameNumber root_;
};

}  // namespace cowherd
