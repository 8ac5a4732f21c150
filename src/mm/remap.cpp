#include <algorithm>
#include <utility>

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/move_pages.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// What mremap was asked for. Compare Linux mm/mremap.c: struct vma_remap_struct.
struct Request {
  PageRange from;
  PageCount count_there;
  RemapFlags flags;
  /// With MREMAP_FIXED: the place; with MREMAP_DONTUNMAP: a wish.
  Vpn there;

  [[nodiscard]] bool fixed() const { return has(flags, RemapFlags::kFixed); }
  [[nodiscard]] bool may_move() const { return has(flags, RemapFlags::kMayMove); }
  [[nodiscard]] bool dont_unmap() const { return has(flags, RemapFlags::kDontUnmap); }
  /// What is kept of `from`, and what is given up.
  [[nodiscard]] PageRange kept() const {
    return {from.begin, from.begin + PageCount{std::min(from.count().value(), count_there.value())}};
  }
  [[nodiscard]] PageRange given_up() const { return {kept().end, from.end}; }
  [[nodiscard]] PageRange target() const { return {there, there + count_there}; }
};

template <class G>
Result<Request> check(Vaddr old_address, ByteCount old_length, ByteCount new_length, RemapFlags flags,
                      Vaddr new_address) {
  COWHERD_TRY_ASSIGN(from, page_range<G>(old_address, old_length));
  COWHERD_TRY_ASSIGN(as_long, page_range<G>(Vaddr{0}, new_length));
  Request request{from, as_long.count(), flags, Vpn{0}};
  const bool moves = request.fixed() || request.dont_unmap();
  if (moves && !request.may_move()) return Errno::kInvalid;
  if (request.dont_unmap() && request.count_there != from.count()) return Errno::kInvalid;
  if (request.fixed()) {
    COWHERD_TRY_ASSIGN(target, page_range<G>(new_address, new_length));
    request.there = target.begin;
    if (!intersect(target, from).empty()) return Errno::kInvalid;
  } else if (request.dont_unmap()) {
    request.there = Geometry<G>::page_of(new_address);
  }
  return request;
}

template <class G>
bool is_free(System<G>& system, Mm& mm, PageRange range) {
  const Ref<Vma> next = system.areas(mm).find(range.begin);
  return range.end.value() <= Geometry<G>::kUserPages && (!next || system.at(next).pages.begin >= range.end);
}

/// VMAs for what is at request.kept(), at their place there, on the lists of the anon_vmas of the old ones; linked by
/// `right`, the last one first. They are in no tree yet, and on no list of a file, by which others would come to what
/// is there still. ENOMEM, and then there are none. Compare Linux mm/vma.c: copy_vma().
template <class G>
class NewVmas {
 public:
  NewVmas(System<G>& system, Mm& mm) : system_(system), mm_(mm) {}
  ~NewVmas() {
    while (const Ref<Vma> vma = pop()) {
      const Live live(system_, "unused-vma", vma);
      {
        const AnonVmaGuard<G> guard(system_, mm_, vma);
        unlink_anon_vmas(system_.frames(), vma);
      }
      free_unlinked(system_.frames(), vma);
      if (const Ref<FileMapping> mapping = system_.at(vma).mapping) system_.frames().destroy(mapping);
      system_.frames().destroy(vma);
    }
  }
  NewVmas(const NewVmas&) = delete;
  NewVmas& operator=(const NewVmas&) = delete;

  Result<void> make(const Request& request) {
    VmaTree areas = system_.areas(mm_);
    const PageRange kept = request.kept();
    Ref<Vma> vma = areas.find(kept.begin);
    const Live live(system_, "new-vmas", vma);
    for (; vma && system_.at(vma).pages.begin < kept.end; vma = areas.next(vma)) COWHERD_TRY(add(request, vma));
    // The last one grows; where nothing does, a hole at the end stays one.
    const PageCount more = request.count_there - kept.count();
    if (more != PageCount{0}) {
      const AnonVmaGuard<G> guard(system_, mm_, first_);
      system_.at(first_).pages.end = system_.at(first_).pages.end + more;
    }
    return {};
  }
  /// Takes out the last one; null: there is none left.
  Ref<Vma> pop() {
    const Ref<Vma> vma = first_;
    if (vma) first_ = std::exchange(system_.at(vma).right, Ref<Vma>{});
    return vma;
  }

  [[nodiscard]] const Ref<Vma>& first() const { return first_; }

