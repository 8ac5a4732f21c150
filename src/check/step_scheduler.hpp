#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "base/geometry.hpp"
#include "base/schedule.hpp"
#include "check/fiber.hpp"
#include "check/stack_images.hpp"
#include "check/watcher.hpp"

namespace cowherd::check {

/// Runs agents one step at a time: each has a stack of its own, on which it is suspended before it touches what others
/// may touch. Where all of them stand, and what their CPUs remember of page tables, can be saved and restored.
///
/// The saved state has two parts. What is hashed says what a suspended agent will do: the point where it is, the locks
/// it holds, and the locals that it has declared live, never a pointer or a byte that happens to lie on a stack. The
/// bytes of the stacks themselves are kept beside it, by number. Agents are numbered from 0 here, from 1 in
/// AgentContext.
///
/// Not thread-safe, and not to be moved while anybody is suspended.
class StepScheduler final : public Scheduler {
 public:
  static constexpr std::size_t kMaxAgents = 8;

  enum class Stop : std::uint8_t {
    kSuspended,
    kCompleted,
    /// It has to wait before it has touched anything: as if it had not been started, once the caller restores.
    kHasToWait,
  };

  /// What of an agent is saved and hashed. No padding.
  struct AgentState {
    /// Of its live locals and the locks that it holds; in raw mode of its stack.
    std::uint64_t live;
    /// For the caller's use: the allocations until one fails (0: none does), or how many there were where one may fail
    /// by choice; whether one may; and whether one has failed.
    std::uint32_t fail_in;
    bool may_fail;
    bool short_of_memory;
    bool inside;
    Point point;
  };
  static_assert(std::has_unique_object_representations_v<AgentState>);

  /// Forgets everything. Translations are remembered for `pages` only. `raw`: tell suspended agents apart by every byte
  /// of their stacks, and suspend them at every point, as a check of what they declare and of what is skipped.
  /// `mmap_lock_is_looked_at`: agents ask whether others hold a mmap lock, without waiting for it.
  void begin(std::size_t agents, std::span<const Vpn> pages, bool raw, bool mmap_lock_is_looked_at = false);

  /// Runs `body` on the agent's stack until it suspends itself or returns. Precondition: !inside(agent).
  Stop start(std::size_t agent, Fiber::Body body, void* argument);
  /// Precondition: choice < ways(agent).
  Stop resume(std::size_t agent, unsigned choice);

  [[nodiscard]] bool inside(std::size_t agent) const { return states_[agent].inside; }
  [[nodiscard]] bool any_inside() const;
  /// In how many ways the agent can go on; 0: it has to wait. Precondition: inside(agent).
  [[nodiscard]] unsigned ways(std::size_t agent);
  [[nodiscard]] AgentState& state(std::size_t agent) { return states_[agent]; }
  [[nodiscard]] const AgentState& state(std::size_t agent) const { return states_[agent]; }
  /// Those that it holds while it is suspended.
  [[nodiscard]] HeldLocks& held_locks(std::size_t agent) {
    load(agent);
    return contexts_[agent].held;
  }
  /// The agent that runs or is asked, or the last one of them.
  [[nodiscard]] std::size_t running() const { return running_; }

  /// What the agent's CPU remembers of a page, as cached_translation().
  [[nodiscard]] std::uint64_t remembered(std::size_t agent, std::uint32_t mm, Vpn page) const;
  /// Drops what the agent's CPU remembers of all pages but those in `pages`, bits by their place in begin()'s list.
  void keep_translations(std::size_t agent, std::uint32_t pages);

  /// Bytes of the hashed part, whole words; fixed by begin().
  [[nodiscard]] std::size_t state_bytes() const;
  void save_state(std::byte* to) const;
  /// Bytes of the numbers of the stacks, whole words; fixed by begin().
  [[nodiscard]] std::size_t stack_numbers_bytes() const { return (agents_ + 1) / 2 * sizeof(std::uint64_t); }
  void save_stacks(std::byte* to);
  /// Both parts, as they were saved since begin().
  void restore(const std::byte* state, const std::byte* stacks);

  /// Tells `watcher` what running agents come to; null: nobody.
  void watch(Watcher* watcher) { watcher_ = watcher; }

  [[nodiscard]] const StackImages& images() const { return images_; }

  // Scheduler:
  unsigned suspend(Point point, Moves moves, const void* what) override;
  AgentContext& agent() override { return contexts_[running_]; }
  [[nodiscard]] std::uint64_t cached_translation(std::uint32_t mm, Vpn page) const override;
  void cache_translation(std::uint32_t mm, Vpn page, std::uint64_t entry) override;
  void forget_translations(std::uint32_t mm, PageRange pages) override;
  void forget_own_translation(std::uint32_t mm, Vpn page) override;

 private:
  static constexpr std::uint8_t kNoSlot = 0xff;
  /// Of the dead stack, filled with zeros before each step. Raw states depend on all that a path below a resumption may
  /// have left there; others would only be kept more often than needed.
  static constexpr std::size_t kRawScrub = std::size_t{32} << 10;
  static constexpr std::size_t kScrub = 1024;

  /// What a suspended agent waits for. `what` lies on its stack or in the machine.
  struct Waiting {
    Moves moves;
    const void* what;
  };
  struct Translation {
    std::uint64_t entry;
    std::uint32_t mm;
    std::uint32_t unused;
  };
  /// Ahead of the bytes of a saved stack.
  struct ImageHead {
    Waiting waiting;
    LiveScope* live;
    HeldLocks held;
    std::uint32_t unused;
  };
  static_assert(std::is_trivially_copyable_v<ImageHead>);

  Stop stopped();
  [[nodiscard]] bool takes_lock_unseen(Point point) const;
  bool may_pass(Point point, Moves moves, const void* what);
  [[nodiscard]] std::uint64_t hash_of_live(std::size_t agent);
  StackImages::Number image_of(std::size_t agent);
  /// Puts the wanted stack in place.
  void load(std::size_t agent);
  [[nodiscard]] Translation* translation(std::size_t agent, Vpn page);
  [[nodiscard]] std::uint8_t slot_of(Vpn page) const;

  std::size_t agents_ = 0;
  std::size_t pages_ = 0;
  bool raw_ = false;
  bool mmap_lock_is_looked_at_ = false;
  std::size_t running_ = 0;
  unsigned choice_ = 0;
  /// The running agent has been started and has touched nothing; or it has only taken a lock since it was chosen.
  bool untouched_ = false;
  bool only_locked_ = false;
  /// What it held before it took that lock.
  HeldLocks held_before_;
  bool has_to_wait_ = false;

  std::array<AgentState, kMaxAgents> states_{};
  std::array<AgentContext, kMaxAgents> contexts_{};
  std::array<Waiting, kMaxAgents> waiting_{};
  std::array<std::unique_ptr<Fiber>, kMaxAgents> fibers_;
  /// What lies on each agent's stack, and what the state says should; kNone where the agent has run since. A restored
  /// stack is put in place when somebody looks: most states that are put back take one step of one agent.
  std::array<StackImages::Number, kMaxAgents> loaded_{};
  std::array<StackImages::Number, kMaxAgents> wanted_{};
  /// By agent and slot of the page.
  std::vector<Translation> translations_;
  std::array<std::uint8_t, Geometry<CheckedGeometry>::kUserPages> slot_of_{};
  StackImages images_;
  Watcher* watcher_ = nullptr;
  std::vector<std::byte> scratch_;
};

}  // namespace cowherd::check
