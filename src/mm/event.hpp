#pragma once

#include <cstdint>

#include "cowherd/rules.hpp"
#include "cowherd/types.hpp"

namespace cowherd::mm {

/// What an operation did to a page, for explanations and for counting costs.
enum class EventKind : std::uint8_t {
  kZeroPageMapped,
  kZeroFilled,
  /// A write fault let the process go on with the page.
  kReused,
  /// A write fault gave the process a copy: frame -> new_frame.
  kCopiedOnWrite,
  /// A write fault gave another process a copy.
  kCopiedToOther,
  /// A reference for reading gave the process a copy first.
  kUnshared,
  /// Fork shared the page write-protected.
  kForkShared,
  /// Fork gave the child a copy: frame -> new_frame.
  kForkCopied,
  /// Fork shared a whole table, write-protected where it hangs.
  kTableShared,
  /// A shared table was copied for who is about to change it: frame -> new_frame.
  kTableCopied,
  kForkRefused,
  kForkWaits,
  /// A reference was taken.
  kPinned,
  /// A reference for writing was taken through an entry that does not allow writing.
  kForced,
  /// A reference was dropped.
  kUnpinned,
  /// The mapping of the page ended: munmap, MADV_DONTNEED, exec, exit.
  kUnmapped,
  kFrameFreed,
  /// mremap took the page to another address: `page` is the new one.
  kMoved,
  /// KSM: the page took the place of another one that held the same: frame -> new_frame.
  kMerged,
  /// mremap took a whole lowest table to another place: `page` is its first page there.
  kTableMoved,
  /// A page of a file was mapped read-only, or as the mapping allows.
  kFileMapped,
  /// A page of a file was mapped for writing.
  kFileWritable,
  /// A page of a file was written to its disk.
  kWrittenBack,
  /// A fault brought the page back from swap.
  kSwappedIn,
  /// An entry that mapped the page names its slot now.
  kSwappedOut,
  /// A page of a file in memory has left the file's cache for swap, or is back from it.
  kFileToSwap,
  kFileFromSwap,
  /// Reclaim left the page where it is: it is pinned, locked or in use.
  kReclaimKept,
  /// A page under MADV_FREE was taken from an address space.
  kDiscarded,
  /// The page has gone to another frame: frame -> new_frame.
  kMigrated,
  /// A first write got a huge page, `page` being its first.
  kHugeMapped,
  /// A first read got the huge zero page.
  kHugeZeroMapped,
  /// A write fault let the address space go on with the huge page.
  kHugeReused,
  /// A write fault copied a huge page whole: frame -> new_frame.
  kHugeCopied,
  /// Fork shared the huge page write-protected.
  kHugeShared,
  /// Small entries took the place of a huge one.
  kHugeSplit,
  /// A huge page took the place of small ones, whose contents it has.
  kHugeCollapsed,
  /// The pages are not ones that a huge page could take the place of.
  kCollapseRefused,
  /// A first write got a large folio, `page` being its first page.
  kFolioMapped,
  /// The pages of a large folio are small ones from now on.
  kFolioSplit,
  /// Nobody maps a page of the run any more, all of which goes to swap or is thrown away; `page` is its first.
  kFolioReclaimed,
  /// The memory of the page has failed.
  kPoisoned,
  /// A device has the page for itself, and has it no more.
  kGivenToDevice,
  kTakenBack,
  /// A fault is userfaultfd's handler's: the access waits.
  kUserfault,
  /// The handler put a page there, or let one of the file be mapped.
  kUffdFilled,
  /// The handler has write-protected the page.
  kUffdProtected,
  /// Write protection by the handler has ended.
  kUffdUnprotected,
  /// The handler took the page from another address: `page` is the new one.
  kUffdMoved,
  /// The handler lets nobody have a page there.
  kUffdForbidden,
  /// Userfaultfd's handler is told of a fork or a move; it has read that.
  kUffdTold,
  kUffdRead,
  /// A hugetlb page was taken from an address space for the one that was promised it.
  kHugetlbTaken,
};

struct Event {
  EventKind kind;
  /// The decision of the rules behind it; meaningful for kReused … kForced, and for kSwappedIn and what follows.
  Decision decision = Decision::kReuse;
  Vpn page{};
  FrameNumber frame{};
  FrameNumber new_frame{};
  /// For copies: nobody but the copying process had any use for the old page.
  bool unneeded = false;
};

/// Receives events as they happen.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const Event& event) = 0;
};

}  // namespace cowherd::mm
