#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cowherd/result.hpp"
#include "litmus/program.hpp"
#include "litmus/random.hpp"

namespace cowherd::live {

/// What the system under test answered: an error or a value.
struct Answer {
  Errno error{0};
  std::int64_t value = 0;
  /// Not empty: there is no answer, and why: the operation did not end, or a process is gone that should not be.
  std::string lost;
  /// With `lost`: nothing went wrong, but what the test means cannot be had of this kernel.
  bool unfit = false;
  /// The operation has not ended: it waits for userfaultfd's handler.
  bool waits = false;

  [[nodiscard]] std::int64_t result() const { return error == Errno{0} ? value : -static_cast<std::int64_t>(error); }
};

/// A set of blocks.
using BlockSet = std::uint8_t;
static_assert(litmus::kMaxBlocks <= 8);
constexpr BlockSet bit_of(std::uint8_t block) { return static_cast<BlockSet>(1u << block); }

/// The kernel has said so.
inline Answer refused_with(Errno error) { return {error, 0, {}}; }
/// Nothing went wrong, but it cannot be had of this kernel.
inline Answer unfit(std::string why) { return {Errno{0}, 0, std::move(why), true}; }

/// An operation that has waited for userfaultfd's handler and is over.
struct Ended {
  std::uint8_t block = 0;
  Answer answer;
};

/// What a device of a test holds.
struct Held {
  std::uint8_t pages = 0;
  bool writes = false;
};

/// Does what a test says. Each call ends before the next begins; an operation that waits is gone on with later.
class Executor {
 public:
  virtual ~Executor() = default;

  /// A process of its own with the memory of the init block, for each block that begins at time zero and is a process.
  virtual Answer begin(const litmus::Program& program) = 0;
  /// One operation of `block`, which runs in `process`. `value` is what it stores. Of a pin or get: the pages it held.
  virtual Answer perform(std::uint8_t block, std::uint8_t process, const litmus::Operation& operation,
                         std::int64_t value) = 0;
  /// The operation of `block`, which waits, looks again whether it may go on.
  virtual Answer resume(std::uint8_t /*block*/) { return {}; }
  /// Those that went on and ended along with the last perform() or resume(), in no order that is known.
  virtual std::vector<Ended> take_ended() { return {}; }
  /// The process ends, as one that ran off its end; where it borrows its parent's memory, the parent goes on.
  virtual Answer exit(std::uint8_t process) = 0;
  /// What the process reads there now.
  virtual Answer look(std::uint8_t process, const litmus::Place& place) = 0;
  /// frame(), mapcount(), rss() of the process or a word of a file at this moment.
  virtual Answer inspect(std::uint8_t process, const litmus::Term& term) = 0;
  /// Of an operation that has failed: whether that may be for lack of pages that the machine has only so many of.
  [[nodiscard]] virtual bool may_lack(const litmus::Operation& /*operation*/) const { return false; }
  /// The run is over: all processes end, devices let go of what they hold, and what is dirty is written to its disk.
  virtual Answer end_all() { return {}; }
};

/// One run of a test, from its init block to its end: who may go on, and what each step came to. The rules by which
/// blocks start, wait and end are those of the language (docs/litmus.md); what operations do is the executor's.
class Course {
 public:
  enum class Phase : std::uint8_t { kUnborn, kRunning, kDone, kNever };
  enum class Life : std::uint8_t { kUnborn, kAlive, kExited, kReaped };

  /// Both must outlive it. Precondition: the program is resolved.
  Course(const litmus::Program& program, Executor& executor);

  /// Precondition of all below: it has been called. Empty, or why the test cannot begin.
  std::string begin();
  /// Blocks whose next operation may be done now.
  [[nodiscard]] BlockSet runnable() const;
  [[nodiscard]] BlockSet unfinished() const;
  /// Does the next operation of `block`, and what follows from it; of one that waits, looks whether it may go on.
  /// Precondition: it is runnable.
  Answer step(std::uint8_t block);
  /// Others whose operations, which waited, have ended with the last step.
  [[nodiscard]] const std::vector<Ended>& went_on() const { return went_on_; }
  /// Whether the block is inside its next operation, and waits for userfaultfd's handler.
  [[nodiscard]] bool waits(std::uint8_t block) const { return (waits_ & bit_of(block)) != 0; }
  /// Whether an unfinished block waits for another one: a child that it waits for or that lives in its memory.
  [[nodiscard]] bool waits_for_block(std::uint8_t block) const { return !may_proceed(block); }
  /// Processes that the last step ended without an operation of their own: children of vfork at their end.
  [[nodiscard]] const std::vector<std::uint8_t>& ended() const { return ended_; }
  /// The value of a register, of memory, of a count of faults or of what the executor can inspect, at this moment.
  std::int64_t value_of(const litmus::Term& term);
  /// Of each, in their order. What the kernel knows of pages is asked first: a look at a word may bring its page in.
  std::vector<std::int64_t> values_of(const std::vector<litmus::Term>& terms);

