#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "measure/plot.hpp"
#include "report/xml.hpp"

namespace cowherd::measure {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 400;
constexpr double kLeft = 70;
constexpr double kRight = 190;
constexpr double kTop = 30;
constexpr double kBottom = 50;

/// Colours that stay apart for the colour-blind (Okabe and Ito).
constexpr std::array kColours = {"#0072B2", "#E69F00", "#009E73", "#D55E00",
                                 "#CC79A7", "#56B4E9", "#000000", "#999999"};

/// One axis: values to places on the page.
class Axis {
 public:
  Axis(double least, double most, bool logarithmic, double from, double to)
      : logarithmic_(logarithmic),
        least_(logarithmic ? std::floor(std::log10(least)) : 0),
        most_(logarithmic ? std::ceil(std::log10(most)) : most * 1.1),
        from_(from),
        to_(to) {
    if (most_ <= least_) most_ = least_ + 1;
  }

  [[nodiscard]] double at(double value) const {
    const double placed = logarithmic_ ? std::log10(value) : value;
    return from_ + (placed - least_) / (most_ - least_) * (to_ - from_);
  }
  [[nodiscard]] std::vector<double> ticks() const {
    std::vector<double> values;
    if (logarithmic_) {
      for (double power = least_; power <= most_; ++power) values.push_back(std::pow(10, power));
      return values;
    }
    const double step = std::pow(10, std::floor(std::log10(most_))) / (most_ < 3 ? 2 : 1);
    for (double value = 0; value <= most_; value += step) values.push_back(value);
    return values;
  }

 private:
  bool logarithmic_;
  double least_;
  double most_;
  double from_;
  double to_;
};

struct Limits {
  double least = std::numeric_limits<double>::max();
  double most = 0;

  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

std::string axes_text(const Plot& plot, const Axis& x, const Axis& y) {
  std::string text = fmt::format("<path d=\"M{:.0f} {:.0f}V{:.0f}H{:.0f}\" class=\"axis\"/>\n", kLeft, kTop,
                                 kHeight - kBottom, kWidth - kRight);
  for (const double value : x.ticks()) {
    text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g}</text>\n", x.at(value),
                        kHeight - kBottom + 18, value);
  }
  for (const double value : y.ticks()) {
    text += fmt::format(
        "<path d=\"M{:.0f} {:.1f}H{:.0f}\" class=\"grid\"/>"
        "<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>\n",
        kLeft, y.at(value), kWidth - kRight, kLeft - 6, y.at(value) + 4, value);
  }
  text += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>\n",
                      (kLeft + kWidth - kRight) / 2, kHeight - 10, report::xml_text(plot.x_label));
  text += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", kLeft, kTop - 12, report::xml_text(plot.y_label));
  return text;
}

std::string curve_text(const Series& series, std::size_t number, const Axis& x, const Axis& y) {
  const char* colour = kColours[number % kColours.size()];
  std::string path;
  std::string dots;
  for (const auto& [px, py] : series.points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.at(px), y.at(py));
    dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>", x.at(px), y.at(py), colour);
  }
  const double at = kTop + 18 * static_cast<double>(number);
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>{}\n"
      "<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"12\" height=\"12\" fill=\"{}\"/>"
      "<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n",
      path, colour, dots, kWidth - kRight + 14, at, colour, kWidth - kRight + 32, at + 11,
      report::xml_text(series.name));
}

}  // namespace

std::string svg_of(const Plot& plot) {
  Limits x_limits;
  Limits y_limits;
  for (const Series& series : plot.series) {
    for (const auto& [px, py] : series.points) {
      x_limits.add(px);
      y_limits.add(py);
    }
  }
  const Axis x(x_limits.least, x_limits.most, plot.logarithmic, kLeft, kWidth - kRight);
  const Axis y(y_limits.least, y_limits.most, plot.logarithmic, kHeight - kBottom, kTop);
  std::string text = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n<title>{}</title>\n",
      kWidth, kHeight, report::xml_text(plot.title));
  text += axes_text(plot, x, y);
  for (std::size_t i = 0; i < plot.series.size(); ++i) text += curve_text(plot.series[i], i, x, y);
  return text + "</svg>\n";
}

}  // namespace cowherd::measure
