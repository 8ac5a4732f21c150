#include "check/remedy.hpp"

#include "cow/decision_table.hpp"

namespace cowherd::check {

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
