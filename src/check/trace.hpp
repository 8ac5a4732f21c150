#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "check/result.hpp"
#include "litmus/program.hpp"

namespace cowherd::check {

/// The contents of a trace file: a test, the rules and a schedule, enough to see the same run again.
struct TraceFile {
  std::string test;
  std::string rules;
  /// Of the test's canonical text.
  std::string hash;
  litmus::Grain grain = litmus::Grain::kOperation;
  FrameReuse reuse = FrameReuse::kPools;
  ForkMode fork = ForkMode::kClassic;
  /// With state hashes.
  std::string replay;
  /// The text of the whole test.
  std::string program_text;
};

/// "cow trace v1": a header, the numbered steps for people, the schedule and the test's text.
std::string write_trace(const Finding& finding);
std::string write_trace(const litmus::Program& program, const Trace& trace);

/// Whether a text begins like a trace file.
bool is_trace(std::string_view text);

/// Reads what write_trace() wrote; the steps are not looked at. Nothing where it is malformed, with the reason, and
/// the number of the line, in `error`.
std::optional<TraceFile> read_trace(std::string_view text, std::string& error);

/// The canonical text's hash, 16 hexadecimal digits: CheckResult::hash.
std::string program_hash(const litmus::Program& program);

}  // namespace cowherd::check
