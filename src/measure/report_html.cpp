#include <fmt/format.h>

#include <string>

#include "measure/report_text.hpp"
#include "report/xml.hpp"

namespace cowherd::measure {
namespace {

using report::xml_text;

constexpr std::string_view kStyle = R"(
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .25em .6em; border-bottom: 1px solid #ddd; vertical-align: top }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left }
.met { color: #00664b } .missed { color: #a33b00; font-weight: 600 } .none { color: #777; text-align: left }
figure { margin: 2em 0 } svg { max-width: 760px; font: 12px system-ui, sans-serif }
.axis { fill: none; stroke: #222 } .grid { stroke: #ddd }
)";

std::string cell(std::string_view text, std::string_view kind = {}) {
  return kind.empty() ? fmt::format("<td>{}</td>", xml_text(text))
                      : fmt::format("<td class=\"{}\">{}</td>", kind, xml_text(text));
}

std::string verdict_cell(const std::vector<Bound>& bounds, Met met) {
  const std::string_view kind = met == Met::kYes ? "met" : met == Met::kNo ? "missed" : "none";
  return cell(fmt::format("{}: {}", text_of(bounds), name_of(met)), kind);
}

std::string row_of(const Result& result) {
  const Line& line = *result.line;
  std::string text = "<tr>" + cell(line.row) + cell(line.what) + cell(line.unit);
  if (result.rounds.ours.empty()) {
    return text + fmt::format("<td class=\"none\" colspan=\"7\">{}</td></tr>\n",
                              xml_text(result.wrong.empty() ? "not measured: " + remark(result) : remark(result)));
  }
  const std::vector<double> better = advantage(result);
  text += cell(median_text(result.rounds.of_linux)) + cell(median_text(result.rounds.floor)) +
          cell(median_text(result.rounds.ours)) + cell(ratio_text(result.rounds.ours, result.rounds.floor)) +
          cell(ratio_text(better, std::vector<double>(better.size(), 1))) + verdict_cell(line.must, result.must()) +
          verdict_cell(line.stretch, result.stretch());
  return text + "</tr>\n";
}

/// The numbers of a plot, for who cannot see it or wants to copy them.
std::string numbers_of(const Plot& plot) {
  std::string text =
      fmt::format("<details><summary>Numbers</summary><table><tr><th>curve</th><th>{}</th><th>{}</th></tr>\n",
                  xml_text(plot.x_label), xml_text(plot.y_label));
  for (const Series& series : plot.series) {
    for (const auto& [x, y] : series.points) {
      text += "<tr>" + cell(series.name) + cell(fmt::format("{:g}", x)) + cell(number(y)) + "</tr>\n";
    }
  }
  return text + "</table></details>\n";
}

}  // namespace

std::string html_of(const Report& report) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>"
      "<title>cowherd bench</title><style>{}</style></head><body>\n<h1>cowherd bench</h1>\n"
      "<p>{}</p>\n<p>Others used {:.0f} % of the processors before, {:.0f} % after. {} rounds, the sides in "
      "turn.</p>\n",
      kStyle, xml_text(report.kernel), 100 * report.busy_before, 100 * report.busy_after, report.rounds);
  text +=
      "<table><tr><th>row</th><th>what</th><th>unit</th><th>Linux</th><th>floor</th><th>ours</th><th>ours/floor</th>"
      "<th>times better than Linux</th><th>must</th><th>stretch</th></tr>\n";
  for (const Result& result : report.results) text += row_of(result);
  text += fmt::format("</table>\n<p>Medians; of ratios the median and the range over the rounds. {}</p>\n", kHonesty);
  for (const Plot& plot : report.plots) {
    text += fmt::format("<figure><figcaption>{}</figcaption>\n{}{}</figure>\n", xml_text(plot.title), svg_of(plot),
                        numbers_of(plot));
  }
  return text + "</body></html>\n";
}

}  // namespace cowherd::measure
