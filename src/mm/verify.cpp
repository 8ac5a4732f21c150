#include <algorithm>

#include "back/anon_rmap.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/pinning.hpp"
#include "mm/verify_files.hpp"
#include "mm/verify_folio.hpp"
#include "mm/verify_huge.hpp"
#include "mm/verify_hugetlb.hpp"
#include "mm/verify_objects.hpp"
#include "mm/verify_swap.hpp"
#include "mm/verify_walk.hpp"

namespace cowherd::mm {

namespace {

using Seen = FrameDescriptor::Seen;

/// Counts in place, without memory of its own: every mapping and every pin that a walk finds takes its share out of the
/// frame's counts; what is left then, or was missing, is wrong; a second walk gives everything back.
template <class G>
class Verifier {
 public:
  explicit Verifier(System<G>& system) : system_(system), frame_count_(system.frames().frame_count().value()) {}

  Violations run() {
    check_folios(system_, found_);
    for_each_mm(system_, [&](Ref<Mm> mm) {
      ++objects_.reached.mms;
      take_mm(mm);
    });
    files_.take();
    if (system_.has_pool()) hugetlb_.take_files();
    take_records();
    swap_.take_cache();
    for_each_pinned([&](FrameNumber frame, std::uint32_t times, bool as_pin) { take_pinned(frame, times, as_pin); });
    huge_.check_runs();
    hugetlb_.check_pool();
    check_frames();
    objects_.check();
    give_back();
    return found_;
  }

 private:
  [[nodiscard]] bool is_anon(FrameNumber frame) {
    return frame.value() < frame_count_ &&
           (system_.descriptor(frame).use() == FrameUse::kAnon || system_.descriptor(frame).use() == FrameUse::kKsm);
  }
  [[nodiscard]] bool is_file(FrameNumber frame) {
    return frame.value() < frame_count_ && system_.descriptor(frame).use() == FrameUse::kFile;
  }
  [[nodiscard]] bool is_zero_page(FrameNumber frame) {
    return frame.value() < frame_count_ && system_.descriptor(frame).use() == FrameUse::kZeroPage;
  }
  [[nodiscard]] bool is_mappable(FrameNumber frame) { return is_anon(frame) || is_file(frame); }
  [[nodiscard]] bool may_be_held(FrameNumber frame) { return is_mappable(frame) || is_zero_page(frame); }

  void take_mm(Ref<Mm> ref) {
    Mm& mm = system_.at(ref);
    const bool held = mmap_lock_of(system_, mm).held() || mm.upper_lock.held() || stuck(mm);
    if (held) found_.add(Violation::kLockHeld);
    if (!events_are_sound(mm)) found_.add(Violation::kUffdEvent);
    Vpn last{0};
    VmaTree areas = system_.areas(mm);
    for (Ref<Vma> vma = areas.first(); vma; vma = areas.next(vma)) {
      ++objects_.reached.vmas;
      const Vma& area = system_.at(vma);
      if (area.pages.empty() || area.pages.begin < last || area.mm != ref || area.gap != area.pages.begin - last ||
          area.pages.end.value() > Geometry<G>::kUserPages) {
        found_.add(Violation::kVma);
      }
      last = area.pages.end;
      objects_.check_chains(vma);
      hugetlb_.take_vma(area);
      objects_.reached.mappings += files_.check_mapping(vma);
    }
    vma_ = areas.first();
    take_table(mm, mm.root, {.level = G::kLevels - 1, .first = 0, .counted = true, .shared = false});
  }

  /// How a table is come by.
  struct Way {
    unsigned level;
    /// The first page below it.
    std::uint64_t first;
    /// Whether the entry that names it is met for the first time.
    bool counted;
    /// Whether a table on the way may be shared, itself included.
    bool shared;
  };

