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
figure { margin: 2em 0 } svg { max-width: 820px }
)";

std::string cell(std::string_view text, std::string_view kind = {}) {
  return kind.empty() ? fmt::format("<td>{}</td>", xml_text(text))
                      : fmt::format("<td class=\"{}\">{}</td>", kind, xml_text(text));
}

std::string_view kind_of(Met met) { return met == Met::kYes ? "met" : met == Met::kNo ? "missed" : "none"; }

/// A goal as written, and beneath it at this machine's pace where that is another.
std::string verdict_cell(const Result& result, const std::vector<Bound>& written, const std::vector<Bound>& here) {
  if (written.empty()) return "<td></td>";
  const Met met = result.judged(written);
  std::string text =
      fmt::format("<td><span class=\"{}\">{}: {}</span>", kind_of(met), xml_text(text_of(written)), name_of(met));
  if (const std::string other = here_text(result, written, here); !other.empty()) {
    const Met met_here = result.judged(here);
    text += fmt::format("<br/><span class=\"{}\">{}: {}</span>", kind_of(met_here), xml_text(other), name_of(met_here));
  }
  return text + "</td>";
}

std::string remark_row(const Result& result) {
  const std::string more = remark(result);
  return more.empty() ? std::string()
                      : fmt::format("<tr><td></td><td class=\"none\" colspan=\"9\">{}</td></tr>\n", xml_text(more));
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
          cell(ratio_text(better, std::vector<double>(better.size(), 1))) +
          verdict_cell(result, line.must, result.must_here()) +
          verdict_cell(result, line.stretch, result.stretch_here());
  return text + "</tr>\n" + remark_row(result);
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
      kStyle, xml_text(text_of(report.host)), 100 * report.busy_before, 100 * report.busy_after, report.rounds);
  if (const std::string pace = pace_text(report); !pace.empty()) text += fmt::format("<p>{}</p>\n", xml_text(pace));
  text +=
      "<table><tr><th>row</th><th>what</th><th>unit</th><th>Linux</th><th>floor</th><th>ours</th><th>ours/floor</th>"
      "<th>times better than Linux</th><th>must, as written and at this pace</th><th>stretch</th></tr>\n";
  for (const Result& result : report.results) text += row_of(result);
  text += fmt::format("</table>\n<p>Medians; of ratios the median and the range over the rounds. {}</p>\n", kHonesty);
  for (const Plot& plot : report.plots) {
    text += fmt::format("<figure id=\"{}\">\n{}{}</figure>\n", plot.name, svg_of(plot), numbers_of(plot));
  }
  return text + "</body></html>\n";
}

}  // namespace cowherd::measure
