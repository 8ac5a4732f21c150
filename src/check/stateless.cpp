#include "check/stateless.hpp"

#include "check/step.hpp"

namespace cowherd::check {

std::string StatelessSearch::run(const Scene& scene, const CheckOptions& options, Outcomes* outcomes) {
  options_ = &options;
  outcomes_ = outcomes;
  found_.clear();
  coverage_ = {};
  runs_ = 0;
  transitions_ = 0;
  depth_ = 0;
  cut_ = false;
  started_ = std::chrono::steady_clock::now();
  if (auto error = world_.begin(scene, options.rules, setting_of(options)); !error.empty()) return error;
  for_each(verify_step(world_), [&](mm::Violation violation) { found_.insert(key_of(violation)); });
  explore(kNobody, 0);
  if (world_.reference.overflowed()) return "the reference has too many pasts to choose from";
  if (cut_ && !stop()) coverage_ = {Bound::kPreemptions, *options.preemptions + 1};
  return {};
}

/// Where a run has come to.
struct StatelessSearch::Place {
  std::vector<std::byte> state;
  std::size_t mark;
};

bool StatelessSearch::stop() const { return coverage_.stopped_by != Bound::kNone; }

void StatelessSearch::explore(std::uint8_t last, std::uint32_t preemptions) {
  if (depth_ == kLongestRun) {
    coverage_.stopped_by = Bound::kStates;
    return;
  }
  ++depth_;
  const std::span<const std::byte> packed = world_.pack();
  const Place here{{packed.begin(), packed.end()}, watcher_ != nullptr ? watcher_->mark() : 0};
  const MoveSet moves = world_.moves();
  const bool unfinished = world_.unfinished() != 0;
  // Whoever ran last goes first: whether it can go on decides what the others cost.
  bool goes_on = false;
  for (unsigned way = 0; last != kNobody && way < kMaxWays && !stop(); ++way) {
    const Move move = move_of(last, way);
    if (has_move(moves, move)) goes_on = try_move(here, move, preemptions) || goes_on;
  }
  const std::uint32_t switched = preemptions + (goes_on ? 1 : 0);
  const bool too_many = options_->preemptions && switched > *options_->preemptions;
  bool went_on = goes_on;
  for (std::uint8_t block = 0; block < world_.scene().blocks() && !stop(); ++block) {
    if (block == last) continue;
    for (unsigned way = 0; way < kMaxWays && !stop(); ++way) {
      const Move move = move_of(block, way);
      if (!has_move(moves, move)) continue;
      if (too_many) {
        cut_ = true;
      } else {
        went_on = try_move(here, move, switched) || went_on;
      }
    }
  }
  if (!went_on && !stop()) {
    world_.restore(here.state);
    end_of_run(here.state, unfinished);
  }
  --depth_;
}

bool StatelessSearch::try_move(const Place& here, Move move, std::uint32_t preemptions) {
  world_.restore(here.state);
  if (watcher_ != nullptr) watcher_->rewind(here.mark);
  const StepReport report = step(world_, move);
  ++transitions_;
  if (report.blocked) return false;
  if (!report.judgement.ok()) found_.insert(key_of(report.judgement));
  for_each(report.fresh, [&](mm::Violation violation) { found_.insert(key_of(violation)); });
  if (world_.quiescent()) {
    for_each(verify_step(world_), [&](mm::Violation violation) { found_.insert(key_of(violation)); });
  }
  explore(block_of(move), preemptions);
  return true;
}

void StatelessSearch::end_of_run(const std::vector<std::byte>& here, bool unfinished) {
  ++runs_;
  if (unfinished && world_.waiting() == 0) {
    found_.insert(deadlock_key());
    if (outcomes_ != nullptr) outcomes_->add_stuck();
  } else if (outcomes_ != nullptr) {
    outcomes_->add(world_, here);
  }
  if (options_->interrupted != nullptr && options_->interrupted->load(std::memory_order_relaxed)) {
    coverage_.stopped_by = Bound::kInterrupt;
  } else if (options_->max_states != 0 && runs_ >= options_->max_states) {
    coverage_.stopped_by = Bound::kStates;
  } else if (options_->timeout.count() != 0 && std::chrono::steady_clock::now() - started_ > options_->timeout) {
    coverage_.stopped_by = Bound::kTimeout;
  }
}

}  // namespace cowherd::check
