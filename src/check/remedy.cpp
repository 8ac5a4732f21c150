#include "check/remedy.hpp"

#include "cow/decision_table.hpp"

namespace cowherd::check {

namespace {

/// At the grain of steps, where a search may be long: states for one attempt.
constexpr std::uint64_t kMaxStates = 200'000;

}  // namespace

std::vector<Remedy> find_remedies(Explorer& explorer, const Finding& finding, const FindingKey& key,
                                  const CheckOptions& options) {
  std::vector<Remedy> remedies;
  const Scene scene(finding.program);
  for (const DecisionInfo& decision : decision_table()) {
    const std::uint8_t value = decision.get(options.rules);
    const std::uint8_t other = decision.get(kCowherdRules);
    if (value == other) continue;
    CheckOptions changed = options;
    changed.timeout = {};
    changed.progress = nullptr;
    changed.preemptions.reset();
    if (options.grain == litmus::Grain::kStep) changed.max_states = kMaxStates;
    decision.set(changed.rules, other);
    const Exploration tried = explorer.run(scene, changed, nullptr, Goal::kFirst, &key);
    if (tried.error.empty() && tried.coverage.exhaustive() && !tried.found.contains(key)) {
      remedies.push_back({std::string(decision.name), std::string(decision.values[value].name),
                          std::string(decision.values[other].name)});
    }
  }
  return remedies;
}

}  // namespace cowherd::check
