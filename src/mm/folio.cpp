#include "mm/folio.hpp"

#include "base/mutant.hpp"
#include "mm/fault.hpp"
#include "mm/locks.hpp"

namespace cowherd::mm {

namespace {

/// The aligned pages around `page` that a folio of 2^`order` frames would take.
PageRange span_of(Vpn page, unsigned order) {
  const Vpn first{page.value() >> order << order};
  return {first, first + PageCount{std::uint64_t{1} << order}};
}

/// The places of the entries of a span of pages: they lie side by side in the table of one of them, at `slot`, which is
/// that of `page`.
EntrySlot first_of(EntrySlot slot, Vpn page, PageRange span) { return slot.before((page - span.begin).value()); }

/// Whether nothing is mapped at `pages` places from `first` on.
bool all_none(EntrySlot first, PageCount pages) {
  for (std::uint64_t i = 0; i < pages.value(); ++i) {
    if (!first.after(i).load().none()) return false;
  }
  return true;
}

}  // namespace

/// Two faults in one span may both make a folio, or one of them a small page; who comes second finds it mapped:
///
///   fault                                  another fault, on the next page
///   nothing is mapped around the page
///   take a run of frames
///                                          lock, set the entry of its page, unlock; store through it
///   lock, set all entries of the span
///
/// and the store would be lost. Allowed because all entries are looked at again with the lock.
template <class G>
Result<bool> fault_folio(System<G>& system, Mm& mm, Ref<Vma> vma_ref, Vpn page, EntrySlot slot) {
  const Vma& vma = system.at(vma_ref);
  // Its handler decides about each page.
  if (vma.flags.uffd != UffdFlags::kNone || vma.flags.secret) return false;
  unsigned order = system.folio_order();
  FrameNumber head = Frames<G>::kZeroPage;
  const Live live(system, "fault-folio", order, head);
  if (!slot) {
    COWHERD_TRY_ASSIGN(made, make_slot(system, mm, page));
    slot = made;
    // A huge entry is there by now.
    if (!slot) return true;
  }
  for (; head == Frames<G>::kZeroPage; --order) {
    if (order == 0) return false;
    const PageRange span = span_of(page, order);
    if (span.begin < vma.pages.begin || vma.pages.end < span.end) continue;
    point(system, mm, Point::kReadEntry);
    if (!all_none(first_of(slot, page, span), span.count())) continue;
    if (auto allocated = system.frames().allocate(FrameUse::kAnon, order)) {
      head = *allocated;
      break;
    }
  }
  const PageRange span = span_of(page, order);
  const EntrySlot first = first_of(slot, page, span);
  for (PageCount at{0}; at < span.count(); ++at) clear_page(system, head + at, span.begin + at == page);

  PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) {
    system.frames().free(head, order);
    return would_block(system, Point::kPageTableLock);
  }
  if (!all_none(first, span.count()) && !COWHERD_MUTANT(folio_recheck_dropped)) {
    guard.release();
    system.frames().free(head, order);
    return true;
  }
  start_folio(system, head, order);
  for (PageCount at{0}; at < span.count(); ++at) add_new_anon_page(system, head + at, vma, span.begin + at);
  add_rss(system, slot, static_cast<std::int32_t>(span.count().value()));
  std::uint32_t at = 0;
  const Live setting(system, "setting", at);
  for (; at < span.count().value(); ++at) {
    point(system, mm, Point::kSetEntry);
    guard.set(first.after(at), make_entry(head + PageCount{at}, vma, true));
  }
  system.note({.kind = EventKind::kFolioMapped, .decision = Decision::kFolioReuse, .page = span.begin, .frame = head});
  return true;
}

template <class G>
bool table_maps_all(System<G>& system, EntrySlot slot, std::uint32_t mapcount) {
  const FrameNumber frame = slot.load().frame();
  const FrameNumber table = system.frames().frame_of(slot.place());
  const auto offset = static_cast<const std::byte*>(slot.place()) - system.frames().bytes(table);
  // Where its first page would be, before the table's beginning too: numbers wrap and are then past its end.
  const std::size_t pages = std::size_t{1} << system.frames().folio_order(frame);
  const std::size_t first = static_cast<std::size_t>(offset) / sizeof(Entry) - frame.value() % pages;
  std::uint32_t own = 0;
  for_each_in_folio(system.frames(), frame, [&](FrameNumber piece) {
    const std::size_t index = first + piece.value() % pages;
    if (index >= Geometry<G>::kEntries) return;
    const Entry entry = Tables<G>::slot_at(system.frames(), table, index).load();
    own += entry.present() && entry.frame() == piece ? 1 : 0;
  });
  return own == mapcount;
}

template <class G>
bool split_folio(System<G>& system, FrameNumber frame, std::uint32_t own) {
  if (system.frames().folio_order(frame) == 0) return true;
  if (folios_are_asked(system)) {
    const FolioState folio = system.folio_state(frame);
    if (folio.references != folio.mapcount + own) return false;
  }
  for_each_in_folio(system.frames(), frame, [&](FrameNumber piece) { system.frames().set_folio_order(piece, 0); });
  return true;
}

#define COWHERD_INSTANTIATE(G)                                                     \
  template Result<bool> fault_folio<G>(System<G>&, Mm&, Ref<Vma>, Vpn, EntrySlot); \
  template bool table_maps_all<G>(System<G>&, EntrySlot, std::uint32_t);           \
  template bool split_folio<G>(System<G>&, FrameNumber, std::uint32_t);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
