#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "litmus/spelling.hpp"
#include "litmus/symbols.hpp"
#include "report/reporter.hpp"
#include "report/verdict_text.hpp"

namespace cowherd::report {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const check::PageSight& page) {
  Json json = {{"name", page.name}, {"present", page.present}};
  if (!page.present) return json;
  json["frame"] = page.frame.value();
  json["writable"] = page.writable;
  json["dirty"] = page.entry_dirty;
  json["zero_page"] = page.zero_page;
  json["exclusive"] = page.exclusive;
  json["references"] = page.references;
  json["mapcount"] = page.mapcount;
  json["pins"] = page.pins;
  return json;
}

Json json_of(const std::vector<check::PageSight>& pages) {
  Json list = Json::array();
  for (const check::PageSight& page : pages) list.push_back(json_of(page));
  return list;
}

Json json_of(const check::DeviceSight& device) {
  Json frames = Json::array();
  for (const FrameNumber frame : device.frames) frames.push_back(frame.value());
  return {{"name", device.name},
          {"frames", std::move(frames)},
          {"for", device.writes ? "writing" : "reading"},
          {"by", device.get ? "get" : "pin"}};
}

Json json_of(const check::TraceStep& step, bool by_steps) {
  Json json = {{"agent", step.agent}, {"operation", step.operation}};
  if (by_steps) {
    json["begins"] = step.begins;
    json["ends"] = step.ends;
    if (!step.ends) json["next"] = {{"point", step.point}, {"text", step.next}};
    if (!step.choice.empty()) json["choice"] = step.choice;
  }
  if (step.ends) json["result"] = litmus::format_value(step.result);
  if (!step.expected.empty()) {
    Json expected = Json::array();
    for (const std::int64_t value : step.expected) expected.push_back(litmus::format_value(value));
    json["reference"] = std::move(expected);
    json["reference_cut"] = step.expected_cut;
  }
  json["pages"] = json_of(step.pages);
  Json devices = Json::array();
  for (const check::DeviceSight& device : step.devices) devices.push_back(json_of(device));
  json["devices"] = std::move(devices);
  for (const check::StaleSight& stale : step.stale) {
    json["stale"].push_back(
        {{"agent", stale.agent}, {"page", stale.page}, {"frame", stale.frame.value()}, {"writable", stale.writable}});
  }
  json["events"] = step.events;
  if (!step.note.empty()) json["note"] = step.note;
  if (step.parted) json["parted"] = true;
  if (step.broke) json["broke"] = true;
  json["hash"] = step.hash;
  return json;
}

Json json_of(const check::Trace& trace) {
  Json steps = Json::array();
  for (const check::TraceStep& step : trace.steps) steps.push_back(json_of(step, trace.by_steps));
  return {{"rules", trace.rules},
          {"grain", trace.grain == litmus::Grain::kStep ? "step" : "operation"},
          {"reuse", trace.reuse == check::FrameReuse::kImmediate ? "immediate" : "pools"},
          {"fork", check::kForkModeWords[static_cast<std::size_t>(trace.fork)]},
          {"preemptions", trace.preemptions},
          {"initial", json_of(trace.initial_pages)},
          {"steps", std::move(steps)},
          {"schedule", trace.schedule},
          {"replay", trace.replay}};
}

Json json_of(const check::Finding& finding, bool with_trace) {
  Json json = {{"kind", check::name_of(finding.kind)}, {"subtype", finding.subtype}};
  if (finding.clause != spec::Clause::kNone) {
    json["promise"] = {{"number", static_cast<unsigned>(finding.clause)}, {"name", spec::name_of(finding.clause)}};
  }
  json["sentence"] = finding.sentence;
  if (!finding.remark.empty()) json["remark"] = finding.remark;
  json["by_get"] = finding.by_get;
  if (!with_trace) return json;
  if (!finding.program.blocks.empty()) {
    json["program"] = litmus::print(finding.program);
    json["minimal"] = finding.minimal;
  }
  if (finding.parting) {
    json["parting"] = {{"step", finding.parting->step + 1},
                       {"decision", finding.parting->decision_name},
                       {"value", finding.parting->value_name},
                       {"sentence", finding.parting->sentence}};
  }
  for (const check::Remedy& remedy : finding.remedies) {
    json["remedies"].push_back(
        {{"decision", remedy.decision_name}, {"value", remedy.value_name}, {"remedy", remedy.remedy_name}});
  }
  json["trace"] = json_of(finding.trace);
  return json;
}

