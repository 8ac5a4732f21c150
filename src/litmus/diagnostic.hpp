#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "litmus/program.hpp"

namespace cowherd::litmus {

/// The most errors that are reported for one file.
inline constexpr std::size_t kMaxDiagnostics = 20;

/// One error in a text, with what a reader needs to find and mend it.
struct Diagnostic {
  std::string file;
  /// Columns count characters, not bytes.
  Position position;
  /// How many characters the caret underlines.
  std::uint32_t length = 1;
  std::string message;
  /// What was probably meant; may be empty.
  std::string suggestion;
  std::string source_line;

  /// "file:line:column: error: message; did you mean 'suggestion'?", the source line and a caret under it, each line
  /// ended by a newline. A very long source line is cut to the part around the caret.
  [[nodiscard]] std::string to_text() const;
};

/// A text and its lines, to make diagnostics from. Holds views: both strings must outlive it.
class SourceText {
 public:
  SourceText(std::string_view text, std::string_view file);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::string_view file() const { return file_; }
  /// Line `number`, counted from one, without its line end; empty where there is no such line.
  [[nodiscard]] std::string_view line(std::uint32_t number) const;
  /// `length` 0: as far as the word at `position` reaches.
  [[nodiscard]] Diagnostic diagnose(Position position, std::uint32_t length, std::string message,
                                    std::string suggestion = {}) const;

 private:
  std::string_view text_;
  std::string_view file_;
  std::vector<std::size_t> line_starts_;
};

/// The candidate that `name` is most likely a slip for; empty where none is near. Case does not count as a difference.
std::string_view closest_name(std::string_view name, const std::vector<std::string_view>& candidates);

}  // namespace cowherd::litmus
