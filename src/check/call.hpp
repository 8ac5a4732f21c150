#pragma once

#include <array>
#include <cstdint>

#include "cowherd/flags.hpp"
#include "litmus/program.hpp"
#include "spec/packing.hpp"
#include "spec/promise.hpp"
#include "spec/spec.hpp"

namespace cowherd::check {

/// What an operation of a test asks of the reference. Processes, devices and pages by their numbers in the scene.
struct Call {
  enum class Kind : std::uint8_t {
    /// Nothing that the reference knows of.
    kNothing,
    kRead,
    kWrite,
    kMmap,
    kMunmap,
    kMprotect,
    kMadvise,
    kFork,
    kVfork,
    kExec,
    /// `process` gets what the snapshot has that is process `child`. To take it is a kFork.
    kRestore,
    /// The last thread of `process` ends.
    kExit,
    kPin,
    kUnpin,
    /// `page` counts from the first one of the pin.
    kDmaRead,
    kDmaWrite,
    kForceRead,
    kForceWrite,
    /// `remap` says all; `page` and `count` are where its parts begin and how many it has.
    kMremap,
    /// `page` and `word` within `file`; of kTruncate its new size.
    kFileRead,
    kFileWrite,
    kTruncate,
    kPunch,
    /// The memory of the page fails.
    kPoison,
    /// A device gets the page for itself, which is faulted in as for a write.
    kMakeExclusive,
    // It accesses a page that it has for itself, or that it has not.
    kDeviceRead,
    kDeviceWrite,
    /// `value` is what it adds.
    kDeviceAdd,
    // Userfaultfd, and what its handler does.
    /// For `uffd`; for nothing any more where that is kNone.
    kUffdRegister,
    /// A page that holds `value` in `word`, or else what `child`, a spec::Fill, says.
    kUffdFill,
    kUffdContinue,
    /// The mark comes or, where `value` is 0, goes.
    kUffdProtect,
    /// From page `child`.
    kUffdMove,
    /// Of an event.
    kUffdRead,
    /// What is said before an madvise takes pages of these.
    kUffdTell,
    /// Nothing is asked: the operation before is over when the event that it has caused was read.
    kUffdAwait,
  };

  Kind kind = Kind::kNothing;
  /// Whose memory it is about.
  std::uint8_t process = 0;
  std::uint8_t child = 0;
  std::uint8_t device = 0;
  std::uint8_t page = 0;
  std::uint8_t count = 1;
  std::uint8_t word = 0;
  Protection protection = Protection::kNone;
  MapFlags map_flags = MapFlags::kNone;
  Advice advice = Advice::kDontNeed;
  PinFlags pin_flags = PinFlags::kNone;
  UffdFlags uffd = UffdFlags::kNone;
  spec::Remap remap{};
  /// What an mmap maps; the file that it is about.
  spec::Backing backing = {};
  std::int64_t value = 0;

  /// Of its page number `index` alone.
  [[nodiscard]] spec::Backing backing_of(std::uint8_t index) const {
    spec::Backing one = backing;
    one.first = static_cast<std::uint8_t>(backing.first + index);
    return one;
  }
};

/// Whether it is one of userfaultfd's: such a call takes effect at one moment, or is refused then.
constexpr bool is_of_handler(Call::Kind kind) {
  return kind == Call::Kind::kUffdRegister || kind == Call::Kind::kUffdFill || kind == Call::Kind::kUffdContinue ||
         kind == Call::Kind::kUffdProtect || kind == Call::Kind::kUffdMove || kind == Call::Kind::kUffdRead;
}

/// Whether UffdFlags mean something in it: what is registered, and whether events are read by the test.
constexpr bool has_uffd(Call::Kind kind) { return is_of_handler(kind) || kind == Call::Kind::kFork; }

/// Equal calls give equal bytes.
void pack_call(spec::Packer& out, const Call& call);
void unpack_call(spec::Unpacker& in, Call& call);

/// A call that has begun and has not ended.
struct Pending {
  Call call;
  /// Of call.process.
  spec::SpaceId space;
  /// The one that fork or exec creates, or that restore copies.
  spec::SpaceId fresh;
  /// exec and exit: nobody else lives in the space, so that it goes.
  bool drops = false;
  /// Of a debugger's access: the address spaces that the process has left since it began, as a set of bits. It may have
  /// got hold of one of them, and goes on there.
  std::uint16_t left = 0;
  /// Those of them that nobody lives in.
  std::uint16_t orphans = 0;

  /// Of call.device; a device has one pin at a time.
  [[nodiscard]] spec::SpecPinId pin() const { return spec::SpecPinId{call.device}; }
  [[nodiscard]] bool is_of_debugger() const {
    return call.kind == Call::Kind::kForceRead || call.kind == Call::Kind::kForceWrite;
  }
  [[nodiscard]] bool has_left(spec::SpaceId from) const {
    return from.value() < spec::kMaxSpaces && (left >> from.value() & 1u) != 0;
  }
  [[nodiscard]] bool may_hold(spec::SpaceId held) const {
    return is_of_debugger() && (space == held || has_left(held));
  }
};

/// What is under way, by agent (block).
struct InFlight {
  /// As a set of bits.
  std::uint8_t agents = 0;
  /// Meaningful for those in `agents`.
  std::array<Pending, litmus::kMaxBlocks> pending;

  [[nodiscard]] bool has(std::uint8_t agent) const { return (agents >> agent & 1u) != 0; }
  /// Whether a debugger other than `but` may have got hold of the address space: its memory stays until that one is
  /// done. Compare Linux kernel/fork.c: get_task_mm().
  [[nodiscard]] bool held(spec::SpaceId space, std::uint8_t but) const {
    for (std::uint8_t agent = 0; agent < litmus::kMaxBlocks; ++agent) {
      if (agent != but && has(agent) && pending[agent].may_hold(space)) return true;
    }
    return false;
  }
};

/// Agents and processes are numbered by blocks.
inline constexpr std::uint8_t kBlocks = litmus::kMaxBlocks;
static_assert(litmus::kMaxBlocks <= 8 && litmus::kMaxDevices <= spec::kMaxPins);

}  // namespace cowherd::check
