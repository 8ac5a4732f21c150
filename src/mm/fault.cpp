#include "mm/fault.hpp"

#include "back/anon_rmap.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// A page that was never touched. Compare Linux mm/memory.c: do_anonymous_page().
template <class G>
Result<void> fault_anonymous_page(System<G>& system, Mm& mm, Vma& vma, Vpn page, FaultKind kind) {
  auto tables = system.tables(mm);
  FrameNumber frame = Frames<G>::kZeroPage;
  if (kind == FaultKind::kWrite) {
    auto allocated = system.allocate_page();
    if (!allocated) {
      return allocated.error();
    }
    frame = *allocated;
    std::memset(system.frames().bytes(frame), 0, Geometry<G>::kPageBytes);
  }
  auto slot = tables.obtain(page);
  if (!slot) {
    if (frame != Frames<G>::kZeroPage) {
      system.frames().free(frame);
    }
    return slot.error();
  }
  const PageTableGuard<G> guard(system, mm.page_table_lock);
  if (frame == Frames<G>::kZeroPage) {
    tables.set(*slot, make_entry(frame, vma, false));
    system.note({.kind = EventKind::kZeroPageMapped, .page = page, .frame = frame});
    return {};
  }
  add_new_anon_page(system, frame, vma, page);
  tables.set(*slot, make_entry(frame, vma, true));
  ++mm.anon_rss;
  system.note({.kind = EventKind::kZeroFilled, .page = page, .frame = frame});
  return {};
}

/// The faulting process goes on with the page as it is, which is its own now. Compare Linux mm/memory.c:
/// wp_page_reuse().
template <class G>
void reuse_page(System<G>& system, Mm& mm, const Vma& vma, Vpn page, FaultKind kind) {
  auto tables = system.tables(mm);
  Entry* slot = tables.find(page);
  const FrameNumber frame = slot->frame();
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (!descriptor.exclusive()) {
    descriptor.set_exclusive(true);
    descriptor.set_owner(vma.anon_vma.unit, vma.index_of(page));
  }
  if (kind == FaultKind::kWrite) {
    tables.set(slot, make_entry(frame, vma, true));
    system.note({.kind = EventKind::kReused, .decision = Decision::kReuse, .page = page, .frame = frame});
  }
}

/// The faulting process gets a copy of what `page` maps. Compare Linux mm/memory.c: wp_page_copy().
template <class G>
Result<void> copy_mapped_page(System<G>& system, Mm& mm, const Vma& vma, Vpn page, FaultKind kind) {
  auto allocated = system.allocate_page();
  if (!allocated) {
    return allocated.error();
  }
  const FrameNumber copy = *allocated;
  auto tables = system.tables(mm);
  Entry* slot = tables.find(page);
  const FrameNumber old = slot->frame();
  copy_page(system, copy, old);

  const PageTableGuard<G> guard(system, mm.page_table_lock);
  const bool was_anon = old != Frames<G>::kZeroPage;
  const bool unneeded = was_anon && system.descriptor(old).mapcount() == 1 && system.descriptor(old).references() == 1;
  add_new_anon_page(system, copy, vma, page);
  if (kind == FaultKind::kWrite) {
    tables.set(slot, make_entry(copy, vma, true));
  } else {
    // The copy is nowhere else, and nothing has written it through this entry.
    tables.set(slot, make_entry(copy, vma, false));
    system.descriptor(copy).set_dirty(true);
  }
  system.note({.kind = kind == FaultKind::kWrite ? EventKind::kCopiedOnWrite : EventKind::kUnshared,
               .decision = kind == FaultKind::kWrite ? Decision::kReuse : Decision::kGupRead,
               .page = page,
               .frame = old,
               .new_frame = copy,
               .unneeded = unneeded});
  // The old mapping goes last: a mapcount of one lets another process write the page, and it must not while this
  // process can still read it.
  if (was_anon) {
    drop_mapping(system, old);
  } else {
    ++mm.anon_rss;
  }
  return {};
}

/// Some mapping of `frame` other than `vma` at `page`.
template <class G>
struct OtherMapping {
  Ref<Vma> vma;
  Vpn page;
};

