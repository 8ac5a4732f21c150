#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "litmus/diagnostic.hpp"
#include "litmus/program.hpp"

namespace cowherd::litmus {

struct ParseResult {
  /// There exactly when `diagnostics` is empty.
  std::optional<Program> program;
  /// In order of position, at most kMaxDiagnostics.
  std::vector<Diagnostic> diagnostics;

  [[nodiscard]] bool ok() const { return program.has_value(); }
  /// All diagnostics, one after the other.
  [[nodiscard]] std::string to_text() const;
};

/// Reads one test in the language of docs/litmus.md. `file` is the name that diagnostics show. Takes any bytes; uses a
/// bounded stack.
ParseResult parse(std::string_view text, std::string_view file);

}  // namespace cowherd::litmus
