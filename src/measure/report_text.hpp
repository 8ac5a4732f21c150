#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "measure/run.hpp"

namespace cowherd::measure {

/// Belongs beside every ratio to Linux.
inline constexpr std::string_view kHonesty =
    "Every ratio to Linux holds in this operation, without exceptions, hardware TLB maintenance and cgroup accounting.";

/// A table to read, one line to a line of the run.
std::string text_of(const Report& report);

/// One JSON object, with every sample.
std::string json_of(const Report& report);

/// A web page that needs nothing but itself: the table, and the plots as SVG. Well-formed XML.
std::string html_of(const Report& report);

/// The names of all lines, and their goals.
std::string list_of(const std::vector<const Line*>& lines);

// What the three have in common.

/// Three digits, as many as are worth reading.
std::string number(double value);
/// "78.1"; "-" without samples.
std::string median_text(const std::vector<double>& samples);
/// "6.9 [6.7..7.2]"; empty without samples on both sides.
std::string ratio_text(const std::vector<double>& a, const std::vector<double>& b);
/// Our advantage over Linux, round by round; empty where the two are not to be compared.
std::vector<double> advantage(const Result& result);
std::string_view name_of(Met met);
/// "this machine takes 2.31 times as long ..."; empty where that was not measured.
std::string pace_text(const Report& report);
/// Those of `written` that are others in `here`, as they are there: "x2.31: <= 16.2". Empty: none.
std::string here_text(const Result& result, const std::vector<Bound>& written, const std::vector<Bound>& here);
/// What there is to say of a line besides its figures; empty: nothing.
std::string remark(const Result& result);

}  // namespace cowherd::measure
