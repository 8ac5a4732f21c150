#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// References, mappings and copies of single frames.

template <class G>
Ref<Process> process_ref(ProcessId process) {
  return Ref<Process>{process.value()};
}

template <class G>
Mm& mm_of(System<G>& system, ProcessId process) {
  return system.at(system.at(process_ref<G>(process)).mm);
}

/// Whether these rules decide anything by mapcounts: else nobody can tell when one changes.
constexpr bool mapcounts_matter(const Rules& rules) {
  return rules.reuse == Reuse::kMapcount || rules.reuse == Reuse::kDirected ||
         rules.copy_only_if == CopyOnlyIf::kMappedOnceAndDirty || rules.pinned == PinnedTest::kGupMark;
}

template <class G>
void note_freed(System<G>& system, FrameNumber frame) {
  system.note({.kind = EventKind::kFrameFreed, .page = system.descriptor(frame).index(), .frame = frame});
}

/// Pages that nobody holds any more, on their way back to the free frames; natively many go together.
template <class G>
class FreedPages {
 public:
  explicit FreedPages(System<G>& system) : system_(system) {}
  ~FreedPages() { give_back(); }
  FreedPages(const FreedPages&) = delete;
  FreedPages& operator=(const FreedPages&) = delete;

  void add(FrameNumber frame) {
    note_freed(system_, frame);
    frames_[count_++] = frame;
    if (count_ == frames_.size()) give_back();
  }

 private:
  void give_back() { system_.frames().free_all({frames_.data(), std::exchange(count_, 0)}); }

  System<G>& system_;
  std::array<FrameNumber, G::kExplored ? 1 : 64> frames_{};
  std::size_t count_ = 0;
};

/// As hugetlb.hpp says.
template <class G>
void free_hugetlb_page(System<G>& system, FrameNumber head);

/// Drops `count` references, and `pins` with them; the last reference frees the frame.
template <class G>
void put_page(System<G>& system, FrameNumber frame, std::uint32_t count = 1, std::uint32_t pins = 0) {
  point(system, Point::kDropReference);
  FrameDescriptor& page = system.descriptor(frame);
  if (page.use() != FrameUse::kAnon && page.use() != FrameUse::kKsm && page.use() != FrameUse::kZeroPage &&
      page.use() != FrameUse::kFile) {
    system.report(Violation::kFreedInUse);
    return;
  }
  const FrameDescriptor::Counts left = page.drop_references(count, pins);
  // What wrapped below zero is larger than what there can be besides.
  const std::uint32_t pins_before = (left.pins + pins) & FrameDescriptor::kMaxPins;
  if (left.references > FrameDescriptor::kMaxReferences - count ||
      pins_before < std::min(pins, FrameDescriptor::kMaxPins)) {
    system.report(Violation::kBadPage);
  }
  const std::uint32_t none_left = COWHERD_MUTANT(page_freed_too_early) ? 1 : 0;
  if (left.references > none_left || page.use() == FrameUse::kZeroPage) {
    return;
  }
  if (page.mapcount() != 0 || left.pins != 0) {
    system.report(Violation::kBadPage);
  }
  note_freed(system, frame);
  if (system.in_pool(frame)) [[unlikely]]
    return free_hugetlb_page(system, frame);
  system.frames().free(frame);
}

/// A frame that was just allocated becomes an anonymous page of `vma`, mapped once, exclusive. Nobody sees it before
/// its entry is set. Compare Linux mm/rmap.c: folio_add_new_anon_rmap().
template <class G>
void add_new_anon_page(System<G>& system, FrameNumber frame, const Vma& vma, Vpn page) {
  const PageCount off{COWHERD_MUTANT(new_page_wrong_index) ? 1u : 0u};
  system.descriptor(frame).start_anon(vma.own_anon_vma().unit, vma.index_of(page) + off,
                                      !COWHERD_MUTANT(new_page_without_mark));
}

/// In a machine with swap: as swap.hpp says.
template <class G>
void free_swap_cache(System<G>& system, FrameNumber frame);

/// One entry that maps `frame` is gone; the caller drops its reference once nobody can reach the page through it.
template <class G>
void drop_mapcount(System<G>& system, FrameNumber frame) {
  if (mapcounts_matter(system.rules())) point(system, Point::kMapcount);
  if (system.descriptor(frame).drop_mapcount() == FrameDescriptor::kMaxMapcount) {
    system.report(Violation::kBadPage);
  }
}