 private:
  Result<void> add(const Request& request, Ref<Vma> source) {
    COWHERD_TRY_ASSIGN(made, system_.frames().template make<Vma>());
    Vma& copy = system_.at(made);
    const Vma& old = system_.at(source);
    if (old.mapping) {
      auto place = system_.frames().template make<FileMapping>();
      if (!place) {
        system_.frames().destroy(made);
        return place.error();
      }
      system_.at(*place).file = system_.at(old.mapping).file;
      copy.mapping = *place;
    }
    const Vpn begin = request.there + (old.pages.begin - request.from.begin);
    copy.pages = {begin, begin + old.pages.count()};
    // Pages keep their index. Where there are none yet, theirs will be the one that their neighbours count on from.
    copy.index = old.own_anon_vma() || old.mapping ? old.index : begin;
    if (COWHERD_MUTANT(move_changes_index)) copy.index = begin;
    copy.mm = old.mm;
    copy.flags = old.flags;
    copy.flags.soft_dirty = !COWHERD_MUTANT(move_is_not_soft_dirty);
    // Compare Linux fs/userfaultfd.c: mremap_userfaultfd_prep().
    if (leaves_registration(old.flags.uffd)) copy.flags.uffd = UffdFlags::kNone;
    const Live live(system_, "new-vma", made);
    const AnonVmaGuard<G> guard(system_, mm_, source);
    if (auto cloned = anon_vma_clone(system_.frames(), made, source); !cloned) {
      if (copy.mapping) system_.frames().destroy(copy.mapping);
      system_.frames().destroy(made);
      return cloned;
    }
    copy.right = std::exchange(first_, made);
    return {};
  }

  System<G>& system_;
  Mm& mm_;
  Ref<Vma> first_;
};

/// Puts what NewVmas has made into the tree, and on the list of the file that it maps.
template <class G>
void hang_in(System<G>& system, Mm& mm, Ref<Vma> vma) COWHERD_REQUIRES(mm.mmap_lock) {
  if (const Ref<FileMapping> mapping = system.at(vma).mapping) {
    const Live live(system, "hang-in", vma);
    const VmaMappingGuard<G> guard(system, vma);
    link_mapping(system.frames(), mapping, vma, system.at(mapping).file, {});
  }
  system.areas(mm).insert(vma);
}

/// MREMAP_DONTUNMAP: what is left behind has no pages, is on the list of no anon_vma, and is not locked. Compare Linux
/// mm/mremap.c: dontunmap_complete().
template <class G>
void leave_empty(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  VmaTree areas = system.areas(mm);
  Ref<Vma> vma = areas.find(range.begin);
  const Live live(system, "leave-empty", vma);
  for (; vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    {
      const AnonVmaGuard<G> guard(system, mm, vma);
      unlink_anon_vmas(system.frames(), vma);
    }
    free_unlinked(system.frames(), vma);
    system.at(vma).flags.locked = false;
    if (!system.at(vma).mapping) system.at(vma).index = system.at(vma).pages.begin;
  }
  merge_vmas(system, mm, range);
}

/// ENOMEM: userfaultfd's handler cannot be told of all that a move does.
template <class G>
Result<void> may_move(System<G>& system, Mm& mm, const Request& request) COWHERD_REQUIRES(mm.mmap_lock) {
  std::size_t events = tells_of(system, mm, request.kept(), UffdFlags::kEventRemap) ? 1 : 0;
  if (tells_of(system, mm, request.target(), UffdFlags::kEventUnmap)) ++events;
  if (!request.dont_unmap() && tells_of(system, mm, request.from, UffdFlags::kEventUnmap)) ++events;
  return events == 0 || can_tell(system, mm, events) ? Result<void>() : Errno::kNoMemory;
}

/// Everything that can fail of a move. ENOMEM, and then nothing has changed that can be observed.
template <class G>
Result<void> prepare(System<G>& system, Mm& mm, const Request& request, NewVmas<G>& vmas, TableReserve<G>& reserve)
    COWHERD_REQUIRES(mm.mmap_lock) {
  COWHERD_TRY(may_move(system, mm, request));
  COWHERD_TRY(split_at(system, mm, request.kept()));
  COWHERD_TRY(split_at(system, mm, request.from));
  COWHERD_TRY(split_at(system, mm, request.target()));
  COWHERD_TRY(own_tables(system, mm, request.kept()));
  COWHERD_TRY(own_edges(system, mm, request.from));
  COWHERD_TRY(own_edges(system, mm, request.target()));
  COWHERD_TRY(vmas.make(request));
  return reserve.fill(tables_for_move(system, mm, request.kept(), request.target()));
}

/// Moves request.kept() to request.target(), in place of what is there. What is unmapped with it goes to `there` and
/// `left`. ENOMEM, and then nothing has changed that can be observed. Compare Linux mm/mremap.c: move_vma().
template <class G>
Result<void> move(System<G>& system, Mm& mm, const Request& request, Removed<G>& there, Removed<G>& left)
    COWHERD_REQUIRES(mm.mmap_lock) {
  NewVmas<G> vmas(system, mm);
  TableReserve<G> reserve(system);
  const Live live(system, "move", vmas.first(), reserve.first());
  if (auto ready = prepare(system, mm, request, vmas, reserve); !ready) {
    merge_vmas(system, mm, request.from);
    merge_vmas(system, mm, request.target());
    return ready;
  }
  const bool tells = tells_of(system, mm, request.kept(), UffdFlags::kEventRemap);
  const Live told(system, "tells", tells);
  remove_vmas(system, mm, request.target(), there);
  while (const Ref<Vma> vma = vmas.pop()) hang_in(system, mm, vma);
  VmaTree areas = system.areas(mm);
  Ref<Vma> vma = areas.find(request.from.begin);
  const Live moving(system, "moving", vma);
  for (; vma && system.at(vma).pages.begin < request.kept().end; vma = areas.next(vma)) {
    const PageRange part = system.at(vma).pages;
    move_pages(system, mm, vma, part, request.there + (part.begin - request.from.begin), reserve);
  }
  if (request.dont_unmap()) {
    leave_empty(system, mm, request.from);
  } else {
    remove_vmas(system, mm, request.from, left);
  }
  merge_vmas(system, mm, request.target());
  if (there.tells) tell_handler(system, mm, UffdEvent::kUnmap);
  if (tells) tell_handler(system, mm, UffdEvent::kRemap);
  if (left.tells) tell_handler(system, mm, UffdEvent::kUnmap);
  return {};
}

