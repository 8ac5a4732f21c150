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
  result_.error = world_.begin(scene, options.rules);
  if (!result_.error.empty()) return std::move(result_);
  CopyCounter counter;
  world_.system().set_event_sink(&counter);
  search();
  world_.system().set_event_sink(nullptr);

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
  const auto packed = world_.pack();
  snapshots_.reset(world_.packed_parts());
  visited_.insert(hash_of(packed), 0);
  live_ = add_node();
  schedule_new(live_, 0, kNobody);
  while (!now_.empty() && !stop()) {
    while (!now_.empty() && !stop()) {
      const Task task = now_.back();
      now_.pop_back();
      take(task);
    }
    if (!now_.empty() || (goal_ == Goal::kSimplest && found_wanted_)) break;
    now_.swap(later_);
    std::reverse(now_.begin(), now_.end());
    if (!now_.empty()) ++level_;
  }
  result_.coverage.complete_below_preemptions = level_;
}

void Explorer::take(Task task) {
  Node& node = nodes_[task.node];
  task.blocks = static_cast<BlockSet>(task.blocks & ~node.taken);
  if (task.blocks == 0) return;
  const auto block = static_cast<std::uint8_t>(std::countr_zero(task.blocks));
  const auto rest = static_cast<BlockSet>(task.blocks & ~bit_of(block));
  if (rest != 0) now_.push_back({task.node, task.arrival, rest, task.last});
  node.taken = static_cast<BlockSet>(node.taken | bit_of(block));

  if (live_ != task.node) world_.restore(snapshots_.load(node.snapshot));
  if (node.taken == node.runnable) forget_snapshot(node);
  const StepReport report = step(world_, block);
  ++result_.stats.transitions;
  if (report.blocked) {
    live_ = kNone;
    node.blocked = static_cast<BlockSet>(node.blocked | bit_of(block));
    const auto others = static_cast<BlockSet>(node.runnable & ~node.taken);
    // Whoever ran last cannot go on after all: to switch costs nothing.
    if (block == task.last && others != 0) now_.push_back({task.node, task.arrival, others, kNobody});
    if (node.blocked == node.runnable) add_deadlock(task.arrival);
    return;
  }
  if (!report.judgement.ok()) note(key_of(report.judgement), task.arrival, block);
  for_each(report.fresh, [&](mm::Violation violation) { note(key_of(violation), task.arrival, block); });
  arrive(task.arrival, block);
}

void Explorer::arrive(std::uint32_t from, std::uint8_t block) {
  // A machine too small for its program would make failures look allowed.
  if (world_.system().frames().free_count() == PageCount{0}) result_.error = "the machine ran out of frames";
  auto packed = world_.pack();
  const auto fresh_number = static_cast<std::uint32_t>(nodes_.size());
  const std::uint64_t hash = hash_of(packed);
  auto [number, is_new] = visited_.insert(hash, fresh_number);
  if (is_new) {
    const mm::Violations fresh = verify_step(world_);
    if (!fresh.none()) {
      for_each(fresh, [&](mm::Violation violation) { note(key_of(violation), from, block); });
      // What the run has broken is part of the state. The state without it stays known, as a name for this one.
      packed = world_.pack();
      std::tie(number, is_new) = visited_.insert(hash_of(packed), fresh_number);
      if (!is_new) visited_.rename(hash, number);
    }
  }
  live_ = number;
  if (!is_new) return schedule_known(number, from, block);
  add_node();
  arrivals_.push_back({from, block});
  schedule_new(number, static_cast<std::uint32_t>(arrivals_.size() - 1), block);
}

std::uint32_t Explorer::add_node() {
  Node node;
  node.level = level_;
  node.runnable = world_.runnable();
  node.unfinished = world_.unfinished() != 0;
  // With one block to run, its step is taken next, while the world is still in this state.
  if (std::popcount(node.runnable) > 1) {
    node.snapshot = snapshots_.store(world_.packed_parts());
  }
  nodes_.push_back(node);
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

void Explorer::schedule_new(std::uint32_t number, std::uint32_t arrival, std::uint8_t last) {
  const Node& node = nodes_[number];
  if (node.runnable == 0) {
    if (node.unfinished) {
      add_deadlock(arrival);
    } else if (outcomes_ != nullptr) {
      outcomes_->add(world_, world_.pack());
    }
    return;
  }
  if (last == kNobody || !contains(node.runnable, last)) {
    now_.push_back({number, arrival, node.runnable, kNobody});
    return;
  }
  const auto others = static_cast<BlockSet>(node.runnable & ~bit_of(last));
  if (others != 0) later_.push_back({number, arrival, others, kNobody});
  now_.push_back({number, arrival, bit_of(last), last});
}

void Explorer::schedule_known(std::uint32_t number, std::uint32_t from, std::uint8_t last) {
  const Node& node = nodes_[number];
  const auto left = static_cast<BlockSet>(node.runnable & ~node.taken);
  // At any later level everything is scheduled already.
  if (left == 0 || node.level != level_) return;
  const bool goes_on = contains(node.runnable, last) && !contains(node.blocked, last);
  if (goes_on && contains(node.taken, last)) return;
  arrivals_.push_back({from, last});
  const auto arrival = static_cast<std::uint32_t>(arrivals_.size() - 1);
  now_.push_back({number, arrival, goes_on ? bit_of(last) : left, goes_on ? last : kNobody});
}

void Explorer::add_deadlock(std::uint32_t arrival) {
  if (outcomes_ != nullptr) outcomes_->add_stuck();
  note(deadlock_key(), arrival, kNobody);
}

void Explorer::forget_snapshot(Node& node) {
  if (!node.snapshot) return;
  snapshots_.release(node.snapshot);
}

void Explorer::note(const FindingKey& key, std::uint32_t arrival, std::uint8_t block) {
  if (wanted_ != nullptr) {
    found_wanted_ = found_wanted_ || key == *wanted_;
    if (key != *wanted_) return;
  }
  const auto known = result_.found.find(key);
  // Levels come in order: what was met at an earlier one is simpler.
  if (known != result_.found.end() && known->second.preemptions < level_) return;
  FoundAt at{schedule_of(arrival, block), level_};
  if (known == result_.found.end()) {
    result_.found.emplace(key, std::move(at));
  } else if (at.simpler_than(known->second)) {
    known->second = std::move(at);
  }
}

Schedule Explorer::schedule_of(std::uint32_t arrival, std::uint8_t block) const {
  Schedule schedule;
  if (block != kNobody) schedule.push_back(block);
  for (; arrival != kNone && arrivals_[arrival].parent != kNone; arrival = arrivals_[arrival].parent) {
    schedule.push_back(arrivals_[arrival].block);
  }
  std::reverse(schedule.begin(), schedule.end());
  return schedule;
}

std::size_t Explorer::bytes() const {
  return visited_.bytes() + nodes_.capacity() * sizeof(Node) + arrivals_.capacity() * sizeof(Arrival) +
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
