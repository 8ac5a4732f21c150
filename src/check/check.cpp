#include "check/check.hpp"

#include <algorithm>
#include <utility>

#include "check/explain.hpp"
#include "check/explore.hpp"
#include "check/minimise.hpp"
#include "check/oracle.hpp"
#include "check/remedy.hpp"
#include "check/stateless.hpp"
#include "check/trace.hpp"
#include "cow/decision_table.hpp"

namespace cowherd::check {

namespace {

bool interrupted(const CheckOptions& options) {
  return options.interrupted != nullptr && options.interrupted->load(std::memory_order_relaxed);
}

Finding make_finding(Explorer& explorer, const litmus::Program& program, const FindingKey& key, const FoundAt& at,
                     const CheckOptions& options) {
  Finding finding = describe(key);
  Minimised smaller{program, at, false};
  if (options.minimise && !interrupted(options)) smaller = minimise(explorer, program, key, at, options);
  finding.program = std::move(smaller.program);
  finding.minimal = smaller.minimal;
  if (options.explain) {
    explain(finding, key, smaller.at.schedule, options);
    finding.remedies = find_remedies(explorer, finding, key, options);
    correct_parting(finding, options.rules);
    // A pin can suffer for a get: a page that fork shared under the get is not the pinner's own either.
    const bool behind_get = std::any_of(finding.remedies.begin(), finding.remedies.end(), [](const Remedy& remedy) {
      return remedy.decision_name == decision_name(Decision::kPinCount);
    });
    if (finding.remark.empty() && behind_get) finding.remark = kGetResidual;
  }
  return finding;
}

void check_stateful(const Scene& scene, const CheckOptions& options, Outcomes& outcomes, CheckResult& result) {
  Explorer explorer;
  Exploration explored = explorer.run(scene, options, &outcomes);
  result.error = std::move(explored.error);
  result.stats = explored.stats;
  result.coverage = explored.coverage;
  std::vector<std::pair<FindingKey, FoundAt>> found(explored.found.begin(), explored.found.end());
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.second.simpler_than(b.second); });
  for (const auto& [key, at] : found) {
    result.findings.push_back(make_finding(explorer, scene.program(), key, at, options));
  }
}

void check_stateless(const Scene& scene, const CheckOptions& options, Outcomes& outcomes, CheckResult& result) {
  StatelessSearch search;
  const auto started = std::chrono::steady_clock::now();
  result.error = search.run(scene, options, &outcomes);
  result.stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  result.stats.states = search.runs();
  result.stats.transitions = search.transitions();
  result.coverage = search.coverage();
  for (const FindingKey& key : search.found()) {
    Finding finding = describe(key);
    finding.program = scene.program();
    result.findings.push_back(std::move(finding));
  }
}

}  // namespace

CheckResult check(const litmus::Program& program, const CheckOptions& options) {
  CheckResult result;
  result.test = program.name;
  result.rules = options.rules_name;
  result.hash = program_hash(program);
  const Scene scene(program);
  Outcomes outcomes(program);
  if (options.search == Search::kStateful) {
    check_stateful(scene, options, outcomes, result);
  } else {
    check_stateless(scene, options, outcomes, result);
  }
  outcomes.fill(result);
  return result;
}

}  // namespace cowherd::check
