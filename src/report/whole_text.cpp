#include "report/whole_text.hpp"

#include "report/finding_text.hpp"
#include "report/verdict_text.hpp"

namespace cowherd::report {

std::string findings_text(const Judged& judged, bool traces) {
  std::string text;
  const std::size_t count = judged.result.findings.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (traces && i > 0) text += '\n';
    text +=
        finding_text(judged.result.findings[i],
                     {.number = i + 1, .count = count, .trace = traces, .test = judged.program, .file = judged.file});
  }
  return text;
}

std::string whole_text(const Judged& judged, const ReportOptions& options) {
  std::string text = verdict_text(judged, options.times);
  if (!judged.result.findings.empty()) text += '\n' + findings_text(judged, options.traces);
  return text;
}

}  // namespace cowherd::report
