#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "check/schedule.hpp"
#include "check/trace.hpp"
#include "cli/batch.hpp"
#include "cli/interrupt.hpp"
#include "cli/live_against.hpp"
#include "cli/live_emit.hpp"
#include "cli/live_free.hpp"
#include "cli/live_run.hpp"
#include "cli/output.hpp"
#include "cli/reporters.hpp"
#include "cli/running_kernel.hpp"
#include "cli/verbs.hpp"
#include "live/plan.hpp"
#include "live/probe.hpp"
#include "live/stage.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

/// What all tests of one command share.
struct Setting {
  const LiveArguments& arguments;
  const LiveRuns& runs;
  const RuleChoice& kernel;
  const live::Offers& offers;
  live::KernelWork& work;
};

check::CheckResult play(const litmus::Program& program, const Setting& setting) {
  const LiveArguments& arguments = setting.arguments;
  check::CheckResult result;
  result.test = program.name;
  result.rules = setting.kernel.name;
  result.hash = check::program_hash(program);
  live::Plan plan = live::plan(program, setting.offers, arguments.pin_by);
  if (plan.skip.empty() && arguments.free) plan.skip = problem_of_free_run(program);
  if (!plan.skip.empty()) {
    result.skipped = std::move(plan.skip);
    return result;
  }
  using Processors = live::Stage::Processors;
  live::Stage stage(setting.work, arguments.patience, arguments.free ? Processors::kAll : Processors::kOne);
  result.error = stage.open(program, plan.devices, plan.uses);
  if (result.error.empty() && arguments.free) {
    result = run_free(program, stage, setting.kernel,
                      {.runs = *arguments.free, .seed = arguments.seed, .interrupted = setting.runs.interrupted});
  } else if (result.error.empty()) {
    result = run_live(program, stage, setting.kernel.name, setting.runs);
  }
  if (!result.error.empty() && setting.work.lacks_memory()) result.skipped = std::exchange(result.error, {});
  // What was cut short says nothing of the kernel.
  if (setting.runs.interrupted->load() && !result.error.empty()) {
    result.error.clear();
    result.skipped = "interrupted";
  }
  result.remarks.insert(result.remarks.begin(), plan.notes.begin(), plan.notes.end());
  return result;
}

report::ReportOptions report_options(const LiveArguments& arguments, bool batch) {
  const bool text = arguments.output.format == Format::kText;
  return {.compact = text && batch && arguments.output.verbosity < 1,
          .quiet = arguments.output.verbosity < 0,
          .traces = true,
          .times = arguments.output.times};
}

/// False, and one line on stderr, where it is no schedule.
bool read_schedule(const std::string& text, std::vector<std::uint8_t>& to) {
  std::string error;
  const auto parsed = check::parse_schedule(text, error);
  if (!parsed) {
    complain(fmt::format("--schedule: {}", error));
    return false;
  }
  for (const check::ScheduleRun& run : *parsed) to.insert(to.end(), run.steps, check::block_of(run.move));
  return true;
}

}  // namespace

ExitStatus run_live_verb(const LiveArguments& arguments) {
  LiveRuns runs{
      .limit = arguments.all ? ~std::uint64_t{0} : arguments.limit, .random = arguments.random, .seed = arguments.seed};
  if (arguments.pin_by != live::PinBy::kClosest) {
    runs.options = fmt::format("--pin-by {} ", live::name_of(arguments.pin_by));
  }
  if (!arguments.schedule.empty() && !read_schedule(arguments.schedule, runs.schedule)) return ExitStatus::kInput;

  if (arguments.timeout) interrupt_after(*arguments.timeout);
  if (!arguments.against.empty()) return run_against(arguments);
  if (arguments.emit_c) return emit_tests(arguments);

  report::ExitTally tally;
  const LoadedTests tests = load_tests(arguments.files);
  if (tests.lost_arguments != 0) tally.add(ExitStatus::kInput);

  Output output(arguments.output.path);
  const report::ReportOptions options = report_options(arguments, tests.batch);
  const auto reporter = make_reporter(
      arguments.output.format, [&output](std::string_view text) { output.write(text); }, options);
  const std::atomic<bool>& interrupted = catch_interrupts();
  runs.interrupted = &interrupted;

  const std::string release = live::kernel_release();
  const RuleChoice kernel = rules_of_release(release);
  const live::Offers offers = live::probe();
  live::KernelWork work;
  report::Totals totals;
  totals.files = tests.tests.size();
  totals.bad_files = totals.files - tests.good();
  reporter->begin(totals.files, 1);
  for (const LoadedTest& test : tests.tests) {
    if (interrupted.load()) break;
    if (!test.ok) {
      tally.add(ExitStatus::kInput);
      reporter->bad_file(test.file, test.error);
      continue;
    }
    const report::Judged judged = report::judge(
        test.file, test.program, play(test.program, {arguments, runs, kernel, offers, work}),
        {.by_statement = arguments.judge, .statement = statement_about(kernel, test.program), .sampled = true});
    totals.add(judged);
    tally.add(report::status_of(judged.judgement));
    reporter->run(judged);
    output.flush();
  }
  reporter->end(totals);
  if (!output.finish()) tally.add(ExitStatus::kInput);
  if (interrupted.load()) tally.add(is_time_over() ? ExitStatus::kTimeLimit : ExitStatus::kInterrupted);
  return tally.worst();
}

}  // namespace cowherd::cli
