#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "measure/report_text.hpp"
#include "measure/run.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

/// "1,5 fork" words: a comma ends one.
std::vector<std::string> words_of(const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  for (const std::string& argument : arguments) {
    std::size_t begin = 0;
    while (begin <= argument.size()) {
      const std::size_t end = std::min(argument.find(',', begin), argument.size());
      words.push_back(argument.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return words;
}

measure::Plan plan_of(const BenchArguments& arguments) {
  measure::Plan plan;
  plan.sizes = arguments.quick ? measure::kQuickSizes : measure::kFullSizes;
  plan.repetitions = arguments.quick ? 2 : 3;
  plan.rounds = arguments.rounds;
  plan.with_plots = !arguments.html.empty();
  if (arguments.size) {
    const std::uint64_t pages = std::max<std::uint64_t>(arguments.size->value() / 4096, 1024);
    plan.sizes = {.fork_pages = pages, .fault_pages = pages, .big_pages = pages, .table_pages = pages};
  }
  return plan;
}

}  // namespace

ExitStatus run_bench(const BenchArguments& arguments) {
  std::vector<std::string> unknown;
  measure::Plan plan = plan_of(arguments);
  plan.lines = measure::select(measure::all_lines(), words_of(arguments.rows), unknown);
  for (const std::string& word : unknown) {
    complain(fmt::format("no row is '{}', and none has it in its text; `cowherd bench --list` shows all", word));
  }
  if (!unknown.empty()) return ExitStatus::kInput;
  if (arguments.list) {
    return write_file(arguments.output, measure::list_of(plan.lines)) ? ExitStatus::kExpected : ExitStatus::kInput;
  }

  const measure::Report report = measure::run(plan, [&](std::string_view line) {
    if (!arguments.quiet) fmt::print(stderr, "cowherd: {}\n", line);
  });
  bool written = write_file(arguments.output, arguments.json ? measure::json_of(report) : measure::text_of(report));
  if (!arguments.html.empty()) written = write_file(arguments.html, measure::html_of(report)) && written;
  if (!written) return ExitStatus::kInput;
  ExitStatus status = ExitStatus::kExpected;
  for (const measure::Result& result : report.results) {
    if (result.wrong.empty()) continue;
    complain(fmt::format("row {}, {}: {}", result.line->row, result.line->what, result.wrong));
    status = ExitStatus::kDiffers;
  }
  return status;
}

}  // namespace cowherd::cli
