#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "check/reference.hpp"
#include "check/scene.hpp"
#include "check/snapshots.hpp"
#include "mm/operations.hpp"
#include "mm/system.hpp"

namespace cowherd::check {

/// A set of blocks.
using BlockSet = std::uint8_t;
static_assert(litmus::kMaxBlocks <= 8);

constexpr BlockSet bit_of(std::uint8_t block) { return static_cast<BlockSet>(1u << block); }
constexpr bool contains(BlockSet set, std::uint8_t block) { return (set >> block & 1u) != 0; }

enum class Phase : std::uint8_t {
  /// Nobody has started the block yet.
  kUnborn,
  kRunning,
  kDone,
  /// Whoever should start it failed to, or ended first.
  kNever,
};

enum class Life : std::uint8_t { kUnborn, kAlive, kExited, kReaped };

// The part of a state that is neither the machine nor the reference: where everybody stands. No padding: states are
// compared by their bytes.

struct AgentControl {
  Phase phase;
  std::uint8_t pc;
  /// Accesses that ended in a signal.
  std::uint16_t faults;
};

struct ProcessControl {
  ProcessId id;
  Life life;
  /// A vfork child that still lives in its parent's memory.
  bool borrows;
  std::uint16_t unused;
};

struct DeviceControl {
  mm::PinId pin;
  /// 0: the device holds nothing.
  std::uint8_t pages;
  PinFlags flags;
  std::uint16_t unused;
};

/// A page lock that a kernel block holds.
struct LockControl {
  FrameNumber frame;
  std::uint8_t process;
  std::uint8_t page;
  std::uint8_t block;
  std::uint8_t unused;
};

inline constexpr std::size_t kMaxPageLocks = 8;

struct Control {
  std::uint32_t used_frames;
  std::uint32_t reference_bytes;
  /// What the run has broken so far: mm::Violations; clauses and harms as bits by number.
  std::uint32_t violations;
  std::uint16_t clauses;
  std::uint8_t harms;
  std::uint8_t locks;
  AgentControl agents[litmus::kMaxBlocks];
  ProcessControl processes[litmus::kMaxBlocks];
  DeviceControl devices[litmus::kMaxDevices];
  LockControl page_locks[kMaxPageLocks];
};
static_assert(std::is_trivially_copyable_v<Control>);
static_assert(sizeof(Control) ==
              16 + 4 * litmus::kMaxBlocks + 8 * (litmus::kMaxBlocks + litmus::kMaxDevices) + 8 * kMaxPageLocks);

/// One program in one machine, beside the reference: the state that is searched. Holds its memory from one program to
/// the next. Not thread-safe.
class World {
 public:
  World() = default;

  /// Lays out the machine and builds what the init block says. `scene` must outlive the runs. Empty, or why the program
  /// cannot begin.
  std::string begin(const Scene& scene, const Rules& rules);

  /// The state in bytes: equal states have equal bytes. Valid until the next call.
  std::span<const std::byte> pack();
  /// What pack() returned last, in parts: where everybody stands and what is known of the frames; RAM; the reference.
  [[nodiscard]] StateParts packed_parts() const;
  /// Precondition: `packed` came from pack(), of any World that began the same scene under the same rules.
  void restore(std::span<const std::byte> packed);

  /// Blocks that have been started and have not ended.
  [[nodiscard]] BlockSet unfinished() const;
  /// Of those, the ones whose next operation may be tried: not those that wait for another block.
  [[nodiscard]] BlockSet runnable() const;

  [[nodiscard]] const Scene& scene() const { return *scene_; }
  [[nodiscard]] std::int64_t& reg(std::uint8_t block, std::uint8_t number) {
    return registers_[scene_->first_register(block) + std::size_t{number}];
  }
  /// Whether the run so far broke a promise or an invariant.
  [[nodiscard]] bool broken() const { return control.violations != 0 || control.clauses != 0; }

  /// Draws the conclusions from an operation: blocks at their end are done, what nobody will start never runs, a
  /// vfork child at its end exits.
  void settle();
  /// Ends a process that is alive, in the machine; the reference hears of it from the caller. kWouldBlock where a lock
  /// that was left held forbids it.
  Result<void> exit_process(std::uint8_t process);
  [[nodiscard]] bool alive(std::uint8_t process) const { return control.processes[process].life == Life::kAlive; }

  Control control{};
  Reference reference;
  mm::System<G>& system() { return *system_; }

 private:
  std::string build();
  std::string build_variable(std::uint8_t process, const litmus::Variable& variable);
  [[nodiscard]] bool may_proceed(std::uint8_t block) const;

  struct AlignedDelete {
    void operator()(std::byte* memory) const;
  };

  const Scene* scene_ = nullptr;
  std::unique_ptr<std::byte[], AlignedDelete> memory_;
  std::size_t memory_bytes_ = 0;
  std::unique_ptr<mm::System<G>> system_;
  std::vector<std::int64_t> registers_;
  std::vector<std::byte> packed_;
  std::size_t packed_bytes_ = 0;
};

}  // namespace cowherd::check
