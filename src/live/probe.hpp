#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace cowherd::live {

/// What a test or an explanation may need of a machine.
enum class Need : std::uint8_t {
  kIoUring,
  kVmsplice,
  kProcMem,
  kProcessVm,
  kClearRefs,
  kPopulate,
  kPageFrames,
  kPageCounts,
  kExclusiveMark,
  kGupTest,
  kFailNth,
  kHugePages,
  kHugetlb,
  kKsm,
  kKsmZero,
  kSwap,
  kColdPages,
  kSecret,
  kUserfaultfd,
  kUserfaultKernel,
  kUserfaultEvents,
  kUserfaultWp,
  kUserfaultMinor,
  kUserfaultMove,
  kUserfaultPoison,
  kUserfaultAsync,
  kUserfaultUnpopulated,
  kUserfaultWpFile,
  kHeldCopy,
  kDirectIo,
  kDirectPins,
  kDisk,
  kDiskPins,
  kCacheFacts,
  kOtherNode,
  kPoison,
  kCollapse,
  kPageScan,
  kRdma,
  kRdmaReads,
  kCopyOnFork,
  kCuda,
};
inline constexpr std::size_t kNeeds = static_cast<std::size_t>(Need::kCuda) + 1;

/// Whether it is to be had here.
struct Offer {
  bool here = false;
  /// What was found or why it cannot be used, in a few words.
  std::string found;
};

using Offers = std::array<Offer, kNeeds>;

/// Looks at the machine, and tries what can be tried. What is changed on the way is as it was when this ends.
Offers probe();

struct NeedInfo {
  /// One word: "io_uring".
  std::string_view name;
  /// What it is good for.
  std::string_view use;
  /// How to get it: a command or a configuration symbol.
  std::string_view remedy;
};
const NeedInfo& describe(Need need);

/// "6.18.44-fc-v782"
std::string kernel_release();

}  // namespace cowherd::live
