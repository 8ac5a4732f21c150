#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cow/rule_rows.hpp"
#include "cow/rules_text.hpp"

namespace {

void check(const cowherd::ParsedRules& parsed) {
  if (!parsed) {
    if (parsed.error.empty() || parsed.error.find('\n') != std::string::npos) std::abort();
    return;
  }
  if (parsed.base == nullptr || !parsed.error.empty()) std::abort();
  if (cowherd::parse_rules_file(cowherd::print_rules(*parsed.rules), "printed").rules != parsed.rules) std::abort();
  if (cowherd::parse_rules(cowherd::short_rules(*parsed.rules)).rules != parsed.rules) std::abort();
}

}  // namespace

/// Any text is read as rules, as a rules file and as a range: nothing crashes, and what is read prints and reads back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(cowherd::parse_rules(text));
  check(cowherd::parse_rules_file(text, "input"));
  static_cast<void>(cowherd::matches(text, cowherd::all_rows().front()));
  static_cast<void>(cowherd::problem_in_range(text));
  return 0;
}
