#pragma once

#include "mm/flush.hpp"
#include "mm/page.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Huge pages: an aligned run of frames that one entry maps, a level above the lowest tables.
//
// To the rest of the memory system such an entry is like a table that several address spaces share: it changes for
// nobody, and whoever wants to change what is below it makes the way its own first (shared_tables.hpp), which puts a
// table of small entries in its place. All huge entries of a run together hold one reference and one mapping of each
// of its frames, whose counts and marks are those of frames like any other; HugePage counts the entries. A huge entry
// stands in a VMA that covers it whole; it is writable only where it is the only one, and every frame of the run
// exclusive.
//
// The huge zero page is a run of zeros that a first read maps, read-only, in whatever VMA may be read. Its mappings are
// not counted; it is made when it is first wanted, and stays.

/// What becomes of a huge entry for whose way the caller asks.
enum class OnHuge : std::uint8_t {
  /// It stays as it is.
  kKeep,
  /// A table of small entries takes its place.
  kSplit,
  /// It stays, if it is writable or may become so by the rules, or is the address space's own in a VMA that may not be
  /// written; else as kSplit.
  kOwn,
  /// As kOwn, for a write: where the rules say so the address space gets a copy of the whole.
  kWrite,
};

/// The first frame of the run that `frame` is part of.
template <class G>
FrameNumber huge_head(FrameNumber frame) {
  return FrameNumber{frame.value() & ~(Frames<G>::kHugeFrames - 1)};
}

/// Whether some huge entry maps `frame`.
template <class G>
bool in_huge_page(System<G>& system, FrameNumber frame) {
  const bool whole = (frame.value() | (Frames<G>::kHugeFrames - 1)) < system.frames().frame_count().value();
  return system.has_huge() && whole && !system.frames().huge(frame).none();
}

template <class G>
bool is_huge_zero_page(System<G>& system, FrameNumber head) {
  // Its descriptor may be far away. No run begins with the zero page.
  return head == system.huge_zero_page();
}

/// Whether the address space of a huge entry of `head`, its mmap lock held, has the run for itself, every frame of it.
template <class G>
bool is_own_huge(System<G>& system, FrameNumber head);

/// Whether somebody holds a page of the run that a huge entry maps, and the rules count that for all of its pages: what
/// would take it apart for one of them is refused. Compare Linux mm/huge_memory.c: folio_expected_ref_count().
template <class G>
bool is_held_whole(System<G>& system, FrameNumber head);

/// Whether a reference to a page may be taken through `entry`, the huge entry's piece, as it is: it may be written,
/// shows zeros, or shows one's own pages to who only reads them, in a VMA that keeps them from being written.
template <class G>
bool may_reference_huge(System<G>& system, const Vma& vma, Entry entry, bool as_write) {
  const FrameNumber head = huge_head<G>(entry.frame());
  if (entry.writable() || is_huge_zero_page(system, head)) return true;
  return !as_write && !has(vma.flags.protection, Protection::kWrite) && is_own_huge(system, head);
}

/// The frames of the run that begins with `head`, just allocated, as new pages of `vma` from `first` on, mapped by one
/// huge entry. Nobody sees them before that is set.
template <class G>
void start_huge(System<G>& system, FrameNumber head, const Vma& vma, Vpn first);

/// Maps a new huge page, for a read the huge zero page, at the place of `page`, which nothing is mapped near: false
/// where its VMA has no room for one, or RAM no run. ENOMEM, kWouldBlock; nothing has changed then. Compare Linux
/// mm/huge_memory.c: do_huge_pmd_anonymous_page().
template <class G>
Result<bool> fault_huge(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, bool write) COWHERD_REQUIRES(mm.mmap_lock);

/// One more huge entry is about to map the run that begins with `head`: it is shared from now on. ENOMEM.
template <class G>
Result<void> map_huge_once_more(System<G>& system, FrameNumber head);

/// A huge entry is gone, and nobody reaches the run through it. The frames go one by one with the last.
template <class G>
void put_huge(System<G>& system, FrameNumber head);

/// Puts a table of small entries in the place of the huge entry `place`, whose first page is `first`, with the mmap
/// lock held for writing. ENOMEM, and then nothing has changed. Compare Linux mm/huge_memory.c:
/// __split_huge_pmd_locked().
template <class G>
Result<void> split_huge(System<G>& system, Mm& mm, EntrySlot place, Vpn first);

/// As `on_huge` says, with the mmap lock held for writing; the tables above are the address space's own. Returns
/// whether it has got a copy of the whole. ENOMEM.
template <class G>
Result<bool> own_huge(System<G>& system, Mm& mm, EntrySlot place, Vpn first, OnHuge on_huge);

/// What the rules say of sharing the run with a child.
enum class ForkHuge : std::uint8_t {
  kShare,
  /// As kShare; somebody holds a page, so that whoever is alone with the run again has to ask who.
  kShareHeld,
  kSplit,
  kSplitAndCopyAll,
};
/// With the mmap lock held for writing.
template <class G>
ForkHuge on_fork_huge(System<G>& system, Mm& mm, Entry entry);

/// Takes the exclusive mark from all pages of the run.
template <class G>
void forget_owner_of_huge(System<G>& system, FrameNumber head);

/// Notes that a reference is about to be taken to a page of the run, or that a lowest table is about to map one.
template <class G>
void note_pieces_used(System<G>& system, FrameNumber head) {
  if (!COWHERD_MUTANT(huge_pin_not_noted)) system.frames().huge(head).note_pieces_used();
}

}  // namespace cowherd::mm
