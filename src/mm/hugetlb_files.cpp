#include <algorithm>

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
#include "mm/files.hpp"
#include "mm/hugetlb_fault.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

constexpr std::uint32_t kNoEnd = ~std::uint32_t{0};

template <class G>
constexpr std::uint32_t kPagesEach = static_cast<std::uint32_t>(Frames<G>::kHugeFrames);

/// Promises a page to each of [first, end) that has none and is not there. With the fault lock. Compare Linux
/// mm/hugetlb.c: hugetlb_reserve_pages().
template <class G>
Result<void> promise_pages(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  std::uint32_t missing = 0;
  {
    const MappingGuard<G, true> guard(system, file);
    for (std::uint32_t at = first; at < end; at += kPagesEach<G>) {
      if (find_place(system.frames(), system.at(file), at).none()) ++missing;
    }
  }
  const Live live(system, "promise-pages", file, first, end, missing);
  COWHERD_TRY(reserve_hugetlb(system, missing));
  Result<void> added;
  {
    const MappingGuard<G, false> guard(system, file);
    File& of = system.at(file);
    for (std::uint32_t at = first; at < end && added; at += kPagesEach<G>) {
      if (find_place(system.frames(), of, at).none()) added = add_promise(system.frames(), of, at);
    }
    for (std::uint32_t at = first; at < end; at += kPagesEach<G>) {
      if (find_place(system.frames(), of, at).slot != Promise::kNew) continue;
      if (added) {
        set_in_swap(system.frames(), of, at, Promise::kMade);
      } else {
        remove_cached(system.frames(), of, at);
      }
    }
  }
  if (!added) take_back_promises(system, missing);
  return added;
}

/// The page of the shared memory behind a place, brought in where it is not there, with a reference for the caller.
/// SIGBUS, ENOMEM. Compare Linux mm/hugetlb.c: hugetlb_add_to_page_cache().
template <class G>
Result<FrameNumber> hold_or_bring_in(const HugetlbFault<G>& fault) {
  System<G>& system = fault.system;
  const Ref<File> file = file_of(system, fault.area());
  const auto index = static_cast<std::uint32_t>(fault.area().index_of(fault.first).value());
  if (index >= system.at(file).size()) return Errno::kSigBus;
  bool promised_there = false;
  {
    const MappingGuard<G, true> guard(system, file);
    const FilePlace found = find_place(system.frames(), system.at(file), index);
    if (found.frame != Frames<G>::kZeroPage) {
      system.descriptor(found.frame).add_references(1);
      return found.frame;
    }
    promised_there = found.slot.has_value();
  }
  const Promised promised = promised_there ? Promised::kYes : Promised::kNo;
  COWHERD_TRY_ASSIGN(head, take_hugetlb_page(system, promised));
  std::uint32_t at = 0;
  const Live live(system, "hugetlb-file-page", head, promised, index, at);
  for (; at < kPagesEach<G>; ++at) clear_page(system, head + PageCount{at}, false);
  // One reference is the cache's.
  system.descriptor(head).start_file(file.unit, Vpn{index}, 2);
  Result<void> added;
  {
    const MappingGuard<G, false> guard(system, file);
    if (promised_there) {
      set_cached(system.frames(), system.at(file), index, head);
    } else {
      added = add_cached(system.frames(), system.at(file), index, head);
    }
  }
  if (added) return head;
  (void)system.descriptor(head).drop_references(2);
  give_back_hugetlb_page(system, head, COWHERD_MUTANT(given_up_reserve_lost) ? Promised::kNo : promised);
  return added.error();
}

/// Maps `head`, whose reference becomes the entry's.
template <class G>
Result<Faulted> map_held_page(const HugetlbFault<G>& fault, FrameNumber head) {
  System<G>& system = fault.system;
  Mm& mm = fault.mm;
  const bool shared = fault.area().flags.shared;
  auto tables = system.tables(mm);
  typename Tables<G>::Missing missing(system.frames());
  const Live live(system, "map-held-hugetlb", head, fault.entry, missing.frames(), missing.count());
  if (auto ready = tables.reserve(fault.first, missing, 1); !ready) {
    put_page(system, head);
    return ready.error();
  }
  {
    const UpperTableGuard<G> guard(system, mm);
    if (!guard.blocked()) {
      const EntrySlot slot = install_place(fault, tables, missing);
      const bool again = system.in_pool(slot.load().frame());
      if (!again) {
        point(system, Point::kMapcount);
        system.descriptor(head).add_mapcount();
      }
      point(system, mm, Point::kSetEntry);
      const bool lost =
          fault.area().flags.reserved && !fault.promised() && !COWHERD_MUTANT(hugetlb_lost_promise_forgotten);
      tables.set(slot, make_entry(head, fault.area(), shared).with_huge(true).with_unpromised(lost));
      system.note({.kind = shared ? EventKind::kFileWritable : EventKind::kHugeMapped,
                   .decision = Decision::kHugetlbReuse,
                   .page = fault.first,
                   .frame = head});
      // The caller's reference is the entry's now.
      if (!again) return shared ? Faulted::kMadeOwn : Faulted::kRetry;
    }
  }
  put_page(system, head);
  return Faulted::kRetry;
}

