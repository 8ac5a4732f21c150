// Any bytes as a trace file and as a schedule; and for the schedules that can be run, the run again from its own
// record.

#include <cstdlib>
#include <string>
#include <string_view>

#include "check/replay.hpp"
#include "check/schedule.hpp"
#include "check/trace.hpp"
#include "cow/rule_rows.hpp"
#include "litmus/generator.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

/// The schedule of a byte string in which each byte names a block: far more of these can be run than of arbitrary text.
std::string schedule_of(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes.substr(0, 24)) text += std::to_string(static_cast<unsigned char>(byte) % 4) + " ";
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cowherd;
  using namespace cowherd::check;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string error;
  if (auto runs = parse_schedule(text, error)) {
    require(parse_schedule(print_schedule(*runs, true), error) == runs);
  } else {
    require(!error.empty());
  }
  error.clear();
  require(read_trace(text, error).has_value() || !error.empty());

  if (size < 3) return 0;
  litmus::GeneratorOptions generator;
  generator.fail_percent = 10;
  const litmus::Program program = litmus::random_program(data[0] + std::uint64_t{256} * data[1], generator);
  const auto rows = all_rows();
  CheckOptions options;
  options.rules = rows[data[2] % rows.size()].rules;
  const ReplayResult first = replay(program, options, schedule_of(text.substr(3)));
  const ReplayResult again = replay(program, options, first.trace.replay);
  require(again.ok());
  require(again.trace.replay == first.trace.replay);
  require(again.findings.size() == first.findings.size());
  return 0;
}
