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
  started_ = std::chrono::steady_clock::now();
  if (auto error = world_.begin(scene, options.rules); !error.empty()) return error;
  for_each(verify_step(world_), [&](mm::Violation violation) { found_.insert(key_of(violation)); });
  explore();
  return {};
}

bool StatelessSearch::stop() const { return coverage_.stopped_by != Bound::kNone; }

void StatelessSearch::explore() {
  const std::span<const std::byte> packed = world_.pack();
  const std::vector<std::byte> here(packed.begin(), packed.end());
  const BlockSet runnable = world_.runnable();
  const bool unfinished = world_.unfinished() != 0;
  bool went_on = false;
  for (std::uint8_t block = 0; block < world_.scene().blocks() && !stop(); ++block) {
    if (!contains(runnable, block)) continue;
    world_.restore(here);
    const StepReport report = step(world_, block);
    ++transitions_;
    if (report.blocked) continue;
    went_on = true;
    if (!report.judgement.ok()) found_.insert(key_of(report.judgement));
    for_each(report.fresh, [&](mm::Violation violation) { found_.insert(key_of(violation)); });
    for_each(verify_step(world_), [&](mm::Violation violation) { found_.insert(key_of(violation)); });
    explore();
  }
  if (went_on || stop()) return;
  ++runs_;
  if (unfinished) {
    found_.insert(deadlock_key());
    if (outcomes_ != nullptr) outcomes_->add_stuck();
  } else if (outcomes_ != nullptr) {
    world_.restore(here);
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
