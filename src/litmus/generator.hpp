#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "litmus/program.hpp"

namespace cowherd::litmus {

inline constexpr std::size_t kOpCodes = static_cast<std::size_t>(OpCode::kUffdRead) + 1;

/// How often each operation is tried, by OpCode; 0: never. Of an operation that makes no sense where it is drawn (a
/// dma_read with nothing pinned) nothing comes.
using OpWeights = std::array<std::uint16_t, kOpCodes>;

/// Fork, pin, write, read and DMA above all; no page locks, which only matter where a rule asks for them, and no
/// try_share, which only matters between the steps of others.
constexpr OpWeights default_weights() {
  OpWeights weights{};
  const auto set = [&](OpCode code, std::uint16_t weight) { weights[static_cast<std::size_t>(code)] = weight; };
  set(OpCode::kRead, 10);
  set(OpCode::kWrite, 16);
  set(OpCode::kMmap, 2);
  set(OpCode::kMunmap, 2);
  set(OpCode::kMprotect, 3);
  set(OpCode::kMadvise, 5);
  set(OpCode::kFork, 24);
  set(OpCode::kVfork, 2);
  set(OpCode::kThread, 5);
  set(OpCode::kExec, 3);
  set(OpCode::kExit, 4);
  set(OpCode::kWait, 4);
  set(OpCode::kPin, 20);
  set(OpCode::kUnpin, 5);
  set(OpCode::kUnpinDirty, 2);
  set(OpCode::kDmaRead, 10);
  set(OpCode::kDmaWrite, 12);
  set(OpCode::kPtraceRead, 1);
  set(OpCode::kPtraceWrite, 2);
  set(OpCode::kClearRefs, 2);
  set(OpCode::kSnapshot, 4);
  set(OpCode::kRestore, 12);
  set(OpCode::kMremap, 5);
  set(OpCode::kFileRead, 6);
  set(OpCode::kFileWrite, 8);
  set(OpCode::kTruncate, 2);
  set(OpCode::kPunch, 2);
  set(OpCode::kWriteback, 5);
  set(OpCode::kDropCache, 2);
  set(OpCode::kNumaHint, 2);
  set(OpCode::kMsync, 1);
  set(OpCode::kMlock, 1);
  set(OpCode::kMunlock, 1);
  set(OpCode::kKsmMerge, 3);
  set(OpCode::kKsmZero, 1);
  set(OpCode::kKsmUnmerge, 1);
  set(OpCode::kSwapOut, 5);
  set(OpCode::kSwapIn, 1);
  set(OpCode::kMigrate, 4);
  set(OpCode::kCollapse, 2);
  set(OpCode::kSplit, 2);
  set(OpCode::kPoison, 1);
  set(OpCode::kMakeExclusive, 2);
  set(OpCode::kDeviceRead, 2);
  set(OpCode::kDeviceWrite, 2);
  set(OpCode::kDeviceAdd, 2);
  set(OpCode::kCompact, 2);
  set(OpCode::kOffline, 6);
  set(OpCode::kUffdRegister, 4);
  set(OpCode::kUffdUnregister, 1);
  set(OpCode::kUffdCopy, 2);
  set(OpCode::kUffdZeropage, 1);
  set(OpCode::kUffdContinue, 1);
  set(OpCode::kUffdWp, 3);
  set(OpCode::kUffdUnwp, 2);
  set(OpCode::kUffdMove, 2);
  set(OpCode::kUffdPoison, 1);
  set(OpCode::kUffdRead, 1);
  return weights;
}

struct GeneratorOptions {
  /// 1 to kMaxOperations, the reads at the end included.
  std::uint32_t min_operations = 3;
  std::uint32_t max_operations = 8;
  /// 1 to kMaxPages.
  std::uint32_t max_pages = 3;
  /// 0 to kMaxDevices.
  std::uint32_t max_devices = 2;
  /// Processes and threads, 1 to 6; a device block and a kernel block may come on top.
  std::uint32_t max_blocks = 3;
  OpWeights weights = default_weights();
  /// Chances in percent: that a reference is a get in place of a pin,
  std::uint32_t get_percent = 25;
  /// that a pin takes many references,
  std::uint32_t times_percent = 0;
  /// that a pin has FOLL_FORCE or FOLL_NOFAULT,
  std::uint32_t rare_flags_percent = 5;
  /// that it is tried without locks first,
  std::uint32_t fast_percent = 20;
  /// that an operation has a fail_nth, one in four of them fail_nth(any),
  std::uint32_t fail_percent = 0;
  /// that a variable maps a file, or is shared: with 0 there are no files,
  std::uint32_t file_percent = 15;
  /// that the first memory is four pages that one huge page may hold, where max_pages allows more than two at all,
  std::uint32_t huge_percent = 10;
  /// that these are of the hugetlb pool,
  std::uint32_t hugetlb_percent = 40;
  /// that there is movable memory,
  std::uint32_t movable_percent = 20;
  /// and that DMA is done by a device block, at any time, in place of a statement.
  std::uint32_t device_block_percent = 10;
};

/// The program that `seed` and `options` name: sound (resolve() has nothing to say), without a condition, its stored
/// values all different, ended by reads, as far as its operations leave room for them. Called
/// "PinW-Fork-Wr-DmaR+Rd-1f2e3d".
Program random_program(std::uint64_t seed, const GeneratorOptions& options = {});

/// What an operation is called in the names of generated programs: "PinW", "DmaR".
std::string_view operation_tag(const Operation& operation);

/// The name of a program without one: the tags of its operations, blocks joined by +, then six hexadecimal digits of a
/// hash of its text.
std::string generated_name(const Program& program);

}  // namespace cowherd::litmus
