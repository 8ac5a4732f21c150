#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "measure/report_text.hpp"

namespace cowherd::measure {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 2;

Json json_of(const std::vector<double>& samples, const std::string& missing) {
  if (samples.empty()) return missing.empty() ? Json(nullptr) : Json{{"missing", missing}};
  const Spread spread = spread_of(samples);
  return {{"median", spread.median}, {"least", spread.least}, {"most", spread.most}, {"samples", samples}};
}

Json json_of(const std::vector<Bound>& bounds, const Rounds& rounds, Met all) {
  Json list = Json::array();
  for (const Bound& bound : bounds) list.push_back({{"bound", text_of(bound)}, {"met", name_of(judge(bound, rounds))}});
  return {{"met", name_of(all)}, {"bounds", std::move(list)}};
}

/// A goal as written, and at this machine's pace.
Json json_of(const Result& result, const std::vector<Bound>& written, const std::vector<Bound>& here) {
  return {{"as_written", json_of(written, result.rounds, result.judged(written))},
          {"at_this_pace", json_of(here, result.rounds, result.judged(here))}};
}

Json json_of(const HostFacts& host) {
  return {{"kernel", host.kernel},         {"processor", host.processor},     {"processors", host.processors},
          {"hypervisor", host.hypervisor}, {"mitigations", host.mitigations}, {"huge_pages", host.huge_pages}};
}

Json json_of(const Result& result) {
  const Line& line = *result.line;
  Json json = {{"row", line.row},
               {"what", line.what},
               {"unit", line.unit},
               {"pages", result.load.pages},
               {"shuffled", result.load.shuffled},
               {"pins", result.load.pins},
               {"clock", result.load.clock == Clock::kWall ? "wall" : "processor"},
               {"better", line.higher_is_better ? "higher" : "lower"}};
  if (!result.wrong.empty()) {
    json["failed"] = result.wrong;
    return json;
  }
  json["linux"] = json_of(result.rounds.of_linux, result.linux_missing);
  json[line.beside.empty() ? "floor" : "beside"] = json_of(result.rounds.floor, result.floor_missing);
  json["ours"] = json_of(result.rounds.ours, result.ours_missing);
  const std::vector<double> better = advantage(result);
  json["times_better_than_linux"] = json_of(better, "");
  const bool has_floor = !result.rounds.floor.empty() && result.rounds.floor.size() == result.rounds.ours.size();
  json["times_floor"] =
      json_of(has_floor ? ratios(result.rounds.ours, result.rounds.floor) : std::vector<double>{}, "");
  if (!line.beside.empty()) json["beside_what"] = line.beside;
  if (!line.apart.empty()) json["linux_is_apart"] = line.apart;
  if (const std::string more = remark(result); !more.empty()) json["remark"] = more;
  json["disturbed"] = result.disturbed;
  json["pace"] = result.pace == 0 ? Json(nullptr) : Json(result.pace);
  json["must"] = json_of(result, line.must, result.must_here());
  json["stretch"] = json_of(result, line.stretch, result.stretch_here());
  if (!line.published.empty()) json["published_linux"] = line.published;
  return json;
}

Json json_of(const Plot& plot) {
  Json series = Json::array();
  for (const Series& one : plot.series) series.push_back({{"name", one.name}, {"points", one.points}});
  return {{"name", plot.name},
          {"title", plot.title},
          {"x", plot.x_label},
          {"y", plot.y_label},
          {"series", std::move(series)}};
}

}  // namespace

std::string json_of(const Report& report) {
  Json json = {{"schema", kSchema},
               {"host", json_of(report.host)},
               {"pace", {{"factor", report.pace.factor()}, {"here_ns", report.pace.here}, {"there_ns", Pace::kThere}}},
               {"busy_before", report.busy_before},
               {"busy_after", report.busy_after},
               {"rounds", report.rounds},
               {"sizes",
                {{"fork_pages", report.sizes.fork_pages},
                 {"fault_pages", report.sizes.fault_pages},
                 {"big_pages", report.sizes.big_pages},
                 {"table_pages", report.sizes.table_pages}}},
               {"caveat", kHonesty},
               {"rows", Json::array()},
               {"plots", Json::array()}};
  for (const Result& result : report.results) json["rows"].push_back(json_of(result));
  for (const Plot& plot : report.plots) json["plots"].push_back(json_of(plot));
  return json.dump(1) + "\n";
}

}  // namespace cowherd::measure