/// Takes a page of the file, or a private copy in its place, from one address space. A copy that goes back to the pool
/// is promised to its place again, where that has reservations. The file's list of mappings keeps the VMA, whose owner
/// may be unmapping it:
///
///   punch                                  munmap of a private mapping
///                                          count the places that are promised a page: this one has a copy
///   take the copy, which goes back
///   promise it to the place again
///                                          drop the entries: there is none
///
/// and the promise would be left over. Allowed because who unmaps such a mapping counts and drops with the fault lock,
/// which is held here.
template <class G>
void unmap_hugetlb_place(System<G>& system, Mm& mm, bool reserved, Vpn first) {
  const UpperTableGuard<G> guard(system, mm);
  auto tables = system.tables(mm);
  const EntrySlot slot = tables.walk_to(first, 1).slot;
  if (guard.blocked() || !slot || !slot.load().huge() || !system.in_pool(slot.load().frame())) return;
  point(system, mm, Point::kClearEntry);
  const Entry gone = slot.exchange(no_hugetlb_page<G>());
  const Live live(system, "unmap-hugetlb-place", gone);
  if (!COWHERD_MUTANT(hugetlb_punch_without_flush)) flush_range(system, mm, Tables<G>::covered(first, 1));
  system.note({.kind = EventKind::kUnmapped, .page = first, .frame = gone.frame()});
  const bool of_file = system.descriptor(gone.frame()).use() == FrameUse::kFile;
  const Promised promised = reserved && !of_file ? Promised::kYes : Promised::kNo;
  const bool freed = drop_hugetlb_mapping(system, gone.frame(), promised);
  const bool none_promised = reserved && (of_file ? gone.unpromised() : !freed);
  if (!none_promised) tables.set(slot, emptied_hugetlb_place<G>());
}

/// Takes pages [first, end) from everybody who maps them, private copies too. With the fault lock. Compare Linux
/// fs/hugetlbfs/inode.c: hugetlb_vmdelete_list().
template <class G>
void unmap_hugetlb_pages(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  const Live asked(system, "unmap-hugetlb-pages", file, first, end);
  const MappingGuard<G, true> guard(system, file);
  Ref<FileMapping> at = system.at(file).first;
  Vpn place;
  const Live live(system, "unmap-hugetlb-in", at, place);
  for (; at; at = system.at(at).next) {
    const Vma& vma = system.at(system.at(at).vma);
    const PageRange part = intersect({Vpn{first}, Vpn{end}}, {vma.index, vma.index + vma.pages.count()});
    if (part.empty()) continue;
    const Vpn stop = vma.pages.begin + (part.end - vma.index);
    for (place = vma.pages.begin + (part.begin - vma.index); place < stop; place = place + PageCount{kPagesEach<G>}) {
      unmap_hugetlb_place(system, system.at(vma.mm), system.at(at).reserved != 0, place);
    }
  }
}

/// Pages [first, end) of the file, all of one hugetlb page, become zeros, where that is there.
template <class G>
void clear_part(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  if (first >= end) return;
  const FrameNumber head = hold_hugetlb_page(system, file, first / kPagesEach<G> * kPagesEach<G>);
  if (head == Frames<G>::kZeroPage) return;
  const Live live(system, "clear-part", head, first);
  for (; first < end; ++first) {
    point(system, Point::kDevice);
    const FrameNumber frame = head + PageCount{first % kPagesEach<G>};
    copy_racing(system.frames().bytes(frame), system.frames().bytes(Frames<G>::kZeroPage), Geometry<G>::kPageBytes);
  }
  put_page(system, head);
}

}  // namespace

template <class G>
Result<void> ready_hugetlb(System<G>& system, Ref<File> file, PageRange pages, MapFlags flags, Protection protection) {
  const bool promises = !has(flags, MapFlags::kNoReserve);
  const bool shared = has(flags, MapFlags::kShared);
  if (!file) {
    const std::uint64_t count = pages.count().value() / kPagesEach<G>;
    return promises ? reserve_hugetlb(system, static_cast<std::uint32_t>(count)) : Result<void>();
  }
  const auto first = static_cast<std::uint32_t>(pages.begin.value());
  const auto end = static_cast<std::uint32_t>(pages.end.value());
  const HugetlbFaultGuard<G> guard(system);
  if (guard.blocked()) return would_block(system, Point::kHugetlbFaultLock);
  if (promises) {
    COWHERD_TRY(shared ? promise_pages(system, file, first, end)
                       : reserve_hugetlb(system, (end - first) / kPagesEach<G>));
  }
  if (!has(protection, Protection::kWrite) || end <= system.at(file).size()) return {};
  point(system, Point::kFileSize);
  system.at(file).set_size(end);
  return {};
}