  [[nodiscard]] const litmus::Program& program() const { return *program_; }
  [[nodiscard]] std::uint8_t blocks() const { return static_cast<std::uint8_t>(program_->blocks.size()); }
  [[nodiscard]] std::uint8_t process_of(std::uint8_t block) const { return process_of_[block]; }
  [[nodiscard]] BlockSet threads_of(std::uint8_t process) const { return threads_of_[process]; }
  [[nodiscard]] const litmus::Operation& operation(std::uint8_t block) const {
    return program_->blocks[block].operations[pc_[block]];
  }
  [[nodiscard]] std::int64_t reg(std::uint8_t block, std::uint8_t number) const { return registers_[block][number]; }
  [[nodiscard]] bool alive(std::uint8_t process) const { return life_[process] == Life::kAlive; }
  [[nodiscard]] std::uint8_t pages_held(std::uint8_t device) const { return held_[device].pages; }
  /// Whether it holds them for writing.
  [[nodiscard]] bool writes(std::uint8_t device) const { return held_[device].writes; }

 private:
  [[nodiscard]] bool may_proceed(std::uint8_t block) const;
  /// Whether a thread of `process` is suspended by a child of vfork: it cannot end the process then.
  [[nodiscard]] bool suspended(std::uint8_t process) const;
  /// A child of vfork that has come to its end in its parent's memory.
  [[nodiscard]] std::optional<std::uint8_t> borrower_at_end() const;
  Answer perform(std::uint8_t block, const litmus::Operation& operation);
  /// What follows from an operation that is over.
  void conclude(std::uint8_t block, const litmus::Operation& operation, const Answer& answer);
  void look_again_after(std::uint8_t block, const litmus::Operation& operation);
  Answer on_device(std::uint8_t block, const litmus::Operation& operation);
  Answer end_process(std::uint8_t process);
  Answer start(std::uint8_t block, const litmus::Operation& operation);
  Answer exec(std::uint8_t block, const litmus::Operation& operation);
  Answer exit(std::uint8_t block, const litmus::Operation& operation);
  Answer wait(std::uint8_t block, const litmus::Operation& operation);
  Answer ask(std::uint8_t block, const litmus::Operation& operation);
  std::string settle();

  const litmus::Program* program_;
  Executor* executor_;
  std::array<std::uint8_t, litmus::kMaxBlocks> process_of_{};
  std::array<BlockSet, litmus::kMaxBlocks> threads_of_{};
  std::array<Phase, litmus::kMaxBlocks> phase_{};
  std::array<std::uint8_t, litmus::kMaxBlocks> pc_{};
  std::array<std::uint16_t, litmus::kMaxBlocks> faults_{};
  std::array<Life, litmus::kMaxBlocks> life_{};
  std::array<bool, litmus::kMaxBlocks> borrows_{};
  std::array<Held, litmus::kMaxDevices> held_{};
  std::array<std::array<std::int64_t, litmus::kMaxRegisters>, litmus::kMaxBlocks> registers_{};
  std::vector<std::uint8_t> ended_;
  /// Blocks inside an operation that waits, and those of them for which something may have changed since they looked.
  BlockSet waits_ = 0;
  BlockSet may_look_again_ = 0;
  std::vector<Ended> went_on_;
};

/// Which block goes next: every way through a test, one after the other, or ways at random.
class Choices {
 public:
  /// Every way once.
  Choices() = default;
  /// At random, from `seed` on.
  explicit Choices(std::uint64_t seed) : random_(seed) {}

  /// One of `runnable`, which is not empty. At first the block goes on that went before, so that the first ways are
  /// those with the fewest switches.
  std::uint8_t choose(BlockSet runnable);
  /// The run is over. False where every way has been gone; at random never.
  bool next();
  /// What was chosen in this run.
  [[nodiscard]] std::vector<std::uint8_t> taken() const;

 private:
  struct Choice {
    BlockSet left = 0;
    std::uint8_t taken = 0;
  };

  std::vector<Choice> path_;
  std::size_t depth_ = 0;
  std::optional<litmus::Random> random_;
};

}  // namespace cowherd::live
