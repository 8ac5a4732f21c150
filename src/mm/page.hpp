#pragma once

#include <cstring>

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

/// Drops `count` references; the last one frees the frame.
template <class G>
void put_page(System<G>& system, FrameNumber frame, std::uint32_t count = 1) {
  FrameDescriptor& page = system.descriptor(frame);
  if (page.use() != FrameUse::kAnon && page.use() != FrameUse::kZeroPage) {
    system.report(Violation::kFreedInUse);
    return;
  }
  if (page.references() < count) {
    system.report(Violation::kBadPage);
  }
  page.drop_references(count);
  if (page.references() != 0 || page.use() == FrameUse::kZeroPage) {
    return;
  }
  if (page.mapcount() != 0 || page.pins() != 0) {
    system.report(Violation::kBadPage);
  }
  system.note({.kind = EventKind::kFrameFreed, .page = page.index(), .frame = frame});
  system.frames().free(frame);
}

/// A frame that was just allocated becomes an anonymous page of `vma`, mapped once, exclusive.
/// Compare Linux mm/rmap.c: folio_add_new_anon_rmap().
template <class G>
void add_new_anon_page(System<G>& system, FrameNumber frame, const Vma& vma, Vpn page) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  descriptor.add_references(1);
  descriptor.add_mapcount();
  descriptor.set_exclusive(true);
  descriptor.set_owner(vma.anon_vma.unit, vma.index_of(page));
}

/// One entry that maps `frame` is gone: its mapcount and its reference go with it.
template <class G>
void drop_mapping(System<G>& system, FrameNumber frame) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (descriptor.mapcount() == 0) {
    system.report(Violation::kBadPage);
  }
  descriptor.drop_mapcount();
  put_page(system, frame);
}

template <class G>
void copy_page(System<G>& system, FrameNumber to, FrameNumber from) {
  std::memcpy(system.frames().bytes(to), system.frames().bytes(from), Geometry<G>::kPageBytes);
}

/// The entry by which `vma` maps `frame`: dirty and, where the VMA allows it, writable; or neither.
inline Entry make_entry(FrameNumber frame, const Vma& vma, bool written) {
  return Entry::of(frame)
      .with_user(vma.flags.protection != Protection::kNone)
      .with_dirty(written)
      .with_writable(written && has(vma.flags.protection, Protection::kWrite));
}

}  // namespace cowherd::mm