template <class G>
FrameNumber hold_hugetlb_page(System<G>& system, Ref<File> file, std::uint32_t index) {
  const MappingGuard<G, true> guard(system, file);
  const FrameNumber found = find_cached(system.frames(), system.at(file), index);
  if (found != Frames<G>::kZeroPage) system.descriptor(found).add_references(1);
  return found;
}

template <class G>
void drop_hugetlb_pages(System<G>& system, Ref<File> file, std::uint32_t first, std::uint32_t end) {
  std::uint32_t promises = 0;
  const Live live(system, "drop-hugetlb-pages", file, first, end, promises);
  while (true) {
    FilePlace place;
    {
      const MappingGuard<G, false> guard(system, file);
      place = next_place(system.frames(), system.at(file), first);
      if (place.none() || place.index >= end) break;
      remove_cached(system.frames(), system.at(file), place.index);
      if (!place.slot) system.descriptor(place.frame).set_owner(0, Vpn{place.index});
    }
    first = place.index + 1;
    if (place.slot) {
      ++promises;
    } else {
      put_page(system, place.frame);
    }
  }
  if (!COWHERD_MUTANT(hugetlb_file_keeps_promises)) take_back_promises(system, promises);
}

template <class G>
Result<FrameNumber> hold_cached_hugetlb(const HugetlbFault<G>& fault) {
  System<G>& system = fault.system;
  const Ref<File> file = file_of(system, fault.area());
  if (!file) return Frames<G>::kZeroPage;
  const auto index = static_cast<std::uint32_t>(fault.area().index_of(fault.first).value());
  if (index >= system.at(file).size()) return Errno::kSigBus;
  return hold_hugetlb_page(system, file, index);
}

template <class G>
Result<Faulted> map_hugetlb_file_page(const HugetlbFault<G>& fault, FrameNumber head) {
  return map_held_page(fault, head);
}

template <class G>
Result<Faulted> map_shared_hugetlb(const HugetlbFault<G>& fault) {
  COWHERD_TRY_ASSIGN(head, hold_or_bring_in(fault));
  return map_held_page(fault, head);
}

template <class G>
Result<void> truncate_hugetlb(System<G>& system, Ref<File> file, std::uint32_t size) {
  if (size % kPagesEach<G> != 0) return Errno::kInvalid;
  const HugetlbFaultGuard<G> guard(system);
  if (guard.blocked()) return would_block(system, Point::kHugetlbFaultLock);
  const std::uint32_t before = system.at(file).size();
  point(system, Point::kFileSize);
  system.at(file).set_size(size);
  if (size >= before) return {};
  unmap_hugetlb_pages(system, file, size, kNoEnd);
  drop_hugetlb_pages(system, file, size, kNoEnd);
  return {};
}

template <class G>
Result<void> punch_hugetlb(System<G>& system, Ref<File> file, PageCount first, PageCount count) {
  const HugetlbFaultGuard<G> guard(system);
  if (guard.blocked()) return would_block(system, Point::kHugetlbFaultLock);
  const std::uint64_t size = system.at(file).size();
  const auto begin = static_cast<std::uint32_t>(std::min(first.value(), size));
  const auto end = static_cast<std::uint32_t>(std::min(first.value() + count.value(), size));
  const std::uint32_t whole = (begin + kPagesEach<G> - 1) / kPagesEach<G> * kPagesEach<G>;
  const std::uint32_t whole_end = end / kPagesEach<G> * kPagesEach<G>;
  const Live live(system, "punch-hugetlb", begin, end);
  clear_part(system, file, begin, std::min(end, whole));
  if (whole < whole_end) {
    unmap_hugetlb_pages(system, file, whole, whole_end);
    drop_hugetlb_pages(system, file, whole, whole_end);
  }
  clear_part(system, file, std::max(whole, whole_end), end);
  return {};
}

#define COWHERD_INSTANTIATE(G)                                                                    \
  template Result<void> ready_hugetlb<G>(System<G>&, Ref<File>, PageRange, MapFlags, Protection); \
  template FrameNumber hold_hugetlb_page<G>(System<G>&, Ref<File>, std::uint32_t);                \
  template void drop_hugetlb_pages<G>(System<G>&, Ref<File>, std::uint32_t, std::uint32_t);       \
  template Result<FrameNumber> hold_cached_hugetlb<G>(const HugetlbFault<G>&);                    \
  template Result<Faulted> map_hugetlb_file_page<G>(const HugetlbFault<G>&, FrameNumber);         \
  template Result<Faulted> map_shared_hugetlb<G>(const HugetlbFault<G>&);                         \
  template Result<void> truncate_hugetlb<G>(System<G>&, Ref<File>, std::uint32_t);                \
  template Result<void> punch_hugetlb<G>(System<G>&, Ref<File>, PageCount, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
