#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cowherd/flags.hpp"
#include "cowherd/rules.hpp"
#include "cowherd/types.hpp"
#include "litmus/program.hpp"
#include "spec/promise.hpp"

namespace cowherd::check {

// What a check is asked, and what it yields for the reporters. Plain data.

/// How far a running check has come.
struct Progress {
  std::string test;
  std::string rules;
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  /// States that are known and not yet fully explored.
  std::uint64_t frontier = 0;
  /// Switches away from a block that could have gone on, in the schedules explored now.
  std::uint32_t preemptions = 0;
  double seconds = 0;
};

/// The words for fork modes, by number: those of traces and of the command line.
inline constexpr std::array<std::string_view, 3> kForkModeWords = {"classic", "leaves", "subtrees"};

/// Where freed frames go, at the grain of steps.
enum class FrameReuse : std::uint8_t {
  /// Each block takes frames from a share of its own, so that allocations of different blocks commute.
  kPools,
  /// Whoever allocates next gets the lowest free frame: what was freed comes back at once, in other hands.
  kImmediate,
};

enum class Search : std::uint8_t {
  /// Remembers states: every state is explored once.
  kStateful,
  /// Runs every interleaving, remembers nothing: a slow, independent check of the other.
  kStateless,
};

struct CheckOptions {
  Rules rules;
  std::string rules_name = "cowherd";
  litmus::Grain grain = litmus::Grain::kOperation;
  Search search = Search::kStateful;
  FrameReuse reuse = FrameReuse::kPools;
  ForkMode fork = ForkMode::kClassic;
  /// At the grain of steps: tell suspended operations apart by every byte of their stacks, and skip no point. Slow; a
  /// check of what operations declare of themselves.
  bool raw = false;
  /// Take every step twice, and compare the states that it leads to.
  bool run_twice = false;
  /// Explore schedules with up to so many preemptions.
  std::optional<std::uint32_t> preemptions;
  /// Bytes for states.
  std::size_t max_memory = std::size_t{2} << 30;
  /// 0: no limit.
  std::uint64_t max_states = 0;
  /// 0: no limit.
  std::chrono::milliseconds timeout{0};
  /// Look for the shortest program that shows each finding.
  bool minimise = true;
  /// Fill in Finding::trace, program and parting.
  bool explain = true;
  /// Set by a signal handler or another thread: the check ends early with what it has.
  const std::atomic<bool>* interrupted = nullptr;
  /// Called about every two seconds, from the thread that checks.
  std::function<void(const Progress&)> progress;
};

/// One way to end.
struct Outcome {
  /// In the order of CheckResult::observed.
  std::vector<std::int64_t> values;
  /// Distinct final states that end so; on a running kernel, runs.
  std::uint64_t states = 0;
  /// How many of them come from a run that broke a promise of the reference semantics or an invariant.
  std::uint64_t broken = 0;
  /// Whether the test's proposition holds (without one: whether the run broke something). Where the values do not
  /// decide it, `satisfied` counts the states for which it does.
  std::uint64_t satisfied = 0;
};

enum class Bound : std::uint8_t { kNone, kStates, kMemory, kTimeout, kInterrupt, kPreemptions, kRuns };

/// "states", "memory", "timeout", "interrupt", "preemptions", "runs"; "none" for kNone. Never null.
const char* name_of(Bound bound);

struct Coverage {
  /// kNone: every reachable state was seen.
  Bound stopped_by = Bound::kNone;
  /// Every schedule with fewer preemptions than this was explored; meaningful where stopped_by is set.
  std::uint32_t complete_below_preemptions = 0;