  /// Returns whether a page below it is pinned.
  bool take_table(Mm& mm, FrameNumber table, const Way& way) {
    if (table.value() >= frame_count_ || system_.descriptor(table).use() != FrameUse::kTable) {
      found_.add(Violation::kTable);
      return false;
    }
    FrameDescriptor& descriptor = system_.descriptor(table);
    const bool again = descriptor.seen() != Seen::kUnseen;
    if (!way.shared && (again || descriptor.references() != 1)) {
      found_.add(Violation::kWritableShared);
    }
    if (way.counted) {
      if (descriptor.references() == 0) found_.add(Violation::kReferences);
      descriptor.drop_references(1);
    }
    descriptor.set_seen(Seen::kHeld);
    if (descriptor.locked()) {
      found_.add(Violation::kLockHeld);
    }
    std::uint32_t used = 0;
    std::uint32_t mapped[kRssClasses] = {};
    bool pinned = false;
    const auto* entries = reinterpret_cast<const Entry*>(system_.frames().bytes(table));
    for (std::size_t i = 0; i < Geometry<G>::kEntries; ++i) {
      if (entries[i].none()) {
        continue;
      }
      ++used;
      const std::uint64_t page = way.first + i * Tables<G>::span(way.level);
      if (way.level == 0) {
        if ((entries[i].present() || entries[i].on_device()) && is_mappable(entries[i].frame())) {
          ++mapped[static_cast<unsigned>(system_.rss_class(entries[i].frame()))];
        }
        pinned = take_entry(mm, Vpn{page}, entries[i], {way.level, page, !again, way.shared}) || pinned;
      } else if (way.level == 1 && entries[i].huge()) {
        pinned = take_huge(mm, entries[i], {way.level, page, !again, way.shared}) || pinned;
      } else {
        const Way below{way.level - 1, page, !again, way.shared || !entries[i].writable()};
        pinned = take_table(mm, entries[i].frame(), below) || pinned;
      }
    }
    // A lowest table may be empty for as long as some VMA could fill it again.
    const bool idle = used == 0 && way.level + 1 != G::kLevels && (way.level != 0 || !any_vma(mm, way.first));
    if (used != descriptor.mapcount() || idle) {
      found_.add(Violation::kTable);
    }
    for (unsigned rss = 0; way.level == 0 && rss < kRssClasses; ++rss) {
      if (mapped[rss] != descriptor.pages_of(static_cast<RssClass>(rss))) found_.add(Violation::kRss);
    }
    // Fork would share it.
    if (pinned && mark_protects_pins() && way.level + 1 != G::kLevels && !descriptor.pins_below()) {
      found_.add(Violation::kPinnedShared);
    }
    return pinned;
  }

  /// As take_huge() in a hugetlb VMA: a page is one page, and its entry one mapping.
  bool take_hugetlb(Mm& mm, Entry entry, const Way& way) {
    const Vpn first{way.first};
    if (const Ref<Vma> vma = system_.areas(mm).at(first); vma && system_.at(vma).flags.hugetlb) {
      hugetlb_.take_entry(system_.at(vma), entry);
    } else {
      found_.add(Violation::kOutsideVma);
    }
    if (maps_no_hugetlb_page<G>(entry)) return false;
    // No table above is shared.
    if (way.shared) found_.add(Violation::kWritableShared);
    return take_entry(mm, first, entry, {0, way.first, way.counted, false});
  }

  /// As take_table() for what a huge entry maps.
  bool take_huge(Mm& mm, Entry entry, const Way& way) {
    if (system_.has_pool() && is_of_hugetlb(system_, entry)) return take_hugetlb(mm, entry, way);
    if (!huge_.may_be_huge(entry)) {
      found_.add(Violation::kTable);
      return false;
    }
    const bool zeros = is_zero_page(entry.frame());
    const bool shared = way.shared || zeros || !huge_.is_only_entry(entry);
    const bool first = way.counted && !zeros && huge_.take_entry(entry);
    bool pinned = false;
    for (std::uint32_t i = 0; i < Frames<G>::kHugeFrames; ++i) {
      pinned = take_entry(mm, Vpn{way.first + i}, entry.piece(i), {0, way.first + i, first, shared}) || pinned;
    }
    if (pinned && mark_protects_pins() && !system_.frames().huge(entry.frame()).pieces_used()) {
      found_.add(Violation::kPinnedShared);
    }
    return pinned;
  }

  /// Only rules that decide by the mark promise to keep it on pinned pages.
  [[nodiscard]] bool mark_protects_pins() const { return system_.rules().fork_pinned == ForkPinned::kCopyExclusive; }

  /// Whether a VMA lies within the lowest table that begins at page number `first`.
  bool any_vma(Mm& mm, std::uint64_t first) {
    const Ref<Vma> vma = system_.areas(mm).find(Vpn{first});
    return vma && system_.at(vma).pages.begin < Tables<G>::table_end(Vpn{first});
  }

