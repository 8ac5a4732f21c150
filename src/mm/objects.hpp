#pragma once

#include <cstdint>

#include "area/vma.hpp"
#include "base/ref.hpp"
#include "base/slab_kind.hpp"
#include "base/thread_annotations.hpp"
#include "cowherd/flags.hpp"
#include "cowherd/types.hpp"

namespace cowherd::mm {

/// A lock that lives in the Machine: a snapshot taken while an operation waits knows who holds what. Operations of one
/// Machine run one at a time, so it is held across operations only by mistake, or by a test's kernel block.
struct COWHERD_CAPABILITY("lock") Lock {
  bool held = false;
};

/// An address space. Compare Linux struct mm_struct.
struct Mm {
  static constexpr SlabKind kSlab = SlabKind::kMm;

  FrameNumber root;
  Ref<Vma> vmas;
  /// Processes that live in it; more than one only during vfork.
  std::uint32_t users = 0;
  /// Anonymous pages mapped (Linux: MM_ANONPAGES).
  std::uint32_t anon_rss = 0;
  /// A counted pin was once taken here; never cleared, not inherited (Linux: MMF_HAS_PINNED).
  bool has_pinned = false;
  Lock mmap_lock;
  Lock page_table_lock;
};

struct Process {
  static constexpr SlabKind kSlab = SlabKind::kProcess;

  /// Null once it has exited and waits for its parent.
  Ref<Mm> mm;
  Ref<Process> parent;
  Ref<Process> next;
  Ref<Process> previous;
  /// Made by vfork and still in the parent's address space: the parent does not run.
  bool suspends_parent = false;
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
  /// References taken to each page.
  std::uint32_t times = 1;
  PinFlags flags = PinFlags::kNone;
};

static_assert(sizeof(Mm) <= kObjectUnit);
static_assert(sizeof(Process) <= kObjectUnit);
static_assert(sizeof(PinFrames) <= kObjectUnit);
static_assert(sizeof(PinRecord) <= kObjectUnit);

}  // namespace cowherd::mm