  [[nodiscard]] bool exhaustive() const { return stopped_by == Bound::kNone; }
};

struct Stats {
  std::uint64_t states = 0;
  /// Of a running kernel: how often the test was run, each time in another interleaving of its operations unless chance
  /// chose. 0 for a search.
  std::uint64_t runs = 0;
  /// Operations executed by the search.
  std::uint64_t transitions = 0;
  std::uint64_t final_states = 0;
  double seconds = 0;
  /// Most bytes that states took at one time.
  std::size_t peak_memory = 0;
  /// Of the state hash.
  unsigned hash_bits = 64;
  /// An upper estimate of the probability that some state was taken for another one.
  double miss_probability = 0;
  /// Copies on write among the transitions.
  std::uint64_t copies = 0;
  /// Of those: nobody but the process that copied had any use for the old page.
  std::uint64_t unneeded_copies = 0;

  [[nodiscard]] double states_per_second() const { return seconds > 0 ? static_cast<double>(states) / seconds : 0; }
};

enum class FindingKind : std::uint8_t { kMissedCow, kWrongCow, kCorruption, kStuck, kWrongResult };

/// "missed COW", "wrong COW", "corruption", "stuck", "wrong result". Never null.
const char* name_of(FindingKind kind);

/// What one page looks like to one process.
struct PageSight {
  /// "0:x", "1:x[2]"
  std::string name;
  bool present = false;
  bool writable = false;
  bool entry_dirty = false;
  bool zero_page = false;
  bool exclusive = false;
  FrameNumber frame;
  std::uint32_t references = 0;
  std::uint32_t mapcount = 0;
  std::uint32_t pins = 0;

  bool operator==(const PageSight&) const = default;
};

/// What one device holds.
struct DeviceSight {
  std::string name;
  /// By page of the pin.
  std::vector<FrameNumber> frames;
  /// Taken for writing.
  bool writes = false;
  /// An ordinary reference (get).
  bool get = false;

  bool operator==(const DeviceSight&) const = default;
};

/// A translation that a CPU remembers and the page tables no longer give.
struct StaleSight {
  /// Whose CPU, as in TraceStep::agent.
  std::string agent;
  /// "0:x"
  std::string page;
  FrameNumber frame;
  bool writable = false;

