#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "litmus/diagnostic.hpp"

namespace cowherd::litmus {

struct FormatResult {
  /// There exactly when `diagnostics` is empty.
  std::optional<std::string> text;
  std::vector<Diagnostic> diagnostics;
};

/// The canonical text of a test with all its comments: one that stood behind a piece of the test, on its line, stays
/// there; any other goes on lines of its own above the piece that followed it. Formatting the result changes nothing.
FormatResult format(std::string_view text, std::string_view file);

}  // namespace cowherd::litmus