  /// Returns whether the page is pinned.
  bool take_entry(Mm& mm, Vpn page, Entry entry, const Way& way) {
    if (entry.on_device()) {
      if (!entry.writable() || !entry.dirty()) found_.add(Violation::kOutsideVma);
      entry = entry.taken_back();
    }
    while (vma_ && system_.at(vma_).pages.end <= page) {
      vma_ = system_.areas(mm).next(vma_);
    }
    if (!vma_ || page < system_.at(vma_).pages.begin) {
      found_.add(Violation::kOutsideVma);
    } else {
      check_entry(system_.at(vma_), page, entry);
    }
    if (!entry.present()) {
      if (entry.migration()) {
        found_.add(Violation::kMigrationLeft);
      } else if (entry.poison()) {
        if (!failure_is_sound(system_, entry)) found_.add(Violation::kFreedInUse);
      } else if (way.counted && !entry.is_marker()) {
        swap_.take_entry(entry);
      }
      return false;
    }
    const FrameNumber frame = entry.frame();
    if (is_zero_page(frame)) {
      return false;
    }
    if (!is_mappable(frame)) {
      found_.add(Violation::kFreedInUse);
      return false;
    }
    FrameDescriptor& descriptor = system_.descriptor(frame);
    // Of pages of files nobody has one of his own.
    const bool anon = is_anon(frame);
    const bool pinned = anon && descriptor.pins() != 0;
    if (pinned && way.shared && mark_protects_pins()) found_.add(Violation::kPinnedShared);
    if (!way.counted) return pinned;
    if (descriptor.references() == 0) {
      found_.add(Violation::kReferences);
    }
    const bool seen_mapped = descriptor.seen() != Seen::kUnseen;
    if (descriptor.mapcount() == 0) {
      found_.add(Violation::kMapcount);
    }
    if (anon && descriptor.exclusive() && (seen_mapped || descriptor.mapcount() > 1)) {
      found_.add(Violation::kExclusiveShared);
    }
    if (anon && entry.writable() && !descriptor.exclusive()) {
      found_.add(Violation::kWritableShared);
    }
    const Seen seen = entry.dirty() || descriptor.dirty() ? Seen::kMappedDirty : Seen::kMapped;
    descriptor.set_seen(std::max(descriptor.seen(), seen));
    descriptor.drop_references(1);
    descriptor.drop_mapcount();
    return pinned;
  }

  void check_entry(const Vma& vma, Vpn page, Entry entry) {
    if (!mark_is_sound(vma, entry)) found_.add(Violation::kUffdMark);
    if (!entry.present()) {
      if (!vma.anon_vma && !entry.is_forbidden() && !entry.is_marker()) found_.add(Violation::kVma);
      return;
    }
    const bool may_write = has(vma.flags.protection, Protection::kWrite);
    // An entry may be closed where its VMA is open: numa_hint().
    const bool too_open = entry.user() && vma.flags.protection == Protection::kNone;
    if ((entry.writable() && (!may_write || !entry.user())) || too_open || entry.secret() != vma.flags.secret) {
      found_.add(Violation::kOutsideVma);
    }
    if (entry.writable() && !entry.soft_dirty()) {
      found_.add(Violation::kNotSoftDirty);
    }
    const FrameNumber frame = entry.frame();
    if (is_zero_page(frame)) {
      if (entry.writable()) {
        found_.add(Violation::kWritableShared);
      }
      return;
    }
    if (is_file(frame)) return files_.check_entry(vma, page, entry);
    if (!vma.anon_vma || vma.flags.shared) {
      found_.add(Violation::kVma);
    }
    const bool merged = is_anon(frame) && system_.descriptor(frame).use() == FrameUse::kKsm;
    if (merged && (entry.writable() || system_.descriptor(frame).exclusive())) {
      found_.add(Violation::kWritableShared);
    }
    if (is_anon(frame) && !merged && !leads_to(system_, system_.descriptor(frame), vma, page)) {
      found_.add(Violation::kNoRmap);
    }
  }

