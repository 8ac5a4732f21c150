#include "mm/areas.hpp"

#include "back/anon_rmap.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// Whether `right` can become part of `left`. Compare Linux mm/vma.c: can_vma_merge_after().
template <class G>
bool can_merge(System<G>& system, const Vma& left, const Vma& right) {
  if (left.pages.end != right.pages.begin || left.flags != right.flags ||
      right.index != left.index_of(right.pages.begin)) {
    return false;
  }
  if (left.anon_vma && right.anon_vma) {
    return left.anon_vma == right.anon_vma;
  }
  // A VMA without anon_vma may join one that has its own only; one that came through fork stands on its ancestors'
  // lists too, and would make them longer for pages they can never hold.
  const Ref<AnonVmaChain> chain = left.anon_vma ? left.chain : right.chain;
  return !chain || !system.at(chain).next_of_vma;
}

template <class G>
void merge_pair(System<G>& system, Mm& mm, Ref<Vma> left, Ref<Vma> right) {
  if (!system.at(left).anon_vma && system.at(right).anon_vma) {
    anon_vma_adopt(system.frames(), left, right);
  } else {
    unlink_anon_vmas(system.frames(), right);
  }
  const Vpn end = system.at(right).pages.end;
  system.areas(mm).erase(right);
  system.frames().destroy(right);
  system.areas(mm).set_end(left, end);
}

}  // namespace

template <class G>
Result<void> split_vma(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn at) {
  auto made = system.frames().template make<Vma>();
  if (!made) {
    return made.error();
  }
  Vma& upper = system.at(*made);
  Vma& lower = system.at(vma);
  upper.pages = {at, lower.pages.end};
  upper.index = lower.index_of(at);
  upper.mm = lower.mm;
  upper.flags = lower.flags;
  if (auto cloned = anon_vma_clone(system.frames(), *made, vma); !cloned) {
    system.frames().destroy(*made);
    return cloned;
  }
  system.areas(mm).set_end(vma, at);
  system.areas(mm).insert(*made);
  return {};
}

template <class G>
Result<void> split_at(System<G>& system, Mm& mm, PageRange range) {
  for (const Vpn edge : {range.begin, range.end}) {
    const Ref<Vma> cut = system.areas(mm).at(edge);
    if (cut && system.at(cut).pages.begin < edge) {
      if (auto split = split_vma(system, mm, cut, edge); !split) {
        merge_vmas(system, mm, range);
        return split;
      }
    }
  }
  return {};
}

template <class G>
void merge_vmas(System<G>& system, Mm& mm, PageRange range) {
  VmaTree areas = system.areas(mm);
  Ref<Vma> left = areas.before(range.begin);
  if (!left) {
    left = areas.find(range.begin);
  }
  while (left && system.at(left).pages.end <= range.end) {
    const Ref<Vma> right = areas.next(left);
    if (right && can_merge(system, system.at(left), system.at(right))) {
      merge_pair(system, mm, left, right);
    } else {
      left = right;
    }
  }
}

template <class G>
void zap_range(System<G>& system, Mm& mm, PageRange range) {
  auto tables = system.tables(mm);
  for (Vpn at = range.begin; at < range.end;) {
    // One lowest table at a time: it is freed, if it became empty, before the next.
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    {
      const PageTableGuard<G> guard(system, mm.page_table_lock);
      tables.for_each(chunk, [&](Vpn page, Entry* slot) {
        const FrameNumber frame = slot->frame();
        tables.set(slot, Entry{});
        system.note({.kind = EventKind::kUnmapped, .page = page, .frame = frame});
        if (frame != Frames<G>::kZeroPage) {
          --mm.anon_rss;
          drop_mapping(system, frame);
        }
        return true;
      });
    }
    tables.prune(at);
    at = tables.next_used(chunk.end, range.end);
  }
}

template <class G>
void remove_vmas(System<G>& system, Mm& mm, PageRange range) {
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end;) {
    zap_range(system, mm, system.at(vma).pages);
    unlink_anon_vmas(system.frames(), vma);
    const Ref<Vma> next = areas.next(vma);
    areas.erase(vma);
    system.frames().destroy(vma);
    vma = next;
  }
}

#define COWHERD_INSTANTIATE(G)                                        \
  template Result<void> split_vma<G>(System<G>&, Mm&, Ref<Vma>, Vpn); \
  template Result<void> split_at<G>(System<G>&, Mm&, PageRange);      \
  template void merge_vmas<G>(System<G>&, Mm&, PageRange);            \
  template void zap_range<G>(System<G>&, Mm&, PageRange);             \
  template void remove_vmas<G>(System<G>&, Mm&, PageRange);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
