#include "stress/failure_text.hpp"

#include <cstdio>
#include <vector>

namespace cowherd::stress {

namespace {

constexpr std::size_t kLinesOfThread = 8;

}  // namespace

std::string line_of(const Record& record, std::size_t thread) {
  char text[192];
  const int length = std::snprintf(
      text, sizeof text, "  T%zu [%llu, %llu] space %u %s", thread, static_cast<unsigned long long>(record.when.begin),
      static_cast<unsigned long long>(record.when.end), record.life, std::string(name_of(record.action)).c_str());
  std::string line(text, static_cast<std::size_t>(length));
  line += " page " + std::to_string(record.first);
  if (record.count > 1) line += ".." + std::to_string(record.first + record.count - 1);
  switch (record.action) {
    case Action::kRead:
    case Action::kWrite:
    case Action::kPtraceRead:
    case Action::kPtraceWrite:
    case Action::kDmaRead:
    case Action::kDmaWrite:
      (void)std::snprintf(text, sizeof text, ".%u %#llx", record.word, static_cast<unsigned long long>(record.value));
      line += text;
      break;
    case Action::kFork:
      line += " -> space " + std::to_string(record.other);
      break;
    case Action::kProtect:
      line += " to " + std::to_string(static_cast<unsigned>(record.protection));
      break;
    default:
      break;
  }
  if (record.action == Action::kPin || record.action == Action::kUnpin || record.action == Action::kDmaRead ||
      record.action == Action::kDmaWrite) {
    line += " through pin " + std::to_string(record.other);
    if (record.action == Action::kPin) line += " flags " + std::to_string(static_cast<unsigned>(record.flags));
  }
  if (!record.ok()) line += std::string(" ") + std::string(name_of(record.error));
  return line + "\n";
}

std::string last_operations(const Finding& finding, std::span<const Log> round) {
  std::string text;
  for (std::size_t thread = 0; thread < round.size(); ++thread) {
    std::vector<const Record*> last;
    for (const Record& record : round[thread]) {
      if (record.touches(finding.page) && record.when.begin <= finding.culprit.when.end) last.push_back(&record);
    }
    const std::size_t skip = last.size() > kLinesOfThread ? last.size() - kLinesOfThread : 0;
    for (std::size_t i = skip; i < last.size(); ++i) text += line_of(*last[i], thread);
  }
  return text;
}

}  // namespace cowherd::stress
