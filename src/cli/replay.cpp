#include "check/replay.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "check/trace.hpp"
#include "cli/batch.hpp"
#include "cli/inputs.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "litmus/parser.hpp"
#include "report/finding_text.hpp"
#include "report/judged.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

constexpr std::size_t kMaxTraceBytes = 16 * 1024 * 1024;

/// What is to be run again.
struct Request {
  litmus::Program program;
  RuleChoice rules;
  std::string schedule;
  litmus::Grain grain = litmus::Grain::kOperation;
  check::FrameReuse reuse = check::FrameReuse::kPools;
  ForkMode fork = ForkMode::kClassic;
};

std::optional<RuleChoice> single_choice(const std::vector<std::string>& words) {
  RuleChoices choices = choose_rules(words);
  for (const std::string& error : choices.errors) complain(error);
  if (!choices.errors.empty()) return std::nullopt;
  if (choices.rules.size() != 1 || choices.stated) {
    complain("a run is replayed under one rule set");
    return std::nullopt;
  }
  return std::move(choices.rules.front());
}

std::optional<Request> from_trace(const CheckArguments& arguments, const std::string& name, const std::string& text) {
  std::string error;
  const std::optional<check::TraceFile> trace = check::read_trace(text, error);
  if (!trace) {
    complain(fmt::format("{}: {}", name, error));
    return std::nullopt;
  }
  if (!arguments.files.empty()) {
    complain("a trace file holds its test: give no other");
    return std::nullopt;
  }
  litmus::ParseResult parsed = litmus::parse(trace->program_text, name);
  if (!parsed.ok()) {
    fmt::print(stderr, "{}", parsed.to_text());
    return std::nullopt;
  }
  // Rules with settings are one name, commas and all.
  const std::vector<std::string> rules = arguments.rules.empty() ? std::vector{trace->rules} : arguments.rules;
  std::optional<RuleChoice> choice = single_choice(rules);
  if (!choice) return std::nullopt;
  return Request{
      std::move(*parsed.program), std::move(*choice), trace->replay, trace->grain, trace->reuse, trace->fork};
}

std::optional<Request> from_schedule(const CheckArguments& arguments) {
  if (arguments.files.size() != 1) {
    complain("--replay with a schedule needs the one test that it belongs to");
    return std::nullopt;
  }
  LoadedTests tests = load_tests(arguments.files);
  if (tests.tests.size() != 1 || !tests.tests.front().ok) {
    if (tests.tests.size() > 1) complain("--replay with a schedule needs the one test that it belongs to");
    return std::nullopt;
  }
  std::optional<RuleChoice> choice =
      single_choice(arguments.rules.empty() ? std::vector<std::string>{"cowherd"} : arguments.rules);
  if (!choice) return std::nullopt;
  litmus::Program& program = tests.tests.front().program;
  const litmus::Grain grain = arguments.search.grain.value_or(program.grain);
  return Request{std::move(program),     std::move(*choice),   *arguments.replay, grain,
                 arguments.search.reuse, arguments.search.fork};
}

std::optional<Request> read_request(const CheckArguments& arguments) {
  std::error_code ignored;
  if (*arguments.replay != "-" && !std::filesystem::is_regular_file(*arguments.replay, ignored)) {
    return from_schedule(arguments);
  }
  const Loaded loaded = load(*arguments.replay, kMaxTraceBytes);
  if (!loaded.ok) {
    complain(loaded.error);
    return std::nullopt;
  }
  return from_trace(arguments, display_name(*arguments.replay), loaded.text);
}

}  // namespace

ExitStatus run_replay(const CheckArguments& arguments) {
  if (arguments.output.format != Format::kText) {
    complain("--replay writes text only");
    return ExitStatus::kInput;
  }
  const std::optional<Request> request = read_request(arguments);
  if (!request) return ExitStatus::kInput;

  check::CheckOptions options;
  options.rules = request->rules.rules;
  options.rules_name = request->rules.name;
  options.grain = request->grain;
  options.reuse = request->reuse;
  options.fork = request->fork;
  const check::ReplayResult result = check::replay(request->program, options, request->schedule);

  std::string text = fmt::format("Replay {}\nRules {}\n{}", request->program.name, request->rules.name,
                                 report::trace_text(result.trace));
  for (const check::Finding& finding : result.findings) {
    text +=
        report::finding_text(finding, {.number = 0, .count = 0, .trace = false, .test = &request->program, .file = {}});
  }
  if (result.ok()) text += result.findings.empty() ? "No finding\n" : "";
  const bool written = write_file(arguments.output.path, text);
  if (!result.ok()) {
    complain(fmt::format("replay {}: {}", result.diverged ? "diverged" : "refused", result.error));
    return result.diverged ? ExitStatus::kInternal : ExitStatus::kInput;
  }
  if (!written) return ExitStatus::kInput;
  return result.findings.empty() ? ExitStatus::kExpected : ExitStatus::kDiffers;
}

}  // namespace cowherd::cli
