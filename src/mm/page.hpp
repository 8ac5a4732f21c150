#pragma once

#include <cstring>

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

/// Drops `count` references, and `pins` with them; the last reference frees the frame.
template <class G>
void put_page(System<G>& system, FrameNumber frame, std::uint32_t count = 1, std::uint32_t pins = 0) {
  point(system, Point::kDropReference);
  FrameDescriptor& page = system.descriptor(frame);
  if (page.use() != FrameUse::kAnon && page.use() != FrameUse::kZeroPage) {
    system.report(Violation::kFreedInUse);
    return;
  }
  const FrameDescriptor::Counts left = page.drop_references(count, pins);
  // What wrapped below zero is larger than what there can be besides.
  if (left.references > FrameDescriptor::kMaxReferences - count) {
    system.report(Violation::kBadPage);
  }
  const std::uint32_t none_left = COWHERD_MUTANT(page_freed_too_early) ? 1 : 0;
  if (left.references > none_left || page.use() == FrameUse::kZeroPage) {
    return;
  }
  if (page.mapcount() != 0 || left.pins != 0) {
    system.report(Violation::kBadPage);
  }
  system.note({.kind = EventKind::kFrameFreed, .page = page.index(), .frame = frame});
  system.frames().free(frame);
}

/// A frame that was just allocated becomes an anonymous page of `vma`, mapped once, exclusive. Nobody sees it before
/// its entry is set. Compare Linux mm/rmap.c: folio_add_new_anon_rmap().
template <class G>
void add_new_anon_page(System<G>& system, FrameNumber frame, const Vma& vma, Vpn page) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  descriptor.add_mapcount();
  descriptor.set_exclusive(!COWHERD_MUTANT(new_page_without_mark));
  const PageCount off{COWHERD_MUTANT(new_page_wrong_index) ? 1u : 0u};
  descriptor.set_owner(vma.own_anon_vma().unit, vma.index_of(page) + off);
  descriptor.add_references(1);
}

/// One entry that maps `frame` is gone; the caller drops its reference once nobody can reach the page through it.
template <class G>
void drop_mapcount(System<G>& system, FrameNumber frame) {
  if (mapcounts_matter(system.rules())) point(system, Point::kMapcount);
  if (system.descriptor(frame).drop_mapcount() == FrameDescriptor::kMaxMapcount) {
    system.report(Violation::kBadPage);
  }
}

template <class G>
void add_rss(Mm& mm, std::int32_t pages) {
  std::atomic_ref(mm.anon_rss).fetch_add(static_cast<std::uint32_t>(pages), std::memory_order_relaxed);
}

/// The source may be written meanwhile, by who is allowed to.
template <class G>
void copy_page(System<G>& system, FrameNumber to, FrameNumber from) {
  point(system, Point::kCopyPage);
  const std::size_t size = Geometry<G>::kPageBytes / (COWHERD_MUTANT(half_a_page_copied) ? 2 : 1);
  copy_racing(system.frames().bytes(to), system.frames().bytes(from), size);
}

/// The entry by which `vma` maps `frame`: dirty and, where the VMA allows it, writable; or neither.
inline Entry make_entry(FrameNumber frame, const Vma& vma, bool written) {
  return Entry::of(frame)
      .with_user(vma.flags.protection != Protection::kNone)
      .with_dirty(written)
      .with_writable(written && has(vma.flags.protection, Protection::kWrite));
}

/// Takes write permission from an entry, and nothing that a processor sets meanwhile. Returns what was there.
/// Compare Linux ptep_set_wrprotect().
inline Entry protect_entry(EntrySlot slot) {
  Entry seen = slot.load();
  while (!slot.replace(seen,
                       seen.with_writable(false).with_dirty(seen.dirty() && !COWHERD_MUTANT(dirty_lost_on_protect)))) {
  }
  return seen;
}

}  // namespace cowherd::mm
