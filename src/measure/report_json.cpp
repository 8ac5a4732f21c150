#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "measure/report_text.hpp"

namespace cowherd::measure {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

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
  json["floor"] = json_of(result.rounds.floor, result.floor_missing);
  json["ours"] = json_of(result.rounds.ours, result.ours_missing);
  const std::vector<double> better = advantage(result);
  json["times_better_than_linux"] = json_of(better, "");
  const bool has_floor = !result.rounds.floor.empty() && result.rounds.floor.size() == result.rounds.ours.size();
  json["times_floor"] =
      json_of(has_floor ? ratios(result.rounds.ours, result.rounds.floor) : std::vector<double>{}, "");
  json["disturbed"] = result.disturbed;
  json["must"] = json_of(line.must, result.rounds, result.must());
  json["stretch"] = json_of(line.stretch, result.rounds, result.stretch());
  if (!line.published.empty()) json["published_linux"] = line.published;
  return json;
}

Json json_of(const Plot& plot) {
  Json series = Json::array();
  for (const Series& one : plot.series) series.push_back({{"name", one.name}, {"points", one.points}});
  return {{"title", plot.title}, {"x", plot.x_label}, {"y", plot.y_label}, {"series", std::move(series)}};
}

}  // namespace

std::string json_of(const Report& report) {
  Json json = {{"schema", kSchema},
               {"kernel", report.kernel},
               {"busy_before", report.busy_before},
               {"busy_after", report.busy_after},
               {"rounds", report.rounds},
               {"caveat", kHonesty},
               {"rows", Json::array()},
               {"plots", Json::array()}};
  for (const Result& result : report.results) json["rows"].push_back(json_of(result));
  for (const Plot& plot : report.plots) json["plots"].push_back(json_of(plot));
  return json.dump(1) + "\n";
}

}  // namespace cowherd::measure