template <class G>
OtherMapping<G> find_other_mapping(System<G>& system, FrameNumber frame, Ref<Vma> vma, Vpn page) {
  OtherMapping<G> found;
  rmap_walk(system.frames(), frame, [&](Ref<Vma> other, Vpn other_page) {
    if ((other == vma && other_page == page) || found.vma) {
      return;
    }
    const Entry entry = system.tables(system.at(system.at(other).mm)).get(other_page);
    if (entry.present() && entry.frame() == frame) {
      found = {other, other_page};
    }
  });
  return found;
}

/// Everybody else who maps the page gets a copy; the faulting process is left as its only user.
template <class G>
Result<void> copy_to_others(System<G>& system, Ref<Vma> vma, Vpn page, FrameNumber frame) {
  while (true) {
    const auto other = find_other_mapping<G>(system, frame, vma, page);
    if (!other.vma) {
      return {};
    }
    Vma& other_vma = system.at(other.vma);
    COWHERD_TRY(anon_vma_prepare(system.frames(), other.vma));
    auto allocated = system.allocate_page();
    if (!allocated) {
      return allocated.error();
    }
    copy_page(system, *allocated, frame);
    Mm& other_mm = system.at(other_vma.mm);
    const PageTableGuard<G> guard(system, other_mm.page_table_lock);
    if (guard.blocked()) {
      system.frames().free(*allocated);
      return Errno::kWouldBlock;
    }
    auto tables = system.tables(other_mm);
    add_new_anon_page(system, *allocated, other_vma, other.page);
    system.descriptor(*allocated).set_dirty(true);
    tables.set(tables.find(other.page), make_entry(*allocated, other_vma, false));
    drop_mapping(system, frame);
    system.note({.kind = EventKind::kCopiedToOther,
                 .decision = Decision::kReuse,
                 .page = other.page,
                 .frame = frame,
                 .new_frame = *allocated});
  }
}

/// A write or unshare fault on a present entry that does not let it through. Compare Linux mm/memory.c: do_wp_page().
template <class G>
Result<void> fault_write_protected(System<G>& system, Mm& mm, Ref<Vma> vma_ref, Vpn page, FaultKind kind) {
  const Vma& vma = system.at(vma_ref);
  FrameNumber frame;
  WriteFault verdict{};
  {
    const PageTableGuard<G> guard(system, mm.page_table_lock);
    frame = system.tables(mm).get(page).frame();
    const FrameDescriptor& descriptor = system.descriptor(frame);
    verdict = on_write_fault(system.rules(), system.state(frame), descriptor.locked(),
                             descriptor.owner() == vma.anon_vma.unit, descriptor.pins() != 0);
    if (verdict == WriteFault::kReuse) {
      reuse_page(system, mm, vma, page, kind);
      return {};
    }
  }
  switch (verdict) {
    case WriteFault::kCopyToOthers: {
      COWHERD_TRY(copy_to_others(system, vma_ref, page, frame));
      const PageTableGuard<G> guard(system, mm.page_table_lock);
      reuse_page(system, mm, vma, page, kind);
      return {};
    }
    case WriteFault::kWaitForPageLock:
    case WriteFault::kWaitForReader:
      return Errno::kWouldBlock;
    case WriteFault::kReuse:
    case WriteFault::kCopy:
      break;
  }
  return copy_mapped_page(system, mm, vma, page, kind);
}

}  // namespace

template <class G>
Result<void> handle_fault(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind) {
  if (mm.page_table_lock.held) {
    return Errno::kWouldBlock;
  }
  const Entry entry = system.tables(mm).get(page);
  if (entry.present() && (kind == FaultKind::kRead || entry.writable())) {
    return {};
  }
  if (entry.present() || kind == FaultKind::kWrite) {
    COWHERD_TRY(anon_vma_prepare(system.frames(), vma));
  }
  if (entry.present()) {
    return fault_write_protected(system, mm, vma, page, kind);
  }
  return fault_anonymous_page(system, mm, system.at(vma), page, kind);
}

#define COWHERD_INSTANTIATE(G) template Result<void> handle_fault<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
