#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "measure/plot.hpp"
#include "report/xml.hpp"

namespace cowherd::measure {
namespace {

constexpr double kWidth = 760;
constexpr double kHeight = 420;
constexpr double kLeft = 76;
constexpr double kRight = 200;
constexpr double kTop = 56;
constexpr double kBottom = 50;

/// Colours that stay apart for the colour-blind (Okabe and Ito).
constexpr std::array kColours = {"#0072B2", "#E69F00", "#009E73", "#D55E00",
                                 "#CC79A7", "#56B4E9", "#000000", "#999999"};

/// One axis: values to places on the page.
class Axis {
 public:
  Axis(double least, double most, bool logarithmic, double from, double to)
      : logarithmic_(logarithmic), least_(least), most_(most > least ? most : least + 1), from_(from), to_(to) {}

  /// Both ends, and what lies between them, powers of ten from `least`'s to `most`'s.
  static Axis of_decades(double least, double most, double from, double to) {
    return {std::floor(std::log10(least)), std::ceil(std::log10(most)), true, from, to};
  }

  /// 0, on a logarithmic axis, is its beginning.
  [[nodiscard]] double at(double value) const {
    const double placed = !logarithmic_ ? value : value > 0 ? std::log10(value) : least_;
    return from_ + (placed - least_) / (most_ - least_) * (to_ - from_);
  }
  [[nodiscard]] std::vector<double> ticks() const {
    std::vector<double> values;
    if (logarithmic_) {
      for (double power = std::ceil(least_); power <= most_; ++power) values.push_back(std::pow(10, power));
      return values;
    }
    double step = std::pow(10, std::floor(std::log10(most_)));
    if (most_ / step < 3) step /= 2;
    for (double value = 0; value <= most_; value += step) values.push_back(value);
    return values;
  }

 private:
  bool logarithmic_;
  /// The logarithms, where it is logarithmic.
  double least_;
  double most_;
  double from_;
  double to_;
};

struct Axes {
  Axis x;
  Axis y;
  /// Where there are points.
  std::vector<double> x_ticks;
};

Axes axes_of(const Plot& plot) {
  std::set<double> places;
  double least = std::numeric_limits<double>::max();
  double most = 0;
  for (const Series& series : plot.series) {
    for (const auto& [x, y] : series.points) {
      places.insert(x);
      least = std::min(least, y);
      most = std::max(most, y);
    }
  }
  const double from = kLeft + 20;
  const double to = kWidth - kRight - 12;
  std::vector<double> x_ticks(places.begin(), places.end());
  const double last = x_ticks.back();
  if (!plot.logarithmic) {
    return {{x_ticks.front(), last, false, from, to}, {0, most * 1.1, false, kHeight - kBottom, kTop}, x_ticks};
  }
  const bool has_zero = x_ticks.front() == 0;
  const double first = has_zero && x_ticks.size() > 1 ? x_ticks[1] : std::max(x_ticks.front(), 1.0);
  // 0 stands as far from the first point as that from one ten times as large.
  const double begin = std::log10(first) - (has_zero ? 1 : 0);
  return {{begin, std::log10(std::max(last, 1.0)), true, from, to},
          Axis::of_decades(least, most, kHeight - kBottom, kTop),
          x_ticks};
}

std::string tick_text(const Plot& plot, double value) {
  if (!plot.x_is_size) return fmt::format("{:g}", value);
  return value < 1024 ? fmt::format("{:g} MiB", value) : fmt::format("{:g} GiB", value / 1024);
}

std::string axes_text(const Plot& plot, const Axes& axes) {
  std::string text;
  for (const double value : axes.y.ticks()) {
    text += fmt::format(
        "<path d=\"M{:.0f} {:.1f}H{:.0f}\" stroke=\"#ddd\"/>"
        "<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>\n",
        kLeft, axes.y.at(value), kWidth - kRight, kLeft - 6, axes.y.at(value) + 4, value);
  }
  for (const double value : axes.x_ticks) {
    text += fmt::format(
        "<path d=\"M{:.1f} {:.0f}v5\" stroke=\"#222\"/>"
        "<text x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>\n",
        axes.x.at(value), kHeight - kBottom, axes.x.at(value), kHeight - kBottom + 18, tick_text(plot, value));
  }
  text += fmt::format("<path d=\"M{:.0f} {:.0f}V{:.0f}H{:.0f}\" fill=\"none\" stroke=\"#222\"/>\n", kLeft, kTop,
                      kHeight - kBottom, kWidth - kRight);
  text += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>\n",
                      (kLeft + kWidth - kRight) / 2, kHeight - 10, report::xml_text(plot.x_label));
  text += fmt::format("<text x=\"12\" y=\"{:.0f}\">{}</text>\n", kTop - 14, report::xml_text(plot.y_label));
  text += fmt::format("<text x=\"12\" y=\"20\" font-size=\"15\" font-weight=\"600\">{}</text>\n",
                      report::xml_text(plot.title));
  return text;
}

std::string curve_text(const Series& series, std::size_t number, const Axes& axes) {
  const char* colour = kColours[series.colour % kColours.size()];
  const char* dashes = series.dashed ? " stroke-dasharray=\"6 4\"" : "";
  std::string path;
  std::string dots;
  for (const auto& [px, py] : series.points) {
    const double x = axes.x.at(px);
    const double y = axes.y.at(py);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, y);
    dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\" stroke=\"{}\"/>", x, y,
                        series.dashed ? "#fff" : colour, colour);
  }
  const double at = kTop + 8 + 20 * static_cast<double>(number);
  const double left = kWidth - kRight + 14;
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>{}\n"
      "<path d=\"M{:.0f} {:.0f}h28\" stroke=\"{}\" stroke-width=\"2\"{}/><text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n",
      path, colour, dashes, dots, left, at, colour, dashes, left + 36, at + 4, report::xml_text(series.name));
}

}  // namespace

std::string svg_of(const Plot& plot) {
  const Axes axes = axes_of(plot);
  // All style is in attributes, so that the drawing looks the same in a file of its own; on white, whatever is behind.
  std::string text = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" "
      "fill=\"#222\" xmlns=\"http://www.w3.org/2000/svg\">\n<title>{}</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      kWidth, kHeight, report::xml_text(plot.title));
  text += axes_text(plot, axes);
  for (std::size_t i = 0; i < plot.series.size(); ++i) text += curve_text(plot.series[i], i, axes);
  return text + "</svg>\n";
}

}  // namespace cowherd::measure