/// An entry that mapped `frame`, an anonymous page, is gone, and nobody reaches the page through it: drops the mapping
/// and its reference.
template <class G>
void drop_mapping(System<G>& system, FrameNumber frame, FreedPages<G>& freed) {
  if (system.has_swap()) [[unlikely]] {
    if (!COWHERD_MUTANT(zap_without_mapcount)) drop_mapcount(system, frame);
    free_swap_cache(system, frame);
    return put_page(system, frame);
  }
  if constexpr (!G::kExplored) {
    // Both at once: as drop_mapcount() and put_page(), between which nobody looks.
    FrameDescriptor& page = system.descriptor(frame);
    if (page.use() == FrameUse::kAnon) {
      if (const auto left = page.drop_mapping()) {
        if (left->counts.references != 0) return;
        if (left->mapcount != 0 || left->counts.pins != 0) system.report(Violation::kBadPage);
        freed.add(frame);
        return;
      }
    }
  }
  if (!COWHERD_MUTANT(zap_without_mapcount)) drop_mapcount(system, frame);
  put_page(system, frame);
}

/// One more entry is about to map `frame`, a page that somebody maps already: an anonymous one is shared from now on.
/// ENOMEM: it has too many references or mappings. Compare Linux mm/rmap.h: folio_try_dup_anon_rmap_pte().
template <class G>
Result<void> map_once_more(System<G>& system, FrameNumber frame) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  point(system, Point::kTakeReference);
  if constexpr (!G::kExplored) {
    if (descriptor.try_map_once_more()) return {};
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  if (descriptor.mapcount() == FrameDescriptor::kMaxMapcount ||
      !descriptor.try_add_references(COWHERD_MUTANT(fork_without_reference) ? 0 : 1, 0,
                                     FrameDescriptor::kMaxReferences)) {
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  if (mapcounts_matter(system.rules())) point(system, Point::kMapcount);
  if (!COWHERD_MUTANT(fork_without_mapcount)) descriptor.add_mapcount();
  if (descriptor.use() == FrameUse::kAnon && descriptor.exclusive() && !COWHERD_MUTANT(fork_keeps_mark)) {
    point(system, Point::kExclusive);
    descriptor.set_exclusive(false);
  }
  return {};
}

/// Books pages of a class that the lowest table of `slot` maps, its lock held; the sum over an address space's tables
/// is its RSS.
template <class G>
void add_rss(System<G>& system, EntrySlot slot, std::int32_t pages, RssClass rss = RssClass::kAnon) {
  system.descriptor(system.frames().frame_of(slot.place())).add_pages(rss, pages);
}

/// The descriptor of `frame` will be changed soon, and its byte at `near` accessed unless that lies beyond it.
template <class G>
void prefetch_page(System<G>& system, FrameNumber frame, std::size_t near) {
  if constexpr (!G::kExplored) {
    system.frames().prefetch(frame);
    if (near < Geometry<G>::kPageBytes) __builtin_prefetch(system.frames().bytes(frame) + near, 1);
  }
}

/// The first bytes of `frame` will be read soon; the processor then finds out by itself that more are.
template <class G>
void prefetch_start(System<G>& system, FrameNumber frame) {
  if constexpr (!G::kExplored) {
    for (std::size_t line = 0; line < 4; ++line) {
      __builtin_prefetch(system.frames().bytes(frame) + line * kCacheLine);
    }
  }
}

/// Where an anonymous page of `vma` comes from: secret memory is never moved. Compare Linux mm/secretmem.c:
/// secretmem_file_create().
inline Zone zone_for(const Vma& vma) {
  return vma.flags.secret && !COWHERD_MUTANT(secret_is_movable) ? Zone::kNormal : Zone::kMovable;
}

/// A frame for an anonymous page of `vma`, as System::allocate_page().
template <class G>
Result<FrameNumber> allocate_page_for(System<G>& system, const Vma& vma) {
  return system.allocate_page(FrameUse::kAnon, zone_for(vma));
}

/// Zeroes a frame that was just allocated; `needed`: its bytes are about to be.
template <class G>
void clear_page(System<G>& system, FrameNumber frame, bool needed) {
  if (G::kExplored || needed) {
    std::memset(system.frames().bytes(frame), 0, Geometry<G>::kPageBytes);
  } else {
    clear_past_caches(system.frames().bytes(frame), Geometry<G>::kPageBytes);
  }
}

/// Who reads a copy of a page first.
enum class Reader : std::uint8_t {
  /// The processor that makes it.
  kSoon,
  /// Somebody else, some time.
  kLater,
};

/// The source may be written meanwhile, by who is allowed to.
template <class G>
void copy_page(System<G>& system, FrameNumber to, FrameNumber from, Reader reader = Reader::kSoon) {
  point(system, Point::kCopyPage);
  const std::size_t size = Geometry<G>::kPageBytes / (COWHERD_MUTANT(half_a_page_copied) ? 2 : 1);
  const auto copy = reader == Reader::kSoon ? copy_racing : copy_racing_past_caches;
  copy(system.frames().bytes(to), system.frames().bytes(from), size);
}

/// The entry by which `vma` maps `frame`: dirty, soft-dirty and, where the VMA allows it, writable; or none of it.
inline Entry make_entry(FrameNumber frame, const Vma& vma, bool written) {
  return Entry::of(frame)
      .with_user(vma.flags.protection != Protection::kNone)
      .with_dirty(written)
      .with_soft_dirty(written)
      .with_secret(vma.flags.secret)
      .with_writable(written && has(vma.flags.protection, Protection::kWrite));
}

/// As protect_entry(), where a processor may set a bit of the entry meanwhile.
template <class G>
[[gnu::noinline]] Entry protect_changing_entry(EntrySlot slot, Entry seen) {
  while (true) {
    const Entry left = seen.with_writable(false).with_dirty(seen.dirty() && !COWHERD_MUTANT(dirty_lost_on_protect));
    if (slot.replace(seen, left)) return left;
  }
}

/// Takes write permission from an entry, its lock held, and nothing that a processor sets meanwhile; `seen`: what was
/// there a moment ago. Returns what is left. The flush that has to follow orders this before its look at who is inside.
/// Compare Linux ptep_set_wrprotect().
template <class G>
Entry protect_entry(EntrySlot slot, Entry seen) {
  if (G::kExplored || !seen.young() || !seen.dirty()) return protect_changing_entry<G>(slot, seen);
  // A processor has nothing left to set.
  slot.store(seen.with_writable(false));
  return seen.with_writable(false);
}

/// Clears an entry, its lock held, and returns it with the dirty bit that a processor may set until then. The flush
/// that has to follow orders this before its look at who is inside. Its table goes on counting it. Compare Linux
/// ptep_get_and_clear().
template <class G>
Entry clear_entry(EntrySlot slot) {
  if constexpr (!G::kExplored) {
    const Entry seen = slot.load();
    if (!seen.writable() || seen.dirty()) {
      // A processor has nothing left to set that anybody asks for.
      slot.store(Entry{});
      return seen;
    }
  }
  return slot.exchange(Entry{});
}

/// As clear_entry(), but who looks without the lock goes on finding something there: for who may put the entry back,
/// while others may copy the table. What is left is not present, and not none.
template <class G>
Entry hide_entry(EntrySlot slot) {
  Entry seen = slot.load();
  while (!slot.replace(seen, seen.departed())) {
  }
  return seen;
}

/// What a loop over the entries of one table, with what guards them held, changes there. In an explored geometry each
/// change is booked at once, so that a suspended operation has no more to remember; else all are together, at the end.
template <class G>
class TableTally {
 public:
  /// `table`: the zero page where there is none yet, see begin().
  TableTally(System<G>& system, Mm& mm, FrameNumber table) : system_(system), mm_(mm), table_(table) {}
  ~TableTally() {
    if constexpr (!G::kExplored) book();
  }
  TableTally(const TableTally&) = delete;
  TableTally& operator=(const TableTally&) = delete;

  /// The table is there now; nothing has changed in it.
  void begin(FrameNumber table) { table_ = table; }
  /// Sets an entry that was none.
  void set(EntrySlot slot, Entry entry) {
    if constexpr (G::kExplored) {
      system_.tables(mm_).set(slot, entry);
    } else {
      slot.store(entry);
      ++used_;
    }
  }
  /// Clears an entry and returns it, with the dirty bit that a processor may set until then. The flush that has to
  /// follow orders this before its look at who is inside.
  Entry clear(EntrySlot slot) {
    if constexpr (G::kExplored) {
      return system_.tables(mm_).set(slot, Entry{});
    } else {
      --used_;
      return clear_entry<G>(slot);
    }
  }
  /// Pages of a class more, or fewer.
  void add_rss(std::int32_t pages, RssClass rss = RssClass::kAnon) {
    if (rss != RssClass::kAnon) {
      system_.descriptor(table_).add_pages(rss, pages);
      return;
    }
    rss_ += pages;
    if constexpr (G::kExplored) book();
  }

 private:
  void book() {
    if (used_ != 0) system_.descriptor(table_).change_mapcount(used_);
    if (rss_ != 0) system_.descriptor(table_).add_pages(RssClass::kAnon, rss_);
    used_ = 0;
    rss_ = 0;
  }

  System<G>& system_;
  Mm& mm_;
  FrameNumber table_;
  std::int32_t used_ = 0;
  std::int32_t rss_ = 0;
};

}  // namespace cowherd::mm
