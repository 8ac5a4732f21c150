#include "cli/trace_files.hpp"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <system_error>

#include "check/trace.hpp"
#include "cli/output.hpp"

namespace cowherd::cli {
namespace {

/// Rules may be named by a path, and by settings with commas.
std::string as_file_name(std::string name) {
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.' && c != '_') c = '_';
  }
  return name;
}

}  // namespace

bool TraceFiles::write(const report::Judged& judged) const {
  if (folder_.empty() || judged.result.findings.empty()) return true;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    complain(fmt::format("cannot make {}: {}", folder_, error.message()));
    return false;
  }
  bool ok = true;
  std::size_t number = 0;
  for (const check::Finding& finding : judged.result.findings) {
    const std::string name = fmt::format("{}/{}.{}.{}.trace", folder_, as_file_name(judged.result.test),
                                         as_file_name(judged.result.rules), ++number);
    ok = write_file(name, check::write_trace(finding)) && ok;
  }
  return ok;
}

}  // namespace cowherd::cli