  /// Calls `visit(frame, times, as_pin)` for every reference that a pin holds and that is counted.
  template <class Visit>
  void for_each_pinned(Visit&& visit) {
    const Rules& rules = system_.rules();
    system_.frames().template for_each<PinRecord<G>>([&](Ref<PinRecord<G>> ref) {
      const PinRecord<G>& pin = system_.at(ref);
      for_each_frame(system_, pin, [&](FrameNumber frame) {
        if (frame != Frames<G>::kZeroPage || rules.zero_page == ZeroPage::kCounted) {
          visit(frame, pin.times, counts_as_pin(rules, pin.flags));
        }
      });
    });
  }

  /// What is held for long is where it may be.
  void check_where(const PinRecord<G>& pin) {
    for_each_frame(system_, pin, [&](FrameNumber frame) {
      if (must_leave_movable(system_, frame, pin.flags)) found_.add(Violation::kUnmovable);
    });
  }

  /// The records of pins themselves. Nobody has one without a page.
  void take_records() {
    system_.frames().template for_each<PinRecord<G>>([&](Ref<PinRecord<G>> ref) {
      const PinRecord<G>& pin = system_.at(ref);
      if (system_.frames().has_movable()) check_where(pin);
      objects_.reached.pins += pin.pages != 0 ? 1 : 0;
      for (FrameNumber more = pin.first; more != Frames<G>::kZeroPage; more = pin_frames(system_, more).next) {
        if (system_.descriptor(more).use() != FrameUse::kPinFrames) {
          found_.add(Violation::kFreedInUse);
          return;
        }
        system_.descriptor(more).set_seen(Seen::kHeld);
      }
    });
  }

  void take_pinned(FrameNumber piece, std::uint32_t times, bool as_pin) {
    const FrameNumber frame = system_.folio(piece);
    if (!may_be_held(frame)) {
      found_.add(Violation::kFreedInUse);
      return;
    }
    FrameDescriptor& descriptor = system_.descriptor(frame);
    if (descriptor.references() < times) {
      found_.add(Violation::kReferences);
    }
    descriptor.drop_references(times);
    if (as_pin) {
      if (descriptor.pins() < times) {
        found_.add(Violation::kPins);
      }
      descriptor.drop_pins(times);
      if (is_anon(frame) && descriptor.seen() >= Seen::kMapped && !descriptor.exclusive() && mark_protects_pins()) {
        found_.add(Violation::kPinnedShared);
      }
    }
    descriptor.set_seen(std::max(descriptor.seen(), Seen::kHeld));
  }

  void check_frames() {
    const PageCount free = system_.frames().free_count();
    const PageCount used = system_.frames().used_frames();
    std::uint64_t in_use = 0;
    for (FrameNumber frame{0}; frame.value() < used.value(); ++frame) {
      FrameDescriptor& descriptor = system_.descriptor(frame);
      in_use += descriptor.use() != FrameUse::kFree || system_.in_pool(frame) ? 1 : 0;
      if (!system_.in_pool(frame)) check_frame(frame, descriptor);
    }
    if (in_use != (system_.frames().frame_count() - free).value()) {
      found_.add(Violation::kFrameLost);
    }
  }

  /// Looks at what the takers left.
  void check_frame(FrameNumber frame, const FrameDescriptor& descriptor) {
    swap_.check_frame(frame);
    const bool stays = descriptor.use() != FrameUse::kFree && !is_anon(frame);
    if (stays && system_.frames().is_movable(frame)) found_.add(Violation::kUnmovable);
    switch (descriptor.use()) {
      case FrameUse::kFree:
        return;
      case FrameUse::kTable:
      case FrameUse::kSlab:
      case FrameUse::kPinFrames:
        if (descriptor.use() != FrameUse::kSlab && descriptor.seen() == Seen::kUnseen) {
          found_.add(Violation::kFrameLost);
        }
        if (descriptor.references() != (descriptor.use() == FrameUse::kTable ? 0 : 1) || descriptor.pins() != 0) {
          found_.add(Violation::kReferences);
        }
        return;
      case FrameUse::kZeroPage:
        if (!is_zero<G>(system_.frames().bytes(frame))) found_.add(Violation::kZeroPage);
        break;
      case FrameUse::kFile:
        if (descriptor.seen() == Seen::kUnseen) found_.add(Violation::kFrameLost);
        if (descriptor.under_writeback()) found_.add(Violation::kLockHeld);
        break;
      case FrameUse::kAnon:
      case FrameUse::kKsm:
        if (descriptor.poisoned()) {
          // It keeps one reference for ever, and nothing else.
          const bool kept = descriptor.references() == 1 && descriptor.mapcount() == 0 && descriptor.pins() == 0;
          if (!kept) found_.add(Violation::kReferences);
          return;
        }
        if (descriptor.seen() == Seen::kUnseen) {
          found_.add(Violation::kFrameLost);
        }
        if (descriptor.seen() == Seen::kMapped && !swap_.may_be_clean(frame)) {
          found_.add(Violation::kNotDirty);
        }
        break;
    }
    if (descriptor.references() != 0) {
      found_.add(Violation::kReferences);
    }
    if (descriptor.mapcount() != 0) {
      found_.add(Violation::kMapcount);
    }
    if (descriptor.pins() != 0) {
      found_.add(Violation::kPins);
    }
  }

