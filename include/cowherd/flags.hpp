#pragma once

#include <cstdint>
#include <type_traits>

namespace cowherd {

/// What a mapping allows. Linux: PROT_*.
enum class Protection : std::uint8_t { kNone = 0, kRead = 1, kWrite = 2, kReadWrite = 3 };

/// How mmap places and fills a mapping. Linux: MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE, MAP_SHARED, MAP_HUGETLB,
/// MAP_NORESERVE.
enum class MapFlags : std::uint8_t {
  kNone = 0,
  kFixed = 1,
  kFixedNoReplace = 2,
  kPopulate = 4,
  /// Nobody takes references through its addresses, debuggers and devices included. Compare Linux memfd_secret().
  kSecret = 8,
  /// Without it the mapping is private.
  kShared = 16,
  /// Of pages of the machine's hugetlb pool; address and length are whole such pages.
  kHugetlb = 32,
  /// Of the pool no page is set aside for it: a first touch may find none.
  kNoReserve = 64,
};

/// What mremap may do. Linux: MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP.
enum class RemapFlags : std::uint8_t {
  kNone = 0,
  /// The pages may go to another address.
  kMayMove = 1,
  /// They go to the given address, in place of what is there.
  kFixed = 2,
  /// The old addresses stay mapped, with nothing in them.
  kDontUnmap = 4,
};

/// How fork passes the page tables on. All that any process or device can observe is the same.
enum class ForkMode : std::uint8_t {
  /// Every table is copied, as Linux does.
  kClassic,
  /// Lowest tables without a pinned page are shared until the first write below them.
  kSharedLeaves,
  /// Tables of any level are, the highest that have no pinned page below them.
  kSharedSubtrees,
};

/// Linux: MADV_*.
enum class Advice : std::uint8_t {
  kDontNeed,
  kDontFork,
  kDoFork,
  kWipeOnFork,
  kKeepOnFork,
  kPopulateRead,
  kPopulateWrite,
  /// mlock() and munlock(): what is mapped is brought in, and stays; it is no pin.
  kLock,
  kUnlock,
  /// msync(): what was written to shared mappings of files is on their disks.
  kSync,
  /// KSM may merge these pages with others that hold the same; or no longer, and what was merged is parted.
  kMergeable,
  kUnmergeable,
  /// It will not be needed soon: reclaim takes it first.
  kCold,
  /// As kCold, and at once.
  kPageOut,
  /// Until it is written again its contents may be lost, and are zeroes then.
  kFree,
  /// What shared mappings show of files and shared memory becomes zeroes there: a hole in the file. EINVAL: it is
  /// nobody's but the owner's, or mlock keeps it; EACCES: a private mapping of a file.
  kRemove,
  /// A first write in an aligned run of pages as long as a huge page gets one; or no longer.
  kHugePage,
  kNoHugePage,
  /// A huge page takes the place of each such run that is in the range, now: EINVAL where there is none, EAGAIN where
  /// somebody holds a page of it.
  kCollapse,
};

/// How a reference to the pages behind an address is taken. Linux: FOLL_*.
enum class PinFlags : std::uint8_t {
  kNone = 0,
  /// The holder will write: FOLL_WRITE.
  kWrite = 1,
  /// Held for as long as the holder likes: FOLL_LONGTERM.
  kLongTerm = 2,
  /// Ignore the mapping's protection, as a debugger does; writes land in the private copy: FOLL_FORCE.
  kForce = 4,
  /// Fail with EFAULT where the page would have to be faulted in: FOLL_NOFAULT.
  kNoFault = 8,
  /// An ordinary reference (FOLL_GET) in place of a pin (FOLL_PIN).
  kGet = 16,
  /// Taken by another process than the owner of the address space: FOLL_REMOTE.
  kRemote = 32,
  /// Try without locks first, and fault only where that fails: Linux's pin_user_pages_fast().
  kFast = 64,
};

/// Of which faults in a range of memory userfaultfd's handler decides, and what its registration outlives. Linux:
/// UFFDIO_REGISTER_MODE_MISSING, _WP, _MINOR, and UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_EVENT_REMAP,
/// UFFD_FEATURE_WP_ASYNC, UFFD_FEATURE_EVENT_UNMAP, UFFD_FEATURE_EVENT_REMOVE,
/// UFFD_FEATURE_WP_UNPOPULATED.
enum class UffdFlags : std::uint16_t {
  kNone = 0,
  /// On a page that is not there: who accesses it waits until the handler brings one.
  kMissing = 1,
  /// On a page that the handler has write-protected: who writes waits until that is taken back.
  kWriteProtect = 2,
  /// On a page that its file has and nothing maps here: who accesses it waits until the handler lets it be mapped.
  kMinor = 4,
  /// The child's memory stays registered.
  kEventFork = 8,
  /// So does memory that mremap moves.
  kEventRemap = 16,
  /// The handler reads what it is told (UffdEvent) when it likes, and whoever has caused it waits until then. Without
  /// it somebody reads at once.
  kReadsEvents = 32,
  /// Who writes to a page that the handler has write-protected waits for nobody: the mark goes, and says that by that.
  kWpAsync = 64,
  /// The handler is told of memory that is unmapped, or that a new mapping or mremap takes the place of.
  kEventUnmap = 128,
  /// The handler is told of memory that MADV_DONTNEED, MADV_FREE or MADV_REMOVE is about to take, before anything of it
  /// goes.
  kEventRemove = 256,
  /// What is not there can be write-protected too: what comes there is. Of files always.
  kWpUnpopulated = 512,
};

/// What userfaultfd's handler is told beside faults. Linux: UFFD_EVENT_FORK, UFFD_EVENT_REMAP,
/// UFFD_EVENT_REMOVE, UFFD_EVENT_UNMAP, with these numbers.
enum class UffdEvent : std::uint8_t { kFork = 0x13, kRemap = 0x14, kRemove = 0x15, kUnmap = 0x16 };

template <class E>
inline constexpr bool kIsFlagSet = false;
template <>
inline constexpr bool kIsFlagSet<Protection> = true;
template <>
inline constexpr bool kIsFlagSet<MapFlags> = true;
template <>
inline constexpr bool kIsFlagSet<RemapFlags> = true;
template <>
inline constexpr bool kIsFlagSet<PinFlags> = true;
template <>
inline constexpr bool kIsFlagSet<UffdFlags> = true;

template <class E>
requires kIsFlagSet<E>
constexpr E operator|(E a, E b) { return static_cast<E>(static_cast<unsigned>(a) | static_cast<unsigned>(b)); }

/// Whether `set` holds every bit of `bits`.
template <class E>
requires kIsFlagSet<E>
constexpr bool has(E set, E bits) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(bits)) == static_cast<unsigned>(bits);
}

}  // namespace cowherd
