// How fast the explorer is: states of larger tests, and whole runs of short ones.

#include <benchmark/benchmark.h>

#include <optional>
#include <vector>

#include "check/check.hpp"
#include "check/explore.hpp"
#include "cow/rule_rows.hpp"
#include "litmus/enumerate.hpp"
#include "litmus/generator.hpp"
#include "litmus/parser.hpp"

namespace cowherd::check {
namespace {

/// Four processes and a device, one page: what a test with a free-running device looks like.
constexpr std::string_view kFourProcesses = R"(COW four-processes
{
  x = anon(1);
  d = device;
}
P0()
{
  pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  fork(P1);
  WRITE_ONCE(*x, 2);
  r0 = dma_read(d);
  r1 = READ_ONCE(*x);
}
P1() { r0 = READ_ONCE(*x); WRITE_ONCE(*x, 3); fork(P3); r1 = READ_ONCE(*x); WRITE_ONCE(*x, 33); }
P2() { WRITE_ONCE(*x, 4); r0 = READ_ONCE(*x); WRITE_ONCE(*x, 5); }
P3() { WRITE_ONCE(*x, 6); r0 = READ_ONCE(*x); }
device D0() { dma_write(d, 7); r0 = dma_read(d); dma_write(d, 8); }
exists (0:r0=1)
)";

/// A parent with two threads, each with pages of its own, and a child.
constexpr std::string_view kThreads = R"(COW threads
{
  x = anon(1);
  y = anon[2](2);
  d = device;
  e = device;
}
P0() { thread(P1); thread(P2); pin(d, x, FOLL_WRITE); fork(P3); WRITE_ONCE(*x, 3); r0 = dma_read(d); unpin(d); }
P1() { WRITE_ONCE(y[1], 4); r0 = READ_ONCE(*y); madvise(y, MADV_DONTNEED); WRITE_ONCE(*y, 5); }
P2() { pin(e, y, FOLL_LONGTERM); r0 = dma_read(e[1]); WRITE_ONCE(*y, 6); unpin(e); }
P3() { r0 = READ_ONCE(*x); WRITE_ONCE(*x, 7); r1 = READ_ONCE(*y); exit(); }
exists (0:r0=1)
)";

/// Inside the operations: two threads and a child that write the same page while it is pinned.
constexpr std::string_view kSteps = R"(COW steps
(* Grain: step *)
{
  x = anon(1);
  y = anon(7);
  d = device;
}
P0()
{
  thread(P1);
  fork(P2);
  pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  WRITE_ONCE(*x, 2);
  WRITE_ONCE(*y, 2);
  r0 = dma_read(d);
}
P1() { WRITE_ONCE(*x, 3); r0 = READ_ONCE(*x); madvise(y, MADV_DONTNEED); }
P2() { r0 = READ_ONCE(*x); WRITE_ONCE(*x, 4); r1 = READ_ONCE(*x); WRITE_ONCE(*y, 5); }
exists (0:r0=1)
)";

void BM_States(benchmark::State& state, std::string_view text, std::optional<std::uint32_t> preemptions) {
  const auto parsed = litmus::parse(text, "bench");
  if (!parsed.ok()) return state.SkipWithError(parsed.to_text().c_str());
  const Scene scene(*parsed.program);
  CheckOptions options;
  options.grain = parsed.program->grain;
  options.preemptions = preemptions;
  Explorer explorer;
  double states = 0;
  for (auto _ : state) {
    Outcomes outcomes(*parsed.program);
    states += static_cast<double>(explorer.run(scene, options, &outcomes).stats.states);
  }
  state.counters["states/s"] = benchmark::Counter(states, benchmark::Counter::kIsRate);
  state.counters["states"] = states / static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(BM_States, four_processes, kFourProcesses, std::nullopt)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_States, threads, kThreads, std::nullopt)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_States, steps, kSteps, std::nullopt)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_States, steps_to_two_preemptions, kSteps, 2)->Unit(benchmark::kMillisecond);

/// Every rule set on every program, as a search for the shortest program that tells rule sets apart does it.
void run_all_rules(benchmark::State& state, const std::vector<litmus::Program>& programs) {
  std::vector<Scene> scenes;
  scenes.reserve(programs.size());
  for (const litmus::Program& program : programs) scenes.emplace_back(program);
  Explorer explorer;
  CheckOptions options;
  double runs = 0;
  double states = 0;
  for (auto _ : state) {
    for (const Scene& scene : scenes) {
      for (const RuleRow& row : all_rows()) {
        options.rules = row.rules;
        states += static_cast<double>(explorer.run(scene, options, nullptr).stats.states);
        ++runs;
      }
    }
  }
  state.counters["runs/s"] = benchmark::Counter(runs, benchmark::Counter::kIsRate);
  state.counters["states/s"] = benchmark::Counter(states, benchmark::Counter::kIsRate);
  state.counters["states/run"] = states / runs;
}

void BM_EnumeratedPrograms(benchmark::State& state) {
  std::vector<litmus::Program> programs;
  litmus::enumerate_programs(static_cast<std::size_t>(state.range(0)), [&](const litmus::Program& program) {
    programs.push_back(program);
    return programs.size() < 3000;
  });
  run_all_rules(state, programs);
}
BENCHMARK(BM_EnumeratedPrograms)->Arg(4)->Unit(benchmark::kMillisecond);

void BM_RandomPrograms(benchmark::State& state) {
  std::vector<litmus::Program> programs;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) programs.push_back(litmus::random_program(seed));
  run_all_rules(state, programs);
}
BENCHMARK(BM_RandomPrograms)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cowherd::check
