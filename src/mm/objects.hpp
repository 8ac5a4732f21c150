#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "area/vma.hpp"
#include "base/geometry.hpp"
#include "base/lock_word.hpp"
#include "base/ref.hpp"
#include "base/slab_kind.hpp"
#include "cowherd/flags.hpp"
#include "cowherd/types.hpp"

namespace cowherd::mm {

#ifdef COWHERD_SEQUENCE_MOVED
struct SequenceApart {
  std::byte line[64]{};
};
#else
struct SequenceApart {};
#endif

/// An address space. Compare Linux struct mm_struct.
struct Mm {
  static constexpr SlabKind kSlab = SlabKind::kMm;

  FrameNumber root;
  Ref<Vma> vmas;
  LockWord mmap_lock;
  /// The upper table lock; abandoned once a page-table lock of this address space is.
  LockWord upper_lock;
  /// In the build `moved` what follows lies on another cache line than what is above: bench/moved_sequence.
  [[no_unique_address]] SequenceApart apart;
  /// Odd while fork looks for pins and write-protects (Linux: write_protect_seq). Written by fork alone, which writes
  /// the mmap lock beside it anyway; read by every fast pin, which reads the root anyway.
  std::uint32_t fork_sequence = 0;
  /// Processes that live in it, more than one only during vfork; and operations of others on it.
  std::uint16_t users = 0;
  /// A counted pin was once taken here; never cleared, not inherited (Linux: MMF_HAS_PINNED).
  std::uint8_t has_pinned = 0;
  /// The agent that alone can ever touch it, 0 where several can; means something in an explored geometry.
  std::uint8_t sole_agent = 0;
  /// Walkers without locks that are inside now; counted in an explored geometry.
  std::uint8_t walkers = 0;
  /// What userfaultfd's handler is told and has not read, the oldest first: see UnreadEvent. Under the mmap lock.
  std::uint8_t unread[3] = {};
  /// Readers of mmap_lock until it is biased towards them, 0 while it is: see BiasedLock. Unused in an explored
  /// geometry.
  std::uint32_t readers_to_bias = 0;
};

struct Process {
  static constexpr SlabKind kSlab = SlabKind::kProcess;

  /// Null once it has exited and waits for its parent. Changes under the list lock.
  Ref<Mm> mm;
  Ref<Process> parent;
  Ref<Process> next;
  Ref<Process> previous;
  /// Made by vfork and still in the parent's address space: the parent does not run.
  bool suspends_parent = false;
  /// Its address space is being taken down.
  bool exiting = false;
};

/// Some of the frames that a pin holds, in order: what a frame has room for.
template <class G>
struct PinFrames {
  static constexpr std::uint32_t kCapacity = Geometry<G>::kPageBytes / sizeof(FrameNumber) - 1;

  /// The zero page: none.
  FrameNumber next;
  FrameNumber frames[kCapacity];
};

/// References to frames, taken through an address: a cache line, or a page where that is smaller. The first frames are
/// here, the others in frames that hold nothing else. No list has the records (decisions/0012); whoever looks for them
/// goes through the slabs.
template <class G>
struct PinRecord {
  static constexpr SlabKind kSlab = SlabKind::kPin;
  static constexpr std::uint32_t kOwnFrames =
      (std::min<std::uint32_t>(64, Geometry<G>::kPageBytes) - 6 * sizeof(std::uint32_t)) / sizeof(FrameNumber);

  /// The first and the last PinFrames.
  FrameNumber first;
  FrameNumber last;
  std::uint32_t pages = 0;
  /// Pages that there is room for.
  std::uint32_t room = kOwnFrames;
  /// References taken to each page.
  std::uint32_t times = 1;
  PinFlags flags = PinFlags::kNone;
  FrameNumber frames[kOwnFrames];
};

static_assert(sizeof(PinFrames<ProductionGeometry>) == Geometry<ProductionGeometry>::kPageBytes);
static_assert(sizeof(PinRecord<ProductionGeometry>) == 64);
static_assert(sizeof(PinRecord<CheckedGeometry>) == kObjectUnit);
static_assert(sizeof(Mm) <= kObjectUnit || !std::is_empty_v<SequenceApart>);
static_assert(sizeof(Process) <= kObjectUnit);

}  // namespace cowherd::mm