  void give_back() {
    for_each_mm(system_, [&](Ref<Mm> mm) { give_back_table(system_.at(mm).root, G::kLevels - 1); });
    for_each_pinned([&](FrameNumber piece, std::uint32_t times, bool as_pin) {
      const FrameNumber frame = system_.folio(piece);
      if (may_be_held(frame)) {
        system_.descriptor(frame).add_references(times);
        system_.descriptor(frame).add_pins(as_pin ? times : 0);
      }
    });
    files_.give_back();
    swap_.give_back_cache();
    const PageCount used = system_.frames().used_frames();
    for (FrameNumber frame{0}; frame.value() < used.value(); ++frame) {
      system_.descriptor(frame).set_seen(Seen::kUnseen);
    }
  }

  /// Goes where take_table() went, below each table once.
  void give_back_table(FrameNumber table, unsigned level) {
    if (table.value() >= frame_count_ || system_.descriptor(table).use() != FrameUse::kTable) {
      return;
    }
    system_.descriptor(table).add_references(1);
    if (system_.descriptor(table).seen() != Seen::kHeld) {
      return;
    }
    system_.descriptor(table).set_seen(Seen::kMapped);
    const auto* entries = reinterpret_cast<const Entry*>(system_.frames().bytes(table));
    for (std::size_t i = 0; i < Geometry<G>::kEntries; ++i) {
      if (entries[i].none()) {
        continue;
      }
      if (level == 1 && entries[i].huge()) {
        give_back_huge(entries[i]);
      } else if (level != 0) {
        give_back_table(entries[i].frame(), level - 1);
      } else if (!entries[i].present() && !entries[i].on_device()) {
        swap_.give_back_entry(entries[i]);
      } else if (is_mappable(entries[i].frame())) {
        system_.descriptor(entries[i].frame()).add_references(1);
        system_.descriptor(entries[i].frame()).add_mapcount();
      }
    }
  }

  void give_back_huge(Entry entry) {
    if (system_.in_pool(entry.frame())) {
      system_.descriptor(entry.frame()).add_references(1);
      system_.descriptor(entry.frame()).add_mapcount();
      return;
    }
    if (maps_no_hugetlb_page<G>(entry)) return;
    if (!huge_.may_be_huge(entry) || is_zero_page(entry.frame()) || !huge_.give_back_entry(entry)) return;
    for (std::uint32_t i = 0; i < Frames<G>::kHugeFrames; ++i) {
      system_.descriptor(entry.piece(i).frame()).add_references(1);
      system_.descriptor(entry.piece(i).frame()).add_mapcount();
    }
  }

  System<G>& system_;
  std::size_t frame_count_;
  Violations found_;
  ObjectVerifier<G> objects_{system_, found_};
  VerifiedFiles<G> files_{system_, found_};
  SwapVerifier<G> swap_{system_, found_};
  HugeVerifier<G> huge_{system_, found_};
  HugetlbVerifier<G> hugetlb_{system_, found_};
  /// While the entries of an address space are walked: the VMA at hand.
  Ref<Vma> vma_;
};

}  // namespace

template <class G>
Violations verify(System<G>& system) {
  Violations found = system.take_violations();
  found.add(Verifier<G>(system).run());
  return found;
}

#define COWHERD_INSTANTIATE(G) template Violations verify<G>(System<G>&);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
