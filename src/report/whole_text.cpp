#include "report/whole_text.hpp"

#include "report/finding_text.hpp"
#include "report/verdict_text.hpp"

namespace cowherd::report {

std::string findings_text(const Judged& judged, bool traces) {
  std::string text;
  const std::vector<check::Finding>& findings = judged.result.findings;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    std::size_t same_as = 0;
    while (same_as < i && !same_trace(findings[same_as], findings[i])) ++same_as;
    if (traces && i > 0) text += '\n';
    text += finding_text(findings[i], {.number = i + 1,
                                       .count = findings.size(),
                                       .trace = traces,
                                       .test = judged.program,
                                       .file = judged.file,
                                       .key = i == 0,
                                       .same_as = same_as < i ? same_as + 1 : 0});
  }
  return text;
}

std::string whole_text(const Judged& judged, const ReportOptions& options) {
  std::string text = verdict_text(judged, options.times);
  if (!judged.result.findings.empty()) text += '\n' + findings_text(judged, options.traces);
  return text;
}

}  // namespace cowherd::report
