#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/fault.hpp"
#include "mm/files.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/populate.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Where a new mapping goes. EEXIST, ENOMEM.
template <class G>
Result<PageRange> place(System<G>& system, Mm& mm, Vaddr address, PageRange wanted, MapFlags flags) {
  VmaTree areas = system.areas(mm);
  const auto is_free = [&](PageRange range) {
    const Ref<Vma> next = areas.find(range.begin);
    return !next || system.at(next).pages.begin >= range.end;
  };
  if (has(flags, MapFlags::kFixedNoReplace)) {
    return is_free(wanted) ? Result<PageRange>(wanted) : Errno::kExist;
  }
  if (has(flags, MapFlags::kFixed) || (address != Vaddr{0} && is_free(wanted))) {
    return wanted;
  }
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  const Vpn hole = areas.find_hole(wanted.count(), Vpn{G::kFirstMapPage}, kEnd);
  if (hole == kEnd) {
    return Errno::kNoMemory;
  }
  return PageRange{hole, hole + wanted.count()};
}

/// As place(), at whole hugetlb pages, of which a part counts as one. EINVAL: the range does not begin with one.
/// Compare Linux mm/mmap.c: ksys_mmap_pgoff().
template <class G>
Result<PageRange> place_hugetlb(System<G>& system, Mm& mm, Vaddr address, PageRange wanted, MapFlags flags) {
  constexpr std::uint64_t kHuge = Frames<G>::kHugeFrames;
  wanted.end = wanted.begin + PageCount{(wanted.count().value() + kHuge - 1) / kHuge * kHuge};
  if (wanted.end > Vpn{Geometry<G>::kUserPages}) return Errno::kNoMemory;
  const bool fixed = has(flags, MapFlags::kFixed) || has(flags, MapFlags::kFixedNoReplace);
  if (fixed) {
    if (wanted.begin.value() % kHuge != 0) return Errno::kInvalid;
    return place(system, mm, address, wanted, flags);
  }
  // A hole with room for what comes before the first whole page.
  COWHERD_TRY_ASSIGN(hole,
                     place(system, mm, Vaddr{0}, {Vpn{0}, Vpn{0} + wanted.count() + PageCount{kHuge - 1}}, flags));
  const Vpn begin{(hole.begin.value() + kHuge - 1) / kHuge * kHuge};
  return PageRange{begin, begin + wanted.count()};
}

/// A VMA that is not anywhere yet, and what it needs to map a file.
struct NewVma {
  Ref<Vma> vma;
  /// Null where it maps none; with a use for who makes the VMA.
  Ref<File> file;
  Ref<FileMapping> mapping;
};

/// ENOMEM, and then nothing was made.
template <class G>
Result<NewVma> make_vma(System<G>& system, PageCount pages, MapFlags flags, Backing backing) {
  NewVma made;
  COWHERD_TRY_ASSIGN(vma, system.frames().template make<Vma>());
  made.vma = vma;
  if (backing.file == kNoFile && !has(flags, MapFlags::kShared)) return made;
  auto mapping = system.frames().template make<FileMapping>();
  if (!mapping) {
    system.frames().destroy(vma);
    return mapping.error();
  }
  made.mapping = *mapping;
  if (backing.file != kNoFile) {
    made.file = file_ref<G>(backing.file);
    return made;
  }
  // Shared anonymous memory is a file that nobody else has a name for. Compare Linux mm/shmem.c: shmem_zero_setup().
  const FileKind kind = has(flags, MapFlags::kHugetlb) ? FileKind::kHugetlb : FileKind::kMemory;
  auto file = make_file(system, kind, static_cast<std::uint32_t>(pages.value()));
  if (!file) {
    system.frames().destroy(*mapping);
    system.frames().destroy(vma);
    return file.error();
  }
  made.file = *file;
  return made;
}

template <class G>
void destroy_vma(System<G>& system, const NewVma& unused) {
  if (unused.file && system.at(unused.file).users == 0) system.frames().destroy(unused.file);
  if (unused.mapping) system.frames().destroy(unused.mapping);
  system.frames().destroy(unused.vma);
}

/// Puts the VMA on the list of its file, before anything can be mapped in it.
template <class G>
void link_vma(System<G>& system, const NewVma& made) {
  if (!made.file) return;
  const Live live(system, "link-vma", made.vma, made.file, made.mapping);
  const MappingGuard<G, false> guard(system, made.file);
  link_mapping(system.frames(), made.mapping, made.vma, made.file, {});
}

}  // namespace

