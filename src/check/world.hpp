#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "check/moves.hpp"
#include "check/reference.hpp"
#include "check/result.hpp"
#include "check/scene.hpp"
#include "check/snapshots.hpp"
#include "check/step_report.hpp"
#include "check/step_scheduler.hpp"
#include "check/watcher.hpp"
#include "mm/operations.hpp"
#include "mm/system.hpp"

namespace cowherd::check {

enum class Phase : std::uint8_t {
  /// Nobody has started the block yet.
  kUnborn,
  kRunning,
  kDone,
  /// Whoever should start it failed to, or ended first.
  kNever,
};

enum class Life : std::uint8_t { kUnborn, kAlive, kExiting, kExited, kReaped };

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
  std::uint16_t used_frames;
  /// Of the swap area.
  std::uint16_t used_slots;
  std::uint32_t reference_bytes;
  /// What the run has broken so far: mm::Violations; clauses and harms as bits by number.
  std::uint64_t violations;
  std::uint16_t clauses;
  std::uint8_t harms;
  std::uint8_t locks;
  std::uint32_t unused;
  AgentControl agents[litmus::kMaxBlocks];
  ProcessControl processes[litmus::kMaxBlocks];
  DeviceControl devices[litmus::kMaxDevices];
  LockControl page_locks[kMaxPageLocks];
};
static_assert(std::is_trivially_copyable_v<Control>);
static_assert(sizeof(Control) ==
              24 + 4 * litmus::kMaxBlocks + 8 * (litmus::kMaxBlocks + litmus::kMaxDevices) + 8 * kMaxPageLocks);

/// How a program runs: see CheckOptions.
struct Setting {
  litmus::Grain grain = litmus::Grain::kOperation;
  FrameReuse reuse = FrameReuse::kPools;
  ForkMode fork = ForkMode::kClassic;
  bool raw = false;
};
inline Setting setting_of(const CheckOptions& options) {
  return {options.grain, options.reuse, options.fork, options.raw};
}

/// One program in one machine, beside the reference: the state that is searched. Holds its memory from one program to
/// the next. Not thread-safe, and stays where it is while a program runs.
class World {
 public:
  World() = default;

  /// Lays out the machine and builds what the init block says. `scene` must outlive the runs. Empty, or why the program
  /// cannot begin.
  std::string begin(const Scene& scene, const Rules& rules, const Setting& setting = {});

  /// The state in bytes: equal states have equal bytes. Valid until the next call.
  std::span<const std::byte> pack();
  /// What states are told apart by: of everything in pack() but where the bytes of suspended stacks are kept. Packs
  /// what packed_parts() gives.
  std::uint64_t hash();
  /// What hash() or pack() packed last, in parts: where everybody stands and what is known of the frames; RAM; the
  /// reference.
  StateParts packed_parts();
  /// As packed_parts(), with RAM up to its end: what later states are best compared with. Precondition: nothing has
  /// happened since hash() or pack().
  StateParts packed_parts_with_free_frames();
  /// Precondition: `packed` came from pack() of this World since it began; where no block runs on a stack of its own,
  /// of any World that began the same scene under the same rules.
  void restore(std::span<const std::byte> packed);

  /// Blocks that have been started and have not ended.
  [[nodiscard]] BlockSet unfinished() const;
  /// Of a run in which no block can go on: those that have not ended, if they wait for userfaultfd's handler, or for
  /// who does; else none, and that is a deadlock.
  [[nodiscard]] BlockSet waiting();
  /// What may be tried next: not for blocks that wait for another one.
  [[nodiscard]] MoveSet moves();
  /// Blocks that have such a move.
  [[nodiscard]] BlockSet runnable() { return blocks_of(moves()); }
  /// Whether no block is inside an operation.
  [[nodiscard]] bool quiescent() const { return !fibers_ || !steps_.any_inside(); }
  /// Whether `block` is inside an operation, and, if it is, before which point.
  [[nodiscard]] bool inside(std::uint8_t block) const { return fibers_ && steps_.inside(block); }
  [[nodiscard]] Point point(std::uint8_t block) const { return steps_.state(block).point; }

  /// Whether operations run on stacks of their own, by advance().
  [[nodiscard]] bool fibers() const { return fibers_; }
  [[nodiscard]] ForkMode fork_mode() const { return setting_.fork; }
  /// Starts `body` as the operation of the move's block, or goes on with the one that it is inside of.
  StepScheduler::Stop advance(Move move, Fiber::Body body, void* argument);
  /// The block whose body runs in advance().
  [[nodiscard]] std::uint8_t running() const { return static_cast<std::uint8_t>(steps_.running()); }

  /// Tells `watcher` of all that advance() does from now on; null: nobody. Before begin().
  void watch(Watcher* watcher) {
    watcher_ = watcher;
    steps_.watch(watcher);
  }

