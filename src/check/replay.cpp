#include "check/replay.hpp"

#include <fmt/format.h>

#include <set>

#include "check/explain.hpp"
#include "check/schedule.hpp"
#include "check/tracer.hpp"

namespace cowherd::check {

namespace {

/// What the steps of the run broke, and, at its end, whether it is stuck.
std::vector<Finding> judge(Tracer& tracer) {
  std::set<FindingKey> seen;
  std::vector<Finding> findings;
  const std::optional<Parting> parting = find_parting(tracer);
  const auto add = [&](const FindingKey& key, std::size_t step) {
    if (!seen.insert(key).second) return;
    Finding finding = describe(key);
    finding.program = tracer.scene().program();
    finding.trace = tracer.trace();
    finding.trace.steps[step].broke = true;
    if (parting && parting->step <= step) finding.parting = parting;
    findings.push_back(std::move(finding));
  };
  const auto& details = tracer.details();
  for (std::size_t i = 0; i < details.size(); ++i) {
    const StepReport& report = details[i].report;
    if (!report.judgement.ok()) add(key_of(report.judgement), i);
    for_each(report.fresh, [&](mm::Violation violation) { add(key_of(violation), i); });
    for_each(details[i].recount, [&](mm::Violation violation) { add(key_of(violation), i); });
  }
  if (!details.empty() && tracer.deadlocked()) add(deadlock_key(), details.size() - 1);
  return findings;
}

}  // namespace

ReplayResult replay(const litmus::Program& program, const CheckOptions& options, std::string_view schedule) {
  ReplayResult result;
  const auto runs = parse_schedule(schedule, result.error);
  if (!runs) return result;
  const Scene scene(program);
  Tracer tracer(scene, options);
  result.error = tracer.begin();
  for (const ScheduleRun& run : *runs) {
    if (!result.ok()) break;
    const std::uint8_t block = block_of(run.move);
    if (block >= scene.blocks()) {
      result.error = fmt::format("the test has no block number {}", block);
      break;
    }
    for (std::size_t i = 0; i < run.steps && result.ok(); ++i) {
      if (tracer.step(run.move)) continue;
      result.error = fmt::format("step {}: {} cannot go on", tracer.trace().steps.size() + 1, scene.agent_name(block));
      result.diverged = true;
    }
    if (result.ok() && !run.hash.empty() && run.hash != tracer.state_hash()) {
      result.error = fmt::format("step {}: the state is {}, the schedule says {}", tracer.trace().steps.size(),
                                 tracer.state_hash(), run.hash);
      result.diverged = true;
    }
  }
  result.findings = judge(tracer);
  result.trace = std::move(tracer.trace());
  return result;
}

}  // namespace cowherd::check
