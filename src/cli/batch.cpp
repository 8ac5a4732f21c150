#include "cli/batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/inputs.hpp"
#include "cli/output.hpp"
#include "cli/stated_rules.hpp"
#include "litmus/parser.hpp"

namespace cowherd::cli {
namespace {

LoadedTest load_test(const std::string& name) {
  LoadedTest test;
  test.file = display_name(name);
  const Loaded loaded = load(name, litmus::kMaxFileBytes);
  if (!loaded.ok) {
    test.error = fmt::format("{}: error: {}\n", test.file, loaded.error.substr(test.file.size() + 2));
    return test;
  }
  litmus::ParseResult parsed = litmus::parse(loaded.text, test.file);
  if (!parsed.ok()) {
    test.error = parsed.to_text();
  } else if (const std::optional<std::string> problem = problem_in_statements(*parsed.program)) {
    test.error = fmt::format("{}: error: {}\n", test.file, *problem);
  } else {
    test.ok = true;
    test.program = std::move(*parsed.program);
  }
  return test;
}

}  // namespace

std::size_t LoadedTests::good() const {
  return static_cast<std::size_t>(std::count_if(tests.begin(), tests.end(), [](const auto& test) { return test.ok; }));
}

LoadedTests load_tests(const std::vector<std::string>& arguments) {
  const Inputs inputs = find_inputs(arguments);
  LoadedTests loaded;
  loaded.batch = inputs.batch;
  loaded.lost_arguments = inputs.errors.size();
  for (const std::string& error : inputs.errors) complain(error);
  for (const std::string& name : inputs.names) {
    const LoadedTest& test = loaded.tests.emplace_back(load_test(name));
    if (!test.ok) fmt::print(stderr, "{}", test.error);
  }
  return loaded;
}

void run_batch(const LoadedTests& tests, const RulesOf& rules_of, const SearchArguments& search,
               const check::CheckOptions& base, const BatchCallbacks& callbacks) {
  std::vector<check::Job> jobs;
  struct Run {
    std::size_t test;
    RuleChoice choice;
  };
  std::vector<Run> runs;
  for (std::size_t i = 0; i < tests.tests.size(); ++i) {
    if (!tests.tests[i].ok) continue;
    for (RuleChoice& choice : rules_of(tests.tests[i].program)) {
      check::Job& job = jobs.emplace_back();
      job.program = &tests.tests[i].program;
      job.options = base;
      job.options.rules = choice.rules;
      job.options.rules_name = choice.name;
      if (search.max_memory) job.options.max_memory = static_cast<std::size_t>(search.max_memory->value());
      if (search.max_states) job.options.max_states = *search.max_states;
      if (search.timeout) job.options.timeout = *search.timeout;
      job.options.grain = search.grain.value_or(job.program->grain);
      job.options.preemptions = search.preemptions;
      job.options.reuse = search.reuse;
      job.options.fork = search.fork;
      const bool one_by_one = base.raw && job.options.grain == litmus::Grain::kOperation;
      if (one_by_one) job.options.search = check::Search::kStateless;
      runs.push_back({i, std::move(choice)});
    }
  }
  std::size_t next = 0;
  const auto skip_bad = [&](std::size_t until) {
    for (; next < until; ++next) {
      if (!tests.tests[next].ok) callbacks.bad(tests.tests[next]);
    }
  };
  check::run_all(jobs, search.jobs, [&](std::size_t job, check::CheckResult&& result) {
    skip_bad(runs[job].test);
    callbacks.run(tests.tests[runs[job].test], runs[job].choice, std::move(result));
  });
  skip_bad(tests.tests.size());
}

}  // namespace cowherd::cli
