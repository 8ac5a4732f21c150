#include "check/explore.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "check/hash.hpp"
#include "check/step.hpp"

namespace cowherd::check {

namespace {

/// Counts copies while a search runs.
class CopyCounter : public mm::EventSink {
 public:
  void on_event(const mm::Event& event) override {
    if (event.kind != mm::EventKind::kCopiedOnWrite) return;
    ++copies;
    unneeded += event.unneeded ? 1 : 0;
  }
  std::uint64_t copies = 0;
  std::uint64_t unneeded = 0;
};

constexpr std::uint64_t kStepsBetweenClocks = 512;

}  // namespace

bool FoundAt::simpler_than(const FoundAt& other) const {
  if (preemptions != other.preemptions) return preemptions < other.preemptions;
  if (schedule.size() != other.schedule.size()) return schedule.size() < other.schedule.size();
  return schedule < other.schedule;
}

Exploration Explorer::run(const Scene& scene, const CheckOptions& options, Outcomes* outcomes, Goal goal,
                          const FindingKey* wanted) {
  goal_ = goal;
  outcomes_ = outcomes;
  wanted_ = wanted;
  reset(options);
  result_.error = world_.begin(scene, options.rules, setting_of(options));
  if (!result_.error.empty()) return std::move(result_);
  CopyCounter counter;
  world_.system().set_event_sink(&counter);
  search();
  world_.system().set_event_sink(nullptr);
  if (options.grain == litmus::Grain::kStep && result_.error.empty()) look_for_livelock();

  Stats& stats = result_.stats;
  stats.states = nodes_.size();
  stats.copies = counter.copies;
  stats.unneeded_copies = counter.unneeded;
  const auto states = static_cast<double>(stats.states);
  stats.miss_probability = states * states / std::ldexp(1.0, static_cast<int>(stats.hash_bits) + 1);
  stats.peak_memory = bytes();
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  return std::move(result_);
}

void Explorer::reset(const CheckOptions& options) {
  options_ = &options;
  result_ = {};
  visited_.clear();
  nodes_.clear();
  arrivals_.clear();
  circling_.clear();
  now_.clear();
  later_.clear();
  live_ = kNone;
  level_ = 0;
  found_wanted_ = false;
  started_ = std::chrono::steady_clock::now();
  last_progress_ = started_;
}

void Explorer::search() {
  const mm::Violations at_start = verify_step(world_);
  arrivals_.push_back({});
  for_each(at_start, [&](mm::Violation violation) { note(key_of(violation), kNone, kNobody); });
  visited_.insert(world_.hash(), 0);
  snapshots_.reset(world_.packed_parts_with_free_frames());
  live_ = add_node(0);
  schedule_new(live_, 0, kNobody);
  while (!now_.empty() && !stop()) {
    while (!now_.empty() && !stop()) {
      const Task task = now_.back();
      now_.pop_back();
      take(task);
    }
    if (!now_.empty() || (goal_ == Goal::kSimplest && found_wanted_)) break;
    if (options_->preemptions == level_ && !later_.empty()) {
      result_.coverage.stopped_by = Bound::kPreemptions;
      ++level_;
      break;
    }
    now_.swap(later_);
    std::reverse(now_.begin(), now_.end());
    if (!now_.empty()) ++level_;
  }
  result_.coverage.complete_below_preemptions = level_;
}

void Explorer::take(Task task) {
  Node& node = nodes_[task.node];
  task.moves = static_cast<MoveSet>(task.moves & ~node.taken);
  if (task.moves == 0) return;
  const auto move = static_cast<Move>(std::countr_zero(task.moves));
  const auto rest = static_cast<MoveSet>(task.moves & ~set_of(move));
  if (rest != 0) now_.push_back({task.node, task.arrival, rest, task.last});
  node.taken = static_cast<MoveSet>(node.taken | set_of(move));

  if (live_ != task.node) world_.restore(snapshots_.load(node.snapshot));
  if (options_->run_twice && !same_twice(node, move)) return;
  // Once all have been tried that cannot go on after all, the state is asked why.
  const bool last = node.taken == node.runnable;
  const bool asks = world_.scene().uses_userfault();
  if (last && !asks) forget_snapshot(node);
  const StepReport report = step(world_, move);
  ++result_.stats.transitions;
  if (report.blocked) {
    live_ = kNone;
    node.blocked = static_cast<MoveSet>(node.blocked | set_of(move));
    const auto others = static_cast<MoveSet>(node.runnable & ~node.taken);
    // Whoever ran last cannot go on after all: to switch costs nothing.
    const bool last_stopped = block_of(move) == task.last && !goes_on(node, task.last);
    if (last_stopped && others != 0) now_.push_back({task.node, task.arrival, others, kNobody});
    if (node.blocked == node.runnable) {
      if (asks) world_.restore(snapshots_.load(node.snapshot));
      end_unfinished(task.arrival);
    }
    if (last) forget_snapshot(node);
    return;
  }
  if (last) forget_snapshot(node);
  if (!report.judgement.ok()) note(key_of(report.judgement), task.arrival, move);
  for_each(report.fresh, [&](mm::Violation violation) { note(key_of(violation), task.arrival, move); });
  arrive(task, move, report.completed);
}

bool Explorer::goes_on(const Node& node, std::uint8_t block) {
  return moves_of(static_cast<MoveSet>(node.runnable & ~node.blocked), block) != 0;
}

bool Explorer::same_twice(const Node& node, Move move) {
  std::uint64_t hashes[2];
  for (std::uint64_t& hash : hashes) {
    const bool blocked = step(world_, move).blocked;
    hash = blocked ? 0 : world_.hash();
    world_.restore(snapshots_.load(node.snapshot));
  }
  if (hashes[0] == hashes[1]) return true;
  result_.error = "the same step leads to two states: something in it depends on more than the state";
  return false;
}

void Explorer::arrive(Task from, Move move, bool completed) {
  // A machine too small for its program would make failures look allowed.
  if (world_.system().frames().free_count() == PageCount{0}) result_.error = "the machine ran out of frames";
  if (world_.reference.overflowed()) result_.error = "the reference has too many pasts to choose from";
  const auto fresh_number = static_cast<std::uint32_t>(nodes_.size());
  const std::uint64_t hash = world_.hash();
  auto [number, is_new] = visited_.insert(hash, fresh_number);
  if (is_new && world_.quiescent()) {
    const mm::Violations fresh = verify_step(world_);
    if (!fresh.none()) {
      for_each(fresh, [&](mm::Violation violation) { note(key_of(violation), from.arrival, move); });
      // What the run has broken is part of the state. The state without it stays known, as a name for this one.
      std::tie(number, is_new) = visited_.insert(world_.hash(), fresh_number);
      if (!is_new) visited_.rename(hash, number);
    }
  }
  live_ = number;
  if (!completed && options_->grain == litmus::Grain::kStep) circling_.push_back({from.node, number, move});
  const std::uint8_t block = block_of(move);
  if (!is_new) return schedule_known(number, from.arrival, move);
  arrivals_.push_back({from.arrival, move});
  const auto arrival = static_cast<std::uint32_t>(arrivals_.size() - 1);
  add_node(arrival);
  schedule_new(number, arrival, block);
}

std::uint32_t Explorer::add_node(std::uint32_t arrival) {
  Node node;
  node.level = level_;
  node.arrival = arrival;
  node.runnable = world_.moves();
  node.unfinished = world_.unfinished() != 0;
  // With one step to take, it is taken next, while the world is still in this state.
  const bool returns = options_->run_twice || world_.scene().uses_userfault();
  if (std::popcount(node.runnable) > 1 || (returns && node.runnable != 0)) {
    node.snapshot = snapshots_.store(world_.packed_parts());
  }
  nodes_.push_back(node);
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

void Explorer::schedule_new(std::uint32_t number, std::uint32_t arrival, std::uint8_t last) {
  const Node& node = nodes_[number];
  if (node.runnable == 0) {
    if (node.unfinished) {
      end_unfinished(arrival);
    } else if (outcomes_ != nullptr) {
      outcomes_->add(world_, world_.pack());
    }
    return;
  }
  if (last == kNobody || moves_of(node.runnable, last) == 0) {
    now_.push_back({number, arrival, node.runnable, kNobody});
    return;
  }
  const MoveSet own = moves_of(node.runnable, last);
  const auto others = static_cast<MoveSet>(node.runnable & ~own);
  if (others != 0) later_.push_back({number, arrival, others, kNobody});
  now_.push_back({number, arrival, own, last});
}

void Explorer::schedule_known(std::uint32_t number, std::uint32_t from, Move move) {
  const Node& node = nodes_[number];
  const auto left = static_cast<MoveSet>(node.runnable & ~node.taken);
  // At any later level everything is scheduled already.
  if (left == 0 || node.level != level_) return;
  const std::uint8_t last = block_of(move);
  const bool own = goes_on(node, last);
  const MoveSet moves = own ? moves_of(left, last) : left;
  if (moves == 0) return;
  arrivals_.push_back({from, move});
  const auto arrival = static_cast<std::uint32_t>(arrivals_.size() - 1);
  now_.push_back({number, arrival, moves, own ? last : kNobody});
}

void Explorer::end_unfinished(std::uint32_t arrival) {
  if (world_.waiting() == 0) return add_deadlock(arrival);
  if (outcomes_ != nullptr) outcomes_->add(world_, world_.pack());
}

void Explorer::add_deadlock(std::uint32_t arrival) {
  if (outcomes_ != nullptr) outcomes_->add_stuck();
  note(deadlock_key(), arrival, kNobody);
}

void Explorer::forget_snapshot(Node& node) {
  if (!node.snapshot) return;
  snapshots_.release(node.snapshot);
}

void Explorer::note(const FindingKey& key, std::uint32_t arrival, Move move) {
  if (wanted_ != nullptr) {
    found_wanted_ = found_wanted_ || key == *wanted_;
    if (key != *wanted_) return;
  }
  const auto known = result_.found.find(key);
  // Levels come in order: what was met at an earlier one is simpler.
  if (known != result_.found.end() && known->second.preemptions < level_) return;
  FoundAt at{schedule_of(arrival, move), level_};
  if (known == result_.found.end()) {
    result_.found.emplace(key, std::move(at));
  } else if (at.simpler_than(known->second)) {
    known->second = std::move(at);
  }
}

void Explorer::look_for_livelock() {
  if (wanted_ != nullptr && *wanted_ != livelock_key()) return;
  const auto found = find_livelock(circling_, static_cast<std::uint32_t>(nodes_.size()), [this](std::uint32_t state) {
    return blocks_of(static_cast<MoveSet>(nodes_[state].runnable & ~nodes_[state].blocked));
  });
  if (!found) return;
  const Node& node = nodes_[found->state];
  FoundAt at{schedule_of(node.arrival, kNobody), node.level};
  at.schedule.insert(at.schedule.end(), found->round.begin(), found->round.end());
  result_.found.emplace(livelock_key(), std::move(at));
  found_wanted_ = true;
}

Schedule Explorer::schedule_of(std::uint32_t arrival, Move move) const {
  Schedule schedule;
  if (move != kNobody) schedule.push_back(move);
  for (; arrival != kNone && arrivals_[arrival].parent != kNone; arrival = arrivals_[arrival].parent) {
    schedule.push_back(arrivals_[arrival].move);
  }
  std::reverse(schedule.begin(), schedule.end());
  return schedule;
}

std::size_t Explorer::bytes() const {
  return world_.steps().images().bytes() + circling_.capacity() * sizeof(Circling) + visited_.bytes() +
         nodes_.capacity() * sizeof(Node) + arrivals_.capacity() * sizeof(Arrival) +
         (now_.capacity() + later_.capacity()) * sizeof(Task) + snapshots_.reserved();
}

bool Explorer::stop() {
  if (!result_.error.empty() || (goal_ == Goal::kFirst && found_wanted_)) return true;
  if (result_.coverage.stopped_by != Bound::kNone) return true;
  if (options_->max_states != 0 && nodes_.size() >= options_->max_states) {
    result_.coverage.stopped_by = Bound::kStates;
  } else if (bytes() > options_->max_memory) {
    result_.coverage.stopped_by = Bound::kMemory;
  } else if (result_.stats.transitions % kStepsBetweenClocks == kStepsBetweenClocks - 1) {
    look_at_clock();
  }
  return result_.coverage.stopped_by != Bound::kNone;
}

void Explorer::look_at_clock() {
  if (options_->interrupted != nullptr && options_->interrupted->load(std::memory_order_relaxed)) {
    result_.coverage.stopped_by = Bound::kInterrupt;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (options_->timeout.count() != 0 && now - started_ > options_->timeout) {
    result_.coverage.stopped_by = Bound::kTimeout;
    return;
  }
  constexpr std::chrono::seconds kBetweenReports{2};
  if (options_->progress && now - last_progress_ >= kBetweenReports) {
    last_progress_ = now;
    Progress progress;
    progress.test = world_.scene().program().name;
    progress.rules = options_->rules_name;
    progress.states = nodes_.size();
    progress.transitions = result_.stats.transitions;
    progress.frontier = now_.size() + later_.size();
    progress.preemptions = level_;
    progress.seconds = std::chrono::duration<double>(now - started_).count();
    options_->progress(progress);
  }
}

}  // namespace cowherd::check