  bool operator==(const StaleSight&) const = default;
};

struct TraceStep {
  std::uint8_t block = 0;
  /// "P0/T0" process and thread, "D0", "K0".
  std::string agent;
  /// As in the test: "pin(d, x, FOLL_WRITE | FOLL_LONGTERM)".
  std::string operation;
  /// Whether this is the first step of the operation, and whether it is the last: only then is there a result.
  bool begins = true;
  bool ends = true;
  /// Where it is not the last: the name of the point that the block is suspended before, and what it does next.
  std::string point;
  std::string next;
  /// Where the block could go on in two ways: which it took, in a few words.
  std::string choice;
  std::int64_t result = 0;
  /// What the reference semantics allowed, where the result was something else.
  std::vector<std::int64_t> expected;
  /// There were more of them.
  bool expected_cut = false;
  /// All pages and devices after the step, in a fixed order; a reader wants to see what changed.
  std::vector<PageSight> pages;
  std::vector<DeviceSight> devices;
  std::vector<StaleSight> stale;
  /// What happened inside, in short words: "frame 3 shared write-protected", "frame 3 copied to frame 7".
  std::vector<std::string> events;
  /// Why this step matters: it parted pin and page table, or broke the promise. Empty for most.
  std::string note;
  bool parted = false;
  bool broke = false;
  /// Of the whole state after the step, 16 hexadecimal digits.
  std::string hash;
};

struct Trace {
  /// Which rules it shows.
  std::string rules;
  litmus::Grain grain = litmus::Grain::kOperation;
  FrameReuse reuse = FrameReuse::kPools;
  ForkMode fork = ForkMode::kClassic;
  /// Operations may be shown in several steps.
  bool by_steps = false;
  /// After the init block.
  std::vector<PageSight> initial_pages;
  std::vector<TraceStep> steps;
  std::uint32_t preemptions = 0;
  /// Run-length: "0*2 1 0*2" is block 0 twice, block 1, block 0 twice; "1!" is block 1 going on in its other way.
  std::string schedule;
  /// Of a running kernel: what else the command had that ran it, "--pin-by cuda ".
  std::string live_options;
  /// The same with the state hash behind each run, "0*2=9f1c2a… 1=…": replay() checks it.
  std::string replay;
};

/// The decision of the rules at which a pin and its owner's page table went apart.
struct Parting {
  /// Number of the step in the trace.
  std::size_t step = 0;
  Decision decision = Decision::kForkPinned;
  /// "fork-pinned"
  std::string decision_name;
  /// "share"
  std::string value_name;
  /// What that value does, and what it did here.
  std::string sentence;
};

/// A decision that alone stands between these rules and a finding.
struct Remedy {
  std::string decision_name;
  /// What these rules say.
  std::string value_name;
  /// What cowherd says; with it the finding is gone.
  std::string remedy_name;
};

struct Finding {
  FindingKind kind = FindingKind::kCorruption;
  /// "stale DMA", "lost DMA", "leak", "lost write", "garbage", "deadlock", "wrong result", or the name of a violation
  /// of the machine's own invariants ("mapcount-imbalance").
  std::string subtype;
  spec::Clause clause = spec::Clause::kNone;
  /// The promise or invariant that broke.
  std::string sentence;
  /// The reference that was broken is an ordinary one (get), which Linux documents as unprotected.
  bool by_get = false;
  /// For people: a documented residual, and the like. Mostly empty.
  std::string remark;
  /// The smallest program that shows it; without a condition of its own.
  litmus::Program program;
  /// No program with fewer of the operations shows it: all were tried; at the grain of steps, with no more preemptions
  /// than the test needs.
  bool minimal = false;
  Trace trace;
  /// Nothing where no pin and page table parted, or no decision of the rules stands behind it.
  std::optional<Parting> parting;
  /// Found by trying; see Remedy.
  std::vector<Remedy> remedies;
};

struct CheckResult {
  std::string test;
  std::string rules;
  /// Not empty: nothing was explored, and why ("the init block runs out of memory").
  std::string error;
  /// Not empty: the running kernel cannot show it, and why ("needs swap").
  std::string skipped;
  /// What of it the running kernel does otherwise than the test says, a sentence each.
  std::vector<std::string> remarks;
  std::vector<litmus::Term> observed;
  /// Ordered by value.
  std::vector<Outcome> outcomes;
  /// Final states in which the proposition holds, and in which not; those that the filter refuses count nowhere.
  /// Without a proposition: runs that broke a promise or an invariant or got stuck, and those that did not.
  std::uint64_t positive = 0;
  std::uint64_t negative = 0;
  /// The same among the runs that broke nothing: what the reference semantics allows.
  std::uint64_t reference_positive = 0;
  std::uint64_t reference_negative = 0;
  /// Runs that got stuck.
  std::uint64_t stuck = 0;
  /// Ordered: the simplest trace first.
  std::vector<Finding> findings;
  Coverage coverage;
  Stats stats;
  /// Of the canonical text of the test, 16 hexadecimal digits.
  std::string hash;

  [[nodiscard]] litmus::Verdict observation() const {
    if (positive == 0) return litmus::Verdict::kNever;
    return negative == 0 ? litmus::Verdict::kAlways : litmus::Verdict::kSometimes;
  }
  [[nodiscard]] litmus::Verdict reference() const {
    if (reference_positive == 0) return litmus::Verdict::kNever;
    return reference_negative == 0 ? litmus::Verdict::kAlways : litmus::Verdict::kSometimes;
  }
  /// "Ok" or "No": what the quantifier asks. Without a condition: no run broke anything.
  [[nodiscard]] bool holds(litmus::Quantifier quantifier) const {
    switch (quantifier) {
      case litmus::Quantifier::kExists:
        return positive != 0;
      case litmus::Quantifier::kForall:
        return negative == 0;
      case litmus::Quantifier::kNotExists:
      case litmus::Quantifier::kNone:
        return positive == 0;
    }
    return false;
  }
};

}  // namespace cowherd::check
