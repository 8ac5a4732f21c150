#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "check/livelock.hpp"
#include "check/moves.hpp"
#include "check/oracle.hpp"
#include "check/outcome.hpp"
#include "check/result.hpp"
#include "check/snapshots.hpp"
#include "check/visited.hpp"
#include "check/world.hpp"

namespace cowherd::check {

/// The moves that were made, in order.
using Schedule = std::vector<Move>;

/// Where a finding was first met.
struct FoundAt {
  /// The last step is the one that broke something; a deadlock breaks after it, and a livelock ends with one round.
  Schedule schedule;
  std::uint32_t preemptions = 0;

  /// Simpler ones first.
  [[nodiscard]] bool simpler_than(const FoundAt& other) const;
};

/// When a search has seen enough.
enum class Goal : std::uint8_t {
  kEverything,
  /// The wanted finding, however it comes about.
  kFirst,
  /// The wanted finding with the fewest preemptions, and among those the fewest steps.
  kSimplest,
};

struct Exploration {
  /// Empty, or why nothing was explored.
  std::string error;
  /// Counts and coverage only; outcomes are in the Outcomes that was given.
  Stats stats;
  Coverage coverage;
  std::map<FindingKey, FoundAt> found;
};

/// The stateful search: every state once, in the order of the preemptions needed to reach it. A preemption is a switch
/// away from a block that could have gone on.
///
/// A state does not know who ran last, so that paths which did the same work meet. Instead each of its steps is taken
/// at the lowest level that some path allows: at level L for the block whose step led here at level L, and, where that
/// block cannot go on, for all others; at level L+1 for the others where it can. So levels are exact and every step of
/// every state is taken once.
///
/// Holds its memory from one run to the next. Not thread-safe.
class Explorer {
 public:
  /// `outcomes` may be null. `wanted` is the only finding that counts; null where the goal is everything.
  Exploration run(const Scene& scene, const CheckOptions& options, Outcomes* outcomes, Goal goal = Goal::kEverything,
                  const FindingKey* wanted = nullptr);

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr std::uint8_t kNobody = 0xff;

  struct Node {
    /// Null once every step has been taken, and where it never needs to be restored.
    SnapshotStore::Handle snapshot;
    /// Fewest preemptions that lead here.
    std::uint32_t level = 0;
    MoveSet runnable = 0;
    MoveSet taken = 0;
    MoveSet blocked = 0;
    bool unfinished = false;
    /// Where it was first come to.
    std::uint32_t arrival = kNone;
  };

  /// One way to come to a state; they form the tree that schedules are read from.
  struct Arrival {
    std::uint32_t parent = kNone;
    Move move = kNobody;
  };

  /// Steps to take in a state.
  struct Task {
    std::uint32_t node;
    std::uint32_t arrival;
    MoveSet moves;
    /// The block that ran last, where nothing yet says that it cannot go on.
    std::uint8_t last;
  };

  void reset(const CheckOptions& options);
  void search();
  void take(Task task);
  void arrive(Task from, Move move, bool completed);
  /// For the state that the world has just packed.
  std::uint32_t add_node(std::uint32_t arrival);
  /// Whether `block` has a move there that is not known to be blocked.
  [[nodiscard]] static bool goes_on(const Node& node, std::uint8_t block);
  /// Takes the step twice and leaves the world where it was.
  bool same_twice(const Node& node, Move move);
  void schedule_new(std::uint32_t node, std::uint32_t arrival, std::uint8_t last);
  void schedule_known(std::uint32_t node, std::uint32_t from, Move move);
  /// Nobody can go on, and some block has not ended. The world is in that state.
  void end_unfinished(std::uint32_t arrival);
  void add_deadlock(std::uint32_t arrival);
  void forget_snapshot(Node& node);
  void note(const FindingKey& key, std::uint32_t arrival, Move move);
  void look_for_livelock();
  [[nodiscard]] Schedule schedule_of(std::uint32_t arrival, Move move) const;
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] bool stop();
  void look_at_clock();

  World world_;
  SnapshotStore snapshots_;
  VisitedSet visited_;
  std::vector<Node> nodes_;
  std::vector<Arrival> arrivals_;
  /// Steps that ended no operation.
  std::vector<Circling> circling_;
  std::vector<Task> now_;
  std::vector<Task> later_;
  /// The state that the world is in; kNone after a step that blocked.
  std::uint32_t live_ = kNone;
  std::uint32_t level_ = 0;
  Goal goal_ = Goal::kEverything;
  bool found_wanted_ = false;

  const CheckOptions* options_ = nullptr;
  Outcomes* outcomes_ = nullptr;
  const FindingKey* wanted_ = nullptr;
  Exploration result_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point last_progress_;
};

}  // namespace cowherd::check
