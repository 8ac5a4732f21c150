#include "check/check.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "check/trace.hpp"
#include "cli/batch.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/progress_line.hpp"
#include "cli/reporters.hpp"
#include "cli/stated_rules.hpp"
#include "cli/trace_files.hpp"
#include "cli/verbs.hpp"
#include "report/reporter.hpp"
#include "report/verdict_text.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

report::ReportOptions report_options(const CheckArguments& arguments, bool batch) {
  const bool text = arguments.output.format == Format::kText;
  return {.compact = text && batch && arguments.output.verbosity < 1,
          .quiet = arguments.output.verbosity < 0,
          .traces = arguments.show_traces,
          .times = arguments.output.times};
}

report::Standard standard_for(const CheckArguments& arguments, const RuleChoice& choice,
                              const litmus::Program& program) {
  return {.by_statement = arguments.judge,
          .statement = statement_about(choice, program),
          .default_rules = choice.rules == kCowherdRules};
}

std::vector<RuleChoice> with_stated(std::vector<RuleChoice> rules, const litmus::Program& program) {
  for (RuleChoice& stated : stated_rules(program)) {
    const auto same = [&stated](const RuleChoice& other) { return other.name == stated.name; };
    if (std::none_of(rules.begin(), rules.end(), same)) rules.push_back(std::move(stated));
  }
  return rules;
}

/// Explains every finding of a whole verdict; a batch that prints one line to a run has no use for that.
check::CheckOptions search_options(const CheckArguments& arguments, const report::ReportOptions& report) {
  check::CheckOptions options;
  options.raw = arguments.unreduced;
  options.run_twice = arguments.twice;
  options.explain = (arguments.show_traces && !report.compact) || !arguments.traces.empty();
  options.minimise = arguments.minimise && options.explain;
  return options;
}

}  // namespace

ExitStatus run_check(const CheckArguments& arguments) {
  if (arguments.replay) return run_replay(arguments);

  RuleChoices choices = choose_rules(arguments.rules.empty() ? std::vector<std::string>{"cowherd"} : arguments.rules);
  for (const std::string& error : choices.errors) complain(error);
  if (!choices.errors.empty()) return ExitStatus::kInput;
  if (choices.stated && arguments.output.format == Format::kKtap) {
    complain("--rules stated: not with --format ktap, which says beforehand how many runs a test has");
    return ExitStatus::kInput;
  }

  report::ExitTally tally;
  const LoadedTests tests = load_tests(arguments.files);
  if (tests.lost_arguments != 0) tally.add(ExitStatus::kInput);

  Output output(arguments.output.path);
  ProgressLine progress;
  TraceFiles traces(arguments.traces);
  const report::ReportOptions options =
      report_options(arguments, tests.batch || choices.stated || choices.rules.size() > 1);
  const auto reporter = make_reporter(
      arguments.output.format, [&output](std::string_view text) { output.write(text); }, options);
  check::CheckOptions search = search_options(arguments, options);
  const std::atomic<bool>& interrupted = catch_interrupts();
  search.interrupted = &interrupted;
  search.progress = progress.callback();

  report::Totals totals;
  totals.files = tests.tests.size();
  totals.bad_files = totals.files - tests.good();
  const bool say_time = arguments.output.format == Format::kText && !options.compact && !options.quiet &&
                        !options.times && !arguments.output.no_time;
  reporter->begin(totals.files, choices.stated ? 2 : choices.rules.size());
  const auto rules_of = [&choices](const litmus::Program& program) {
    return choices.stated ? with_stated(choices.rules, program) : choices.rules;
  };
  run_batch(tests, rules_of, arguments.search, search,
            {.run =
                 [&](const LoadedTest& test, const RuleChoice& choice, check::CheckResult&& result) {
                   const report::Judged judged = report::judge(test.file, test.program, std::move(result),
                                                               standard_for(arguments, choice, test.program));
                   totals.add(judged);
                   tally.add(report::status_of(judged.judgement));
                   progress.clear();
                   reporter->run(judged);
                   output.flush();
                   if (say_time) fmt::print(stderr, "{}", report::time_line(judged.result));
                   if (!traces.write(judged)) tally.add(ExitStatus::kInput);
                 },
             .bad =
                 [&](const LoadedTest& test) {
                   tally.add(ExitStatus::kInput);
                   reporter->bad_file(test.file, test.error);
                 }});
  progress.clear();
  reporter->end(totals);
  if (!output.finish()) tally.add(ExitStatus::kInput);
  if (interrupted.load()) tally.add(ExitStatus::kInterrupted);
  return tally.worst();
}

}  // namespace cowherd::cli
