#pragma once

#include <cstddef>
#include <utility>

#include "base/geometry.hpp"
#include "base/try.hpp"
#include "cowherd/result.hpp"
#include "frame/frames.hpp"
#include "table/entry.hpp"

namespace cowherd {

/// The page tables of one address space: a radix tree of frames, root first. Each table's descriptor counts its entries
/// in use; a table without any is freed at once, the root excepted.
///
/// A Tables is a view on the root's frame number, which its owner keeps. Not thread-safe.
template <class G>
class Tables {
 public:
  using Slot = Entry*;

  Tables(Frames<G>& frames, FrameNumber root) : frames_(frames), root_(root) {}

  /// A root without entries. ENOMEM.
  static Result<FrameNumber> create(Frames<G>& frames) { return make_table(frames); }
  /// Frees the root. Precondition: nothing is mapped.
  static void destroy(Frames<G>& frames, FrameNumber root) { frames.free(root); }

  /// The place of the entry for `page`, null where the table that would hold it does not exist.
  [[nodiscard]] Slot find(Vpn page) const {
    FrameNumber table = root_;
    for (unsigned level = G::kLevels - 1; level > 0; --level) {
      const Entry entry = *slot(table, level, page);
      if (!entry.present()) {
        return nullptr;
      }
      table = entry.frame();
    }
    return slot(table, 0, page);
  }

  /// The entry for `page`; none where there is no table.
  [[nodiscard]] Entry get(Vpn page) const {
    const Slot where = find(page);
    return where == nullptr ? Entry{} : *where;
  }

  /// As find(), making the tables on the way. ENOMEM, and then no table is left behind.
  Result<Slot> obtain(Vpn page) {
    FrameNumber table = root_;
    for (unsigned level = G::kLevels - 1; level > 0; --level) {
      const Slot where = slot(table, level, page);
      if (!where->present()) {
        auto below = make_table(frames_);
        if (!below) {
          prune(page);
          return below.error();
        }
        set(where, Entry::of(*below).with_writable(true));
      }
      table = where->frame();
    }
    return slot(table, 0, page);
  }

  /// Stores an entry and keeps its table's count.
  void set(Slot where, Entry entry) {
    FrameDescriptor& table = frames_.descriptor(frames_.frame_of(where));
    if (where->none() && !entry.none()) {
      table.add_mapcount();
    } else if (!where->none() && entry.none()) {
      table.drop_mapcount();
    }
    *where = entry;
  }

  /// Frees the tables on the way to `page` that hold nothing.
  void prune(Vpn page) {
    Slot path[G::kLevels] = {};
    FrameNumber table = root_;
    unsigned level = G::kLevels - 1;
    for (; level > 0; --level) {
      path[level] = slot(table, level, page);
      if (!path[level]->present()) {
        ++level;
        break;
      }
      table = path[level]->frame();
    }
    for (level = level == 0 ? 1 : level; level < G::kLevels; ++level) {
      const FrameNumber below = path[level]->frame();
      if (frames_.descriptor(below).mapcount() != 0) {
        return;
      }
      set(path[level], Entry{});
      frames_.free(below);
    }
  }

  /// Calls `visit(page, slot)` for every entry in use within `range`, in address order; visit returns false to stop.
  /// It may clear entries, never free tables. Returns whether it went to the end.
  template <class Visit>
  bool for_each(PageRange range, Visit&& visit) const {
    return walk(root_, G::kLevels - 1, 0, range, visit);
  }

  /// The first page at or after `from` whose lowest table exists, or `end`: whoever goes table by table over a sparse
  /// range skips what is not there.
  [[nodiscard]] Vpn next_used(Vpn from, Vpn end) const {
    while (from < end) {
      FrameNumber table = root_;
      unsigned level = G::kLevels - 1;
      for (; level > 0; --level) {
        const Entry entry = *slot(table, level, from);
        if (entry.none()) {
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

  /// Calls `visit(table, level)` for every table, the root first.
  template <class Visit>
  void for_each_table(Visit&& visit) const {
    walk_tables(root_, G::kLevels - 1, visit);
  }

  /// Pages that one entry of `level` covers.
  static constexpr std::uint64_t span(unsigned level) { return std::uint64_t{1} << (level * G::kTableShift); }
  /// The page after the last one that shares a lowest table with `page`.
  static constexpr Vpn table_end(Vpn page) { return Vpn{(page.value() / span(1) + 1) * span(1)}; }

 private:
  static Result<FrameNumber> make_table(Frames<G>& frames) {
    auto table = frames.allocate(FrameUse::kTable);
    if (table) {
      std::memset(frames.bytes(*table), 0, Geometry<G>::kPageBytes);
      frames.descriptor(*table).add_references(1);
    }
    return table;
  }

  [[nodiscard]] Slot slot(FrameNumber table, unsigned level, Vpn page) const {
    const std::size_t index = page.value() >> (level * G::kTableShift) & (Geometry<G>::kEntries - 1);
    return reinterpret_cast<Entry*>(frames_.bytes(table)) + index;
  }

  template <class Visit>
  bool walk(FrameNumber table, unsigned level, std::uint64_t first, PageRange range, Visit& visit) const {
    const std::uint64_t step = span(level);
    const std::uint64_t begin = range.begin.value() <= first ? 0 : (range.begin.value() - first) / step;
    for (std::size_t i = begin; i < Geometry<G>::kEntries; ++i) {
      const std::uint64_t page = first + i * step;
      if (page >= range.end.value()) {
        break;
      }
      const Slot where = reinterpret_cast<Entry*>(frames_.bytes(table)) + i;
      if (where->none()) {
        continue;
      }
      if (level == 0 ? !visit(Vpn{page}, where) : !walk(where->frame(), level - 1, page, range, visit)) {
        return false;
      }
    }
    return true;
  }

  template <class Visit>
  void walk_tables(FrameNumber table, unsigned level, Visit& visit) const {
    visit(table, level);
    for (std::size_t i = 0; level > 0 && i < Geometry<G>::kEntries; ++i) {
      const Entry entry = reinterpret_cast<Entry*>(frames_.bytes(table))[i];
      if (!entry.none()) {
        walk_tables(entry.frame(), level - 1, visit);
      }
    }
  }

  Frames<G>& frames_;
  FrameNumber root_;
};

}  // namespace cowherd