  [[nodiscard]] const Scene& scene() const { return *scene_; }
  [[nodiscard]] std::int64_t& reg(std::uint8_t block, std::uint8_t number) {
    return registers_[scene_->first_register(block) + std::size_t{number}];
  }
  /// How far the madvise of `block` has come, as Removing. Precondition: scene().tells_of_removal().
  [[nodiscard]] std::int64_t& removing(std::uint8_t block) {
    return registers_[scene_->registers() + std::size_t{block}];
  }
  /// The operation that `block` is inside of, or begins next. Precondition: the block has not ended.
  [[nodiscard]] const litmus::Operation& operation(std::uint8_t block) const {
    return scene_->block(block).operations[control.agents[block].pc];
  }
  /// Whether the run so far broke a promise or an invariant.
  [[nodiscard]] bool broken() const { return control.violations != 0 || control.clauses != 0; }

  /// Draws the conclusions from an operation: blocks at their end are done, what nobody will start never runs, a
  /// vfork child at its end exits.
  void settle();
  /// Ends a process that is alive, in the machine; the reference hears of it from the caller. kWouldBlock where a lock
  /// that was left held forbids it.
  Result<void> exit_process(std::uint8_t process);
  /// Says who can touch the memory of a process that has just come to be.
  void note_new_space(std::uint8_t process);
  /// What an mmap of these pages of a variable maps.
  [[nodiscard]] mm::Backing backing_of(const litmus::Place& place) const;
  /// The operation that `block` has just ended: what it has told userfaultfd's handler.
  void claim_events(std::uint8_t block);
  /// The machine's name for a file of the test, which is there as long as the program runs.
  [[nodiscard]] mm::FileId file(std::uint8_t number) const { return files_[number]; }
  [[nodiscard]] bool alive(std::uint8_t process) const { return control.processes[process].life == Life::kAlive; }
  [[nodiscard]] bool holds(std::uint8_t device) const { return control.devices[device].pages != 0; }

  Control control{};
  Reference reference;
  /// What the operation that ended last left behind.
  StepReport report;
  mm::System<G>& system() { return *system_; }
  [[nodiscard]] const StepScheduler& steps() const { return steps_; }

 private:
  std::string build();
  std::string build_variable(std::uint8_t process, std::uint8_t number);
  std::string build_file(std::uint8_t number);
  /// Of a file that cannot be written otherwise: `bytes` at the begin of each of its pages.
  bool fill_by_mapping(mm::FileId file, PageCount pages, std::span<const std::byte> bytes);
  [[nodiscard]] bool may_proceed(std::uint8_t block) const;
  /// Whether the block has no operation left.
  [[nodiscard]] bool at_end(std::uint8_t block) const {
    return control.agents[block].pc >= scene_->block(block).operations.size();
  }
  /// Whether the block's last operation is over only when userfaultfd's handler has read of it.
  [[nodiscard]] bool waits_to_be_read(std::uint8_t block) const;
  /// Whether a child of vfork suspends a thread of `process`: it cannot end then.
  [[nodiscard]] bool suspended(std::uint8_t process) const;
  /// Ends one child of vfork that has come to its end in its parent's memory. False: there is none.
  bool end_borrower();
  [[nodiscard]] bool may_overlap(std::uint8_t block) const;
  /// Tells the watcher what came before an operation that begins, and whom one that has ended has started.
  void tell_before(std::uint8_t block);
  void tell_after(std::uint8_t block, const litmus::Operation& ended);
  /// Fills packed_ but for the numbers of stacks.
  void assemble();
  /// Of what a packed state holds of the cold parts of descriptors and of the swap area.
  [[nodiscard]] std::size_t behind_bytes() const;
  [[nodiscard]] std::size_t stacks_bytes() const { return fibers_ ? steps_.stack_numbers_bytes() : 0; }

  struct AlignedDelete {
    void operator()(std::byte* memory) const;
  };

  const Scene* scene_ = nullptr;
  Setting setting_;
  bool fibers_ = false;
  unsigned stripes_ = 1;
  StepScheduler steps_;
  Watcher* watcher_ = nullptr;
  std::unique_ptr<std::byte[], AlignedDelete> memory_;
  std::size_t memory_bytes_ = 0;
  std::unique_ptr<mm::System<G>> system_;
  std::array<mm::FileId, litmus::kMaxFiles> files_{};
  std::vector<std::int64_t> registers_;
  std::vector<std::byte> packed_;
  std::size_t packed_bytes_ = 0;
};

/// What the run has broken is part of the state.
inline void note_breach(Control& control, const spec::Judgement& judgement) {
  if (judgement.ok()) return;
  control.clauses = static_cast<std::uint16_t>(control.clauses | 1u << static_cast<unsigned>(judgement.broken));
  control.harms = static_cast<std::uint8_t>(control.harms | 1u << static_cast<unsigned>(judgement.harm));
}

}  // namespace cowherd::check
