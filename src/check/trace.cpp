#include "check/trace.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "check/columns.hpp"
#include "check/hash.hpp"
#include "litmus/printer.hpp"
#include "litmus/symbols.hpp"

namespace cowherd::check {

namespace {

constexpr std::string_view kMagic = "# cow trace v1";
constexpr std::string_view kTestMark = "# test:";

std::string page_words(const PageSight& page) {
  if (!page.present) return fmt::format("{} none", page.name);
  const char* mode = page.writable ? "RW" : "RO";
  if (page.zero_page) return fmt::format("{} zero page {}", page.name, mode);
  return fmt::format("{} frame {} {}{} ref {} map {} pin {}{}", page.name, page.frame.value(), mode,
                     page.entry_dirty ? " dirty" : "", page.references, page.mapcount, page.pins,
                     page.exclusive ? " excl" : "");
}

/// What is different from the step before: a reader wants to see that and no more.
std::string changes(const std::vector<PageSight>& before, const std::vector<PageSight>& after) {
  std::string text;
  for (const PageSight& page : after) {
    if (std::find(before.begin(), before.end(), page) != before.end()) continue;
    text += (text.empty() ? "" : "; ") + page_words(page);
  }
  return text;
}

/// Where a step's comment begins, so that they stand in one column.
constexpr std::size_t kCommentColumn = 48;

/// As wide as two columns need that hold whole statements.
constexpr std::size_t kColumnsWidth = 110;

void write_steps(std::string& text, const Trace& trace) {
  if (trace.by_steps) {
    text += write_columns(trace, kColumnsWidth);
    return;
  }
  const std::vector<PageSight>* before = &trace.initial_pages;
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    const TraceStep& step = trace.steps[i];
    std::string line = fmt::format("{}) {}: {}", i + 1, step.agent, step.operation);
    if (step.result != 0) line += fmt::format(" -> {}", litmus::format_value(step.result));
    const std::string changed = changes(*before, step.pages);
    if (!changed.empty())
      line += fmt::format("{:{}} # {}", "", kCommentColumn - std::min(line.size(), kCommentColumn), changed);
    if (!step.note.empty()) line += fmt::format("   <-- {}", step.note);
    text += line + "\n";
    before = &step.pages;
  }
}

std::string header_value(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(fmt::format(" {}=", key));
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + key.size() + 2);
  return std::string(rest.substr(0, rest.find(' ')));
}

}  // namespace

std::string program_hash(const litmus::Program& program) {
  const std::string text = litmus::print(program);
  return format_hash(hash_of(std::as_bytes(std::span(text))));
}

std::string write_trace(const Finding& finding) {
  std::string text = write_trace(finding.program, finding.trace);
  const std::size_t end_of_header = text.find('\n') + 1;
  std::string words = fmt::format("# {}: {}\n# {}\n", name_of(finding.kind), finding.subtype, finding.sentence);
  if (finding.parting) {
    words += fmt::format("# step {}: {}={}: {}\n", shown_number(finding.trace, finding.parting->step),
                         finding.parting->decision_name, finding.parting->value_name, finding.parting->sentence);
  }
  if (!finding.remark.empty()) words += fmt::format("# {}\n", finding.remark);
  if (finding.minimal) {
    words += fmt::format("# minimal: no program with fewer operations shows it{}\n",
                         finding.trace.by_steps ? " by so few preemptions" : "");
  }
  return text.insert(end_of_header, words);
}

std::string write_trace(const litmus::Program& program, const Trace& trace) {
  std::string text =
      fmt::format("{} test={} rules={} hash={} preemptions={}{}{}\n", kMagic, program.name, trace.rules,
                  program_hash(program), trace.preemptions, trace.grain == litmus::Grain::kStep ? " grain=step" : "",
                  trace.reuse == FrameReuse::kImmediate ? " reuse=immediate" : "");
  if (trace.fork != ForkMode::kClassic) {
    text.insert(text.size() - 1, fmt::format(" fork={}", kForkModeWords[static_cast<std::size_t>(trace.fork)]));
  }
  write_steps(text, trace);
  text += fmt::format("schedule: {}\n", trace.replay);
  text += fmt::format("{}\n{}", kTestMark, litmus::print(program));
  return text;
}

bool is_trace(std::string_view text) { return text.starts_with(kMagic); }

std::optional<TraceFile> read_trace(std::string_view text, std::string& error) {
  if (!is_trace(text)) {
    error = fmt::format("line 1: a trace begins with '{}'", kMagic);
    return std::nullopt;
  }
  TraceFile file;
  bool has_schedule = false;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kSchedule = "schedule:";
    if (number == 1) {
      file.test = header_value(line, "test");
      file.rules = header_value(line, "rules");
      file.hash = header_value(line, "hash");
      if (header_value(line, "grain") == "step") file.grain = litmus::Grain::kStep;
      if (header_value(line, "reuse") == "immediate") file.reuse = FrameReuse::kImmediate;
      for (std::size_t i = 0; i < kForkModeWords.size(); ++i) {
        if (header_value(line, "fork") == kForkModeWords[i]) file.fork = static_cast<ForkMode>(i);
      }
      if (file.rules.empty() || file.hash.size() != kHashDigits) {
        error = "line 1: the header needs test=, rules= and hash=";
        return std::nullopt;
      }
    } else if (line.starts_with(kSchedule)) {
      file.replay = line.substr(std::min(line.find_first_not_of(' ', kSchedule.size()), line.size()));
      has_schedule = true;
    } else if (line == kTestMark) {
      file.program_text = text;
      break;
    }
  }
  if (!has_schedule || file.program_text.empty()) {
    error = fmt::format("line {}: the trace ends without its {}", number, has_schedule ? "test" : "schedule");
    return std::nullopt;
  }
  return file;
}

}  // namespace cowherd::check