template <class G>
Result<Vaddr> mmap(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection,
                   MapFlags flags, Backing backing) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(wanted, page_range<G>(address, length));
  const bool of_file = backing.file != kNoFile || has(flags, MapFlags::kShared);
  const bool of_hugetlb_file = backing.file != kNoFile && system.at(file_ref<G>(backing.file)).is_hugetlb();
  const bool hugetlb = has(flags, MapFlags::kHugetlb) || of_hugetlb_file;
  if (hugetlb) {
    if (!system.has_pool()) return Errno::kNoMemory;
    const bool in_parts = backing.first.value() % Frames<G>::kHugeFrames != 0;
    const bool of_other_file = backing.file != kNoFile && !of_hugetlb_file;
    if (of_other_file || in_parts || has(flags, MapFlags::kSecret)) return Errno::kInvalid;
  }
  const bool reserved = hugetlb && !has(flags, MapFlags::kNoReserve);
  if (of_file && backing.first.value() + wanted.count().value() > kMaxFilePages) return Errno::kInvalid;
  PageRange range;
  Removed<G> removed(system, mm);
  const Live live(system, "mmap", removed.vmas, removed.tables, removed.flush.range(), removed.tells);
  {
    const MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    COWHERD_TRY_ASSIGN(placed, hugetlb ? place_hugetlb(system, mm, address, wanted, flags)
                                       : place(system, mm, address, wanted, flags));
    range = placed;
    if (cuts_hugetlb(system, mm, range)) return Errno::kInvalid;
    COWHERD_TRY_ASSIGN(fresh, make_vma(system, range.count(), flags, backing));
    auto ready = may_unmap(system, mm, range);
    if (ready) ready = split_at(system, mm, range);
    if (ready) {
      const Live owning(system, "own-edges-of", range, fresh.vma, fresh.file, fresh.mapping);
      ready = own_edges(system, mm, range);
      if (ready && hugetlb) {
        ready = ready_hugetlb<G>(system, fresh.file,
                                 {Vpn{backing.first.value()}, Vpn{backing.first.value()} + range.count()}, flags,
                                 protection);
      }
      if (!ready) merge_vmas(system, mm, range);
    }
    if (!ready) {
      if (!COWHERD_MUTANT(failed_mmap_leaks_vma)) destroy_vma(system, fresh);
      return ready.error();
    }
    const Live placing(system, "place", range, fresh.vma, fresh.file, fresh.mapping);
    remove_vmas(system, mm, range, removed);
    if (removed.tells) tell_handler(system, mm, UffdEvent::kUnmap);
    Vma& added = system.at(fresh.vma);
    added.pages = range;
    added.index = of_file ? Vpn{backing.first.value()} : range.begin;
    added.mm = system.at(process_ref<G>(process)).mm;
    added.flags = VmaFlags{.protection = protection,
                           .shared = has(flags, MapFlags::kShared),
                           .soft_dirty = true,
                           .secret = has(flags, MapFlags::kSecret),
                           .hugetlb = hugetlb,
                           .reserved = reserved && !has(flags, MapFlags::kShared)};
    link_vma(system, fresh);
    system.areas(mm).insert(fresh.vma);
    merge_vmas(system, mm, range);
    if (has(flags, MapFlags::kPopulate)) {
      free_removed(system, removed);
      // A mapping that could not be filled is still a mapping. Compare Linux mm/gup.c: __mm_populate().
      const auto kind = has(protection, Protection::kWrite) ? FaultKind::kWrite : FaultKind::kRead;
      auto populated = own_tables(system, mm, range);
      Vpn at = range.begin;
      if (populated) populated = populate(system, mm, range, kind, at);
      if (!populated && populated.error() == Errno::kWouldBlock) {
        return Errno::kWouldBlock;
      }
    }
  }
  const Live placed(system, "placed", range);
  free_removed(system, removed);
  return Geometry<G>::address_of(range.begin);
}

template <class G>
Result<void> munmap(System<G>& system, ProcessId process, Vaddr address, ByteCount length) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  Removed<G> removed(system, mm);
  const Live live(system, "munmap", removed.vmas, removed.tables, removed.flush.range(), removed.tells);
  {
    const MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    if (cuts_hugetlb(system, mm, range)) return Errno::kInvalid;
    COWHERD_TRY(may_unmap(system, mm, range));
    COWHERD_TRY(split_at(system, mm, range));
    if (auto owned = own_edges(system, mm, range); !owned) {
      merge_vmas(system, mm, range);
      return owned;
    }
    remove_vmas(system, mm, range, removed);
    if (removed.tells) tell_handler(system, mm, UffdEvent::kUnmap);
  }
  free_removed(system, removed);
  return {};
}

#define COWHERD_INSTANTIATE(G)                                                                            \
  template Result<Vaddr> mmap<G>(System<G>&, ProcessId, Vaddr, ByteCount, Protection, MapFlags, Backing); \
  template Result<void> munmap<G>(System<G>&, ProcessId, Vaddr, ByteCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
