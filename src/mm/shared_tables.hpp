#pragma once

#include "mm/flush.hpp"
#include "mm/huge.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Page tables that several address spaces have in common after a fork that shares tables.
//
// Such a table changes for nobody: whoever wants to change an entry in it makes it its own first, which takes the mmap
// lock for writing, so that nobody else of the address space is about to lock a table that goes. A shared table holds
// one reference and one mapping of each page below it for all who share it. Its pages may keep their exclusive marks
// and its entries their write permission: both say something again once one address space alone has the table.

/// Makes every table on the way to `page` the address space's own; a huge entry on the way becomes what `on_huge` says.
/// Returns whether that was a copy of the whole. ENOMEM; what was made its own by then stays so, which nothing can
/// tell.
template <class G>
Result<bool> own_tables(System<G>& system, Mm& mm, Vpn page, OnHuge on_huge = OnHuge::kSplit)
    COWHERD_REQUIRES(mm.mmap_lock);

/// As above, for every page of `range`.
template <class G>
Result<void> own_tables(System<G>& system, Mm& mm, PageRange range, OnHuge on_huge = OnHuge::kSplit)
    COWHERD_REQUIRES(mm.mmap_lock);

/// As own_tables(), with the mmap lock taken for it. Also kWouldBlock.
template <class G>
Result<bool> lock_and_own_tables(System<G>& system, Mm& mm, Vpn page, OnHuge on_huge = OnHuge::kSplit);

/// For who is about to unmap `range`: makes those tables the address space's own that hold something outside of it too.
/// ENOMEM as own_tables(). Precondition: no VMA lies across an edge of `range` if its pages outside are to stay.
template <class G>
Result<void> own_edges(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Lets go of the shared tables that hold nothing outside of `range`. With own_edges() before it, no shared table is
/// left there. Allocates nothing.
template <class G>
void drop_shared_tables(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Whether no VMA has anything in `span` outside of `range`.
template <class G>
bool nothing_outside(System<G>& system, Mm& mm, PageRange span, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Gives up a table of `level` (0: a lowest table) that nobody reaches any more and nobody shares, and everything below
/// it. Other references to the frame may be those of who did not know what it is.
template <class G>
void free_table(System<G>& system, FrameNumber table, unsigned level);

/// Gives up one reference to a table of `level` (0: a lowest table) that no CPU reaches through the caller's address
/// space any more. Whoever has the last one gives up everything below it.
template <class G>
void put_table(System<G>& system, FrameNumber table, unsigned level);

/// Says of every table on the way to `page` that a page below it may be pinned. Before the reference is taken, so that
/// a fork that comes after the reference finds it.
template <class G>
void note_pins_below(System<G>& system, Mm& mm, Vpn page);

/// For who is led to `page` by a reverse map, holds the lock of its lowest table and no mmap lock: makes fork copy the
/// tables on the way from now on, as for a page that is pinned. A table that several address spaces have goes with its
/// last owner, whose reverse maps are gone by then, and nobody may be at work in it. False: a fork may be under way
/// that has looked at the tables already, or has shared them.
///
///   who goes by reverse maps               fork
///                                          take the mmap lock for writing
///   say in the tables that a page below stays
///   is the mmap lock held for writing? yes: leave the page alone
///                                          does a table say so? yes: copy what is in it
///
/// Allowed because both write first and read then.
template <class G>
bool keep_tables_unshared(System<G>& system, Mm& mm, Vpn page);

}  // namespace cowherd::mm