Json states_of(const Judged& judged) {
  const check::CheckResult& result = judged.result;
  Json list = Json::array();
  for (const check::Outcome& outcome : result.outcomes) {
    Json values = Json::object();
    const std::size_t count = std::min(outcome.values.size(), result.observed.size());
    for (std::size_t i = 0; i < count; ++i) {
      values[litmus::print_term(*judged.program, result.observed[i])] =
          litmus::format_value(result.observed[i], outcome.values[i]);
    }
    list.push_back({{"values", std::move(values)},
                    {"states", outcome.states},
                    {"broken", outcome.broken},
                    {"satisfied", outcome.satisfied}});
  }
  return list;
}

Json coverage_of(const check::CheckResult& result, bool times) {
  Json json = {{"exhaustive", result.coverage.exhaustive()}};
  if (!result.coverage.exhaustive()) {
    json["stopped_by"] = check::name_of(result.coverage.stopped_by);
    json["complete_below_preemptions"] = result.coverage.complete_below_preemptions;
  }
  if (result.stats.runs != 0) json["interleavings"] = result.stats.runs;
  json["states"] = result.stats.states;
  json["transitions"] = result.stats.transitions;
  json["hash_bits"] = result.stats.hash_bits;
  json["miss_probability"] = result.stats.miss_probability;
  json["copies"] = result.stats.copies;
  json["unneeded_copies"] = result.stats.unneeded_copies;
  if (times) {
    json["seconds"] = result.stats.seconds;
    json["peak_memory"] = result.stats.peak_memory;
  }
  return json;
}

/// Null where no run kept to the reference.
Json reference_word(const check::CheckResult& result) {
  if (result.reference_positive + result.reference_negative == 0) return nullptr;
  return litmus::name_of(result.reference());
}

Json json_of(const Judged& judged, const ReportOptions& options) {
  const check::CheckResult& result = judged.result;
  Json json = {{"schema", kJsonSchema},  {"type", "run"},         {"file", judged.file},
               {"test", result.test},    {"rules", result.rules}, {"judgement", name_of(judged.judgement)},
               {"reason", judged.reason}};
  if (judged.expected) {
    json["expected"] = litmus::name_of(*judged.expected);
    json["expected_by"] = judged.expected_by;
  }
  if (!result.error.empty() || !result.skipped.empty()) return json;
  if (!result.remarks.empty()) json["remarks"] = result.remarks;
  json["observation"] = litmus::name_of(result.observation());
  json["positive"] = result.positive;
  json["negative"] = result.negative;
  json["condition"] = litmus::print_final_condition(*judged.program);
  json["holds"] = result.holds(judged.program->quantifier);
  json["reference"] = {{"observation", reference_word(result)},
                       {"positive", result.reference_positive},
                       {"negative", result.reference_negative}};
  json["stuck"] = result.stuck;
  json["states"] = states_of(judged);
  json["coverage"] = coverage_of(result, options.times);
  Json findings = Json::array();
  for (const check::Finding& finding : result.findings) findings.push_back(json_of(finding, options.traces));
  json["findings"] = std::move(findings);
  json["hash"] = result.hash;
  return json;
}

class JsonReporter final : public Reporter {
 public:
  JsonReporter(Sink sink, const ReportOptions& options) : sink_(std::move(sink)), options_(options) {}

  void begin(std::size_t, std::size_t) override {}

  void run(const Judged& judged) override {
    if (options_.quiet && status_of(judged.judgement) == ExitStatus::kExpected) return;
    write(json_of(judged, options_));
  }

  void bad_file(const std::string& file, const std::string& message) override {
    write({{"schema", kJsonSchema}, {"type", "error"}, {"file", file}, {"message", message}});
  }

  void end(const Totals& totals) override {
    write({{"schema", kJsonSchema},
           {"type", "summary"},
           {"files", totals.files},
           {"bad_files", totals.bad_files},
           {"runs", totals.runs},
           {"passed", totals.passed},
           {"expected_failures", totals.expected_failures},
           {"differ", totals.differ},
           {"skipped", totals.skipped},
           {"unfinished", totals.unfinished},
           {"errors", totals.errors},
           {"findings", totals.findings},
           {"states", totals.states}});
  }

 private:
  /// Bytes that are not UTF-8 (names of files may have them) are replaced.
  void write(const Json& json) { sink_(json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'); }

  Sink sink_;
  ReportOptions options_;
};

}  // namespace

std::unique_ptr<Reporter> make_json_reporter(Sink sink, const ReportOptions& options) {
  return std::make_unique<JsonReporter>(std::move(sink), options);
}

}  // namespace cowherd::report
