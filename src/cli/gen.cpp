#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "litmus/enumerate.hpp"
#include "litmus/generator.hpp"
#include "litmus/printer.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

/// Puts each program into a file of its own, or all of them one after the other on stdout.
class ProgramWriter {
 public:
  explicit ProgramWriter(const std::string& folder) : folder_(folder), output_("") {
    if (folder_.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (!error) return;
    complain(fmt::format("cannot make {}: {}", folder_, error.message()));
    ok_ = false;
  }

  /// False once nothing more can be written.
  bool write(const litmus::Program& program) {
    if (!ok_) return false;
    const std::string text = litmus::print(program);
    if (!folder_.empty()) {
      ok_ = write_file(fmt::format("{}/{}.litmus", folder_, program.name), text);
    } else {
      if (!first_) output_.write("\n");
      output_.write(text);
      first_ = false;
    }
    return ok_;
  }

  bool finish() { return output_.finish() && ok_; }

 private:
  std::string folder_;
  Output output_;
  bool ok_ = true;
  bool first_ = true;
};

}  // namespace

ExitStatus run_gen(const GenArguments& arguments) {
  const std::atomic<bool>& interrupted = catch_interrupts();
  ProgramWriter writer(arguments.output);
  if (arguments.enumerate) {
    litmus::enumerate_programs(*arguments.enumerate, [&](const litmus::Program& program) {
      return !interrupted.load() && writer.write(program);
    });
  } else {
    litmus::GeneratorOptions options;
    options.max_operations = arguments.max_operations;
    for (std::uint64_t i = 0; i < arguments.count && !interrupted.load(); ++i) {
      if (!writer.write(litmus::random_program(arguments.seed + i, options))) break;
    }
  }
  if (!writer.finish()) return ExitStatus::kInput;
  return interrupted.load() ? ExitStatus::kInterrupted : ExitStatus::kExpected;
}

}  // namespace cowherd::cli
