#include <optional>

#include "back/anon_rmap.hpp"
#include "mm/hugetlb.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shmem_swap.hpp"

namespace cowherd::mm {

namespace {

/// Mappings of a page that its counts do not show, because the table that holds the entry is several address spaces'.
template <class G>
std::uint32_t hidden_mappings(System<G>& system, FrameNumber frame) {
  std::uint32_t mappings = 0;
  const auto count = [&](Ref<Vma> vma, Vpn page) {
    const Entry entry = system.tables(system.at(system.at(vma).mm)).get(page);
    mappings += (entry.present() || entry.on_device()) && entry.frame() == frame ? 1 : 0;
  };
  const FrameDescriptor& descriptor = system.descriptor(frame);
  if (descriptor.use() == FrameUse::kFile) {
    const Ref<File> file{descriptor.owner()};
    const auto index = static_cast<std::uint32_t>(descriptor.index().value());
    if (file) for_each_mapping(system.frames(), system.at(file), index, count);
  } else {
    rmap_walk(system.frames(), frame, count);
  }
  const std::uint32_t counted = system.descriptor(frame).mapcount();
  return mappings > counted ? mappings - counted : 0;
}

/// The slot that holds what `entry`, which is not present, or the file that it shows stands for; nothing: none does.
template <class G>
std::optional<BlockNumber> slot_of(System<G>& system, ProcessId process, Vpn page, Entry entry) {
  if (entry.swap()) return entry.slot();
  const Ref<Vma> vma = entry.is_empty() ? system.areas(mm_of(system, process)).at(page) : Ref<Vma>{};
  const Ref<File> file = vma ? shmem_of(system, system.at(vma)) : Ref<File>{};
  if (!file) return std::nullopt;
  const auto index = static_cast<std::uint32_t>(system.at(vma).index_of(page).value());
  return find_place(system.frames(), system.at(file), index).slot;
}

}  // namespace

template <class G>
PageView inspect(System<G>& system, ProcessId process, Vaddr address) {
  PageView view;
  const Vpn page = Geometry<G>::page_of(address);
  if (exited(system, process) || page.value() >= Geometry<G>::kUserPages) {
    return view;
  }
  const auto walk = system.tables(mm_of(system, process)).walk_to(page);
  // A hugetlb page that is promised or lost is none.
  if (!walk.huge || !maps_no_hugetlb_page<G>(walk.slot.load())) {
    view.entry = walk.load();
    view.huge = walk.huge;
  }
  view.soft_dirty = view.entry.soft_dirty();
  if (const Ref<Vma> vma = system.areas(mm_of(system, process)).at(page)) {
    view.in_vma = true;
    view.uffd = system.at(vma).flags.uffd;
    view.soft_dirty = view.soft_dirty || system.at(vma).flags.soft_dirty;
  }
  if (view.entry.present() || view.entry.on_device()) {
    view.frame = view.entry.frame();
    view.folio_order = system.frames().folio_order(view.frame);
    const FrameNumber folio = system.folio(view.frame);
    const FrameDescriptor& descriptor = system.descriptor(folio);
    const std::uint32_t hidden = descriptor.use() == FrameUse::kZeroPage ? 0 : hidden_mappings(system, folio);
    view.references = descriptor.references() + hidden;
    view.mapcount = descriptor.mapcount() + hidden;
    view.pins = descriptor.pins();
    view.exclusive = system.state_of_page(folio).exclusive && hidden == 0;
    view.dirty = descriptor.dirty();
    if (system.has_swap()) {
      const ColdDescriptor& cold = system.frames().cold(view.frame);
      view.in_swap_cache = cold.in_swap_cache();
      view.has_slot = view.in_swap_cache;
      if (view.has_slot) view.swap_entries = system.swap().count(cold.slot());
    }
  } else if (const auto slot = slot_of(system, process, page, view.entry)) {
    view.in_swap = true;
    view.has_slot = true;
    view.in_swap_cache = system.swap().cached(*slot) != Frames<G>::kZeroPage;
    view.swap_entries = system.swap().count(*slot);
  }
  return view;
}

template <class G>
PageCount rss(System<G>& system, ProcessId process) {
  PageCount pages{0};
  if (exited(system, process)) return pages;
  const auto tables = system.tables(mm_of(system, process));
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  tables.for_each_huge({Vpn{0}, kEnd}, [&](Vpn, EntrySlot slot) {
    // hugetlb pages are counted apart. Compare Linux: HugetlbPages in /proc/PID/status.
    const bool apart = is_of_hugetlb(system, slot.load()) || is_huge_zero_page(system, slot.load().frame());
    if (!apart) pages = pages + PageCount{Frames<G>::kHugeFrames};
  });
  for (Vpn at = tables.next_used(Vpn{0}, kEnd); at < kEnd; at = tables.next_used(Tables<G>::table_end(at), kEnd)) {
    const FrameDescriptor& table = system.descriptor(tables.table_of(tables.find(at)));
    for (unsigned rss = 0; rss < kRssClasses; ++rss)
      pages = pages + PageCount{table.pages_of(static_cast<RssClass>(rss))};
  }
  return pages;
}

template <class G>
PageCount swapped(System<G>& system, ProcessId process) {
  PageCount entries{0};
  if (exited(system, process)) return entries;
  system.tables(mm_of(system, process)).for_each({Vpn{0}, Vpn{Geometry<G>::kUserPages}}, [&](Vpn, EntrySlot place) {
    if (place.load().swap()) ++entries;
    return true;
  });
  return entries;
}

template <class G>
Result<FrameNumber> lock_page(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (exited(system, process) || page.value() >= Geometry<G>::kUserPages) {
    return Errno::kFault;
  }
  const Entry entry = system.tables(mm_of(system, process)).get(page);
  const FrameNumber frame = system.folio(entry.frame());
  if (!entry.present() || frame == Frames<G>::kZeroPage) {
    return Errno::kFault;
  }
  FrameDescriptor& descriptor = system.descriptor(frame);
  const bool free = wait_until<G, FrameDescriptor>(system, Point::kPageLock, descriptor,
                                                   [](const FrameDescriptor& d) { return !d.locked(); });
  if (!free || !descriptor.try_lock()) {
    return Errno::kWouldBlock;
  }
  return frame;
}

template <class G>
void unlock_page(System<G>& system, FrameNumber frame) {
  // A page that was freed meanwhile took its lock with it.
  system.descriptor(frame).unlock();
}

#define COWHERD_INSTANTIATE(G)                                             \
  template PageView inspect<G>(System<G>&, ProcessId, Vaddr);              \
  template PageCount rss<G>(System<G>&, ProcessId);                        \
  template PageCount swapped<G>(System<G>&, ProcessId);                    \
  template Result<FrameNumber> lock_page<G>(System<G>&, ProcessId, Vaddr); \
  template void unlock_page<G>(System<G>&, FrameNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