/// Without a place of its own: smaller where it is, or larger if there is room behind it. ENOMEM: there is none.
template <class G>
Result<void> resize_in_place(System<G>& system, Mm& mm, const Request& request, Removed<G>& removed)
    COWHERD_REQUIRES(mm.mmap_lock) {
  const Ref<Vma> vma = system.areas(mm).at(request.from.begin);
  if (!request.given_up().empty()) {
    COWHERD_TRY(may_unmap(system, mm, request.given_up()));
    COWHERD_TRY(split_at(system, mm, request.given_up()));
    if (auto owned = own_edges(system, mm, request.given_up()); !owned) {
      merge_vmas(system, mm, request.given_up());
      return owned;
    }
    remove_vmas(system, mm, request.given_up(), removed);
    if (removed.tells) tell_handler(system, mm, UffdEvent::kUnmap);
    return {};
  }
  const PageRange more{request.from.end, request.from.begin + request.count_there};
  if (more.empty()) return {};
  if (system.at(vma).pages.end != request.from.end || !is_free(system, mm, more)) return Errno::kNoMemory;
  {
    const VmaMappingGuard<G> file_guard(system, vma);
    const AnonVmaGuard<G> guard(system, mm, vma);
    system.areas(mm).set_end(vma, more.end);
  }
  merge_vmas(system, mm, {request.from.begin, more.end});
  return {};
}

/// The whole of it, with the mmap lock. Returns where the pages are now.
template <class G>
Result<Vpn> remap(System<G>& system, Mm& mm, Request& request, Removed<G>& there, Removed<G>& left)
    COWHERD_REQUIRES(mm.mmap_lock) {
  VmaTree areas = system.areas(mm);
  const Ref<Vma> vma = areas.at(request.from.begin);
  if (!vma) return Errno::kFault;
  // Compare Linux before 5.16: hugetlb pages are not moved.
  if (any_hugetlb(system, mm, request.from)) return Errno::kInvalid;
  if (request.fixed() && cuts_hugetlb(system, mm, request.target())) return Errno::kInvalid;
  // Only a range of one VMA has something to grow with.
  const bool grows = request.count_there > request.from.count();
  if (grows && system.at(vma).pages.end < request.from.end) return Errno::kFault;
  const bool too_long =
      system.at(vma).index_of(request.from.begin).value() + request.count_there.value() > kMaxFilePages;
  if (grows && system.at(vma).mapping && too_long) return Errno::kInvalid;
  if (!request.fixed() && !request.dont_unmap()) {
    auto resized = resize_in_place(system, mm, request, there);
    if (resized) return request.from.begin;
    const bool no_room = grows && resized.error() == Errno::kNoMemory;
    if (!no_room || !request.may_move()) return resized.error();
  }
  if (!request.fixed()) {
    constexpr Vpn kEnd{Geometry<G>::kUserPages};
    const bool wish = request.there != Vpn{0} && is_free(system, mm, request.target());
    if (!wish) request.there = areas.find_hole(request.count_there, Vpn{G::kFirstMapPage}, kEnd);
    if (request.there == kEnd) return Errno::kNoMemory;
  }
  COWHERD_TRY(move(system, mm, request, there, left));
  return request.there;
}

}  // namespace

template <class G>
Result<Vaddr> mremap(System<G>& system, ProcessId process, Vaddr old_address, ByteCount old_length,
                     ByteCount new_length, RemapFlags flags, Vaddr new_address) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(request, check<G>(old_address, old_length, new_length, flags, new_address));
  Removed<G> there(system, mm);
  Removed<G> left(system, mm);
  Vpn now{0};
  const Live live(system, "mremap", request.there, there.vmas, there.tables, there.flush.range(), there.tells);
  const Live more(system, "mremap-left", left.vmas, left.tables, left.flush.range(), left.tells, now);
  {
    const MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    COWHERD_TRY_ASSIGN(done, remap(system, mm, request, there, left));
    now = done;
  }
  free_removed(system, there);
  free_removed(system, left);
  return Geometry<G>::address_of(now);
}

#define COWHERD_INSTANTIATE(G) \
  template Result<Vaddr> mremap<G>(System<G>&, ProcessId, Vaddr, ByteCount, ByteCount, RemapFlags, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
