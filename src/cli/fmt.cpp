#include <fmt/format.h>

#include <string>

#include "cli/inputs.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "litmus/format.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

/// Files are rewritten or named one by one, so that a bad one changes nothing for the others.
ExitStatus format_one(const FmtArguments& arguments, const std::string& name, Output& output) {
  const Loaded loaded = load(name, litmus::kMaxFileBytes);
  if (!loaded.ok) {
    complain(loaded.error);
    return ExitStatus::kInput;
  }
  const litmus::FormatResult formatted = litmus::format(loaded.text, display_name(name));
  if (!formatted.text) {
    for (const litmus::Diagnostic& diagnostic : formatted.diagnostics) fmt::print(stderr, "{}", diagnostic.to_text());
    return ExitStatus::kInput;
  }
  const bool canonical = *formatted.text == loaded.text;
  if (arguments.check) {
    if (!canonical) output.write(fmt::format("{}\n", name));
    return canonical ? ExitStatus::kExpected : ExitStatus::kDiffers;
  }
  if (!arguments.write) {
    output.write(*formatted.text);
    return ExitStatus::kExpected;
  }
  if (canonical) return ExitStatus::kExpected;
  if (name == "-") {
    complain("standard input cannot be rewritten");
    return ExitStatus::kInput;
  }
  return write_file(name, *formatted.text) ? ExitStatus::kExpected : ExitStatus::kInput;
}

}  // namespace

ExitStatus run_fmt(const FmtArguments& arguments) {
  const Inputs inputs = find_inputs(arguments.files);
  report::ExitTally tally;
  for (const std::string& error : inputs.errors) {
    complain(error);
    tally.add(ExitStatus::kInput);
  }
  Output output("");
  for (const std::string& name : inputs.names) tally.add(format_one(arguments, name, output));
  if (!output.finish()) tally.add(ExitStatus::kInput);
  return tally.worst();
}

}  // namespace cowherd::cli
