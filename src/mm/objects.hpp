#pragma once

#include <cstdint>

#include "area/vma.hpp"
#include "base/lock_word.hpp"
#include "base/ref.hpp"
#include "base/slab_kind.hpp"
#include "cowherd/flags.hpp"
#include "cowherd/types.hpp"

namespace cowherd::mm {

/// An address space. Compare Linux struct mm_struct.
struct Mm {
  static constexpr SlabKind kSlab = SlabKind::kMm;

  FrameNumber root;
  Ref<Vma> vmas;
  LockWord mmap_lock;
  /// The upper table lock; abandoned once a page-table lock of this address space is.
  LockWord upper_lock;
  /// Odd while fork looks for pins and write-protects (Linux: write_protect_seq).
  std::uint32_t fork_sequence = 0;
  /// Processes that live in it, more than one only during vfork; and operations of others on it.
  std::uint16_t users = 0;
  /// A counted pin was once taken here; never cleared, not inherited (Linux: MMF_HAS_PINNED).
  std::uint8_t has_pinned = 0;
  /// The agent that alone can ever touch it, 0 where several can; means something in an explored geometry.
  std::uint8_t sole_agent = 0;
  /// Walkers without locks that are inside now; counted in an explored geometry.
  std::uint8_t walkers = 0;
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

/// Some of the frames that a pin holds, in order.
struct PinFrames {
  static constexpr SlabKind kSlab = SlabKind::kPinFrames;
  static constexpr std::uint32_t kCapacity = 7;

  Ref<PinFrames> next;
  FrameNumber frames[kCapacity];
};

/// References to frames, taken through an address.
struct PinRecord {
  static constexpr SlabKind kSlab = SlabKind::kPin;

  Ref<PinRecord> next;
  Ref<PinRecord> previous;
  Ref<PinFrames> first;
  Ref<PinFrames> last;
  std::uint32_t pages = 0;
  /// Pages that the chunks have room for.
  std::uint32_t room = 0;
  /// References taken to each page.
  std::uint32_t times = 1;
  PinFlags flags = PinFlags::kNone;
};

static_assert(sizeof(Mm) <= kObjectUnit);
static_assert(sizeof(Process) <= kObjectUnit);
static_assert(sizeof(PinFrames) <= kObjectUnit);
static_assert(sizeof(PinRecord) <= kObjectUnit);

}  // namespace cowherd::mm
