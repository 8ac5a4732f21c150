#include "cli/command.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>

#include "cli/arguments.hpp"
#include "cli/elsewhere.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

struct Run {
  const std::vector<std::string>& words;

  int operator()(const Answer& answer) const {
    if (answer.to_stderr) {
      fmt::print(stderr, "{}", answer.text);
      return answer.status;
    }
    return write_file("", answer.text) ? answer.status : static_cast<int>(ExitStatus::kInput);
  }
  int operator()(const CheckArguments& arguments) const { return static_cast<int>(run_check(arguments)); }
  int operator()(const MatrixArguments& arguments) const { return static_cast<int>(run_matrix(arguments)); }
  int operator()(const RulesArguments& arguments) const { return static_cast<int>(run_rules(arguments)); }
  int operator()(const FmtArguments& arguments) const { return static_cast<int>(run_fmt(arguments)); }
  int operator()(const SyntaxArguments& arguments) const { return static_cast<int>(run_syntax(arguments)); }
  int operator()(const GenArguments& arguments) const { return static_cast<int>(run_gen(arguments)); }
  int operator()(const BenchArguments& arguments) const { return static_cast<int>(run_bench(arguments)); }
  int operator()(const LiveArguments& arguments) const {
    if (arguments.guest.any()) return run_elsewhere(arguments.guest, words, arguments.output.path);
    return static_cast<int>(run_live_verb(arguments));
  }
  int operator()(const ProbeArguments& arguments) const {
    if (arguments.guest.any()) return run_elsewhere(arguments.guest, words, arguments.output);
    return static_cast<int>(run_probe(arguments));
  }
  int operator()(const FingerprintArguments& arguments) const {
    if (arguments.guest.any()) return run_elsewhere(arguments.guest, words, arguments.output);
    return static_cast<int>(run_fingerprint(arguments));
  }
  int operator()(const CompletionArguments& arguments) const { return static_cast<int>(run_completion(arguments)); }
};

}  // namespace

int run_command(const std::vector<std::string>& words) {
  try {
    return std::visit(Run{words}, parse_arguments(words));
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& error) {
    complain(fmt::format("internal error: {}", error.what()));
  }
  return static_cast<int>(ExitStatus::kInternal);
}

}  // namespace cowherd::cli
