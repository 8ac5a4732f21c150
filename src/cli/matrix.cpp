#include "report/matrix.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <utility>

#include "cli/batch.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/progress_line.hpp"
#include "cli/stated_rules.hpp"
#include "cli/verbs.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

constexpr std::size_t kUsualWidth = 120;

std::size_t width_of(const MatrixArguments& arguments) {
  if (arguments.width != 0) return arguments.width;
  winsize size{};
  if (arguments.output.path.empty() && ::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col >= 40) {
    return size.ws_col;
  }
  return kUsualWidth;
}

report::Matrix columns_of(const std::vector<RuleChoice>& rules) {
  report::Matrix matrix;
  for (const RuleChoice& choice : rules) {
    matrix.columns.push_back({choice.name, choice.row != nullptr ? std::string(choice.row->kernels) : std::string()});
  }
  return matrix;
}

}  // namespace

ExitStatus run_matrix(const MatrixArguments& arguments) {
  const RuleChoices choices =
      arguments.rules.empty() ? RuleChoices{.rules = every_row(), .errors = {}} : choose_rules(arguments.rules);
  for (const std::string& error : choices.errors) complain(error);
  if (!choices.errors.empty()) return ExitStatus::kInput;
  if (choices.stated) {
    complain("--rules stated: a matrix has the same columns for every test; see check --judge");
    return ExitStatus::kInput;
  }

  report::ExitTally tally;
  const LoadedTests tests = load_tests(arguments.files);
  if (tests.lost_arguments != 0) tally.add(ExitStatus::kInput);

  Output output(arguments.output.path);
  ProgressLine progress;
  const std::atomic<bool>& interrupted = catch_interrupts();
  check::CheckOptions search;
  search.explain = !arguments.html.empty();
  search.minimise = search.explain;
  search.interrupted = &interrupted;
  search.progress = progress.callback();

  report::Matrix matrix = columns_of(choices.rules);
  const auto rules_of = [&](const litmus::Program& program) {
    std::vector<RuleChoice> rules = choices.rules;
    if (!arguments.rules.empty()) return rules;
    for (RuleChoice& changed : changed_rules(program)) rules.push_back(std::move(changed));
    return rules;
  };
  const LoadedTest* last = nullptr;
  run_batch(
      tests, rules_of, arguments.search, search,
      {.run =
           [&](const LoadedTest& test, const RuleChoice& choice, check::CheckResult&& result) {
             const auto statement = statement_about(choice, test.program);
             const report::Judged judged = report::judge(
                 test.file, test.program, std::move(result),
                 {.by_statement = true, .statement = statement, .default_rules = choice.rules == kCowherdRules});
             // Where no source speaks there is nothing to disagree with, and nothing has gone wrong.
             if (judged.judgement != report::Judgement::kSkip) tally.add(report::status_of(judged.judgement));
             if (last != &test) {
               matrix.rows.push_back({test.file, test.program.name, {}, {}, test.program.doc, test.program.source});
             }
             last = &test;
             report::MatrixRow& row = matrix.rows.back();
             if (row.cells.size() < choices.rules.size()) {
               row.cells.push_back(report::cell_of(judged, statement));
             } else {
               row.changed.push_back({choice.name, report::cell_of(judged, statement)});
             }
           },
       .bad = [&](const LoadedTest&) { tally.add(ExitStatus::kInput); }});
  progress.clear();
  if (!matrix.rows.empty()) {
    output.write(arguments.output.format == Format::kJson ? report::matrix_json(matrix)
                                                          : report::matrix_text(matrix, width_of(arguments)));
  }
  bool written = output.finish();
  if (!arguments.html.empty()) written = write_file(arguments.html, report::matrix_html(matrix)) && written;
  if (!written) tally.add(ExitStatus::kInput);
  if (interrupted.load()) tally.add(ExitStatus::kInterrupted);
  return tally.worst();
}

}  // namespace cowherd::cli
