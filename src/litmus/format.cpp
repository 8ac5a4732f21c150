#include "litmus/format.hpp"

#include <algorithm>

#include "litmus/parser_impl.hpp"
#include "litmus/printer.hpp"

namespace cowherd::litmus {
namespace {

/// The comments of one piece of the test.
struct Attached {
  std::vector<std::string> above;
  std::vector<std::string> behind;
};

bool has_newline(std::string_view text) { return text.find('\n') != std::string_view::npos; }

/// A comment without blanks at the ends of its lines.
std::string tidy(std::string_view comment) {
  std::string out;
  for (const char c : comment) {
    if (c == '\n') {
      while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r')) out.pop_back();
    }
    out += c;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r')) out.pop_back();
  return out;
}

/// Decides which piece each comment belongs to.
class Attacher {
 public:
  Attacher(std::string_view text, const std::vector<PlacedUnit>& placed, const std::vector<PrintedUnit>& printed)
      : text_(text), placed_(placed), printed_(printed), attached_(printed.size() + 1) {}

  void attach(const Comment& comment) {
    std::size_t next = 0;
    while (placed_[next].end <= comment.begin && placed_[next].unit.kind != UnitKind::kEnd) ++next;
    // Where the piece has begun already, the comment stands inside it and moves above it.
    if (next > 0 && placed_[next].begin >= comment.end && stands_behind(placed_[next - 1], comment, placed_[next])) {
      const std::optional<std::size_t> line = find(placed_[next - 1].unit);
      if (line.has_value()) {
        attached_[*line].behind.push_back(tidy(comment.text));
        return;
      }
    }
    // A piece that says nothing (an empty list of locations) is not printed.
    while (placed_[next].unit.kind != UnitKind::kEnd && !find(placed_[next].unit).has_value()) ++next;
    attached_[find(placed_[next].unit).value_or(printed_.size())].above.push_back(tidy(comment.text));
  }

  [[nodiscard]] const std::vector<Attached>& attached() const { return attached_; }

 private:
  [[nodiscard]] bool stands_behind(const PlacedUnit& before, const Comment& comment, const PlacedUnit& after) const {
    const auto between = [&](std::size_t begin, std::size_t end) { return text_.substr(begin, end - begin); };
    return !has_newline(comment.text) && !has_newline(between(before.end, comment.begin)) &&
           (after.unit.kind == UnitKind::kEnd || has_newline(between(comment.end, after.begin)));
  }

  [[nodiscard]] std::optional<std::size_t> find(const Unit& unit) const {
    for (std::size_t i = 0; i < printed_.size(); ++i) {
      if (printed_[i].unit == unit) return i;
    }
    return std::nullopt;
  }

  std::string_view text_;
  const std::vector<PlacedUnit>& placed_;
  const std::vector<PrintedUnit>& printed_;
  /// One for each printed piece and one for the end of the text.
  std::vector<Attached> attached_;
};

}  // namespace

FormatResult format(std::string_view text, std::string_view file) {
  const SourceText source(text, file);
  Parser parser(source, lex(source));
  ParseResult parsed = parser.run();
  FormatResult result;
  if (!parsed.ok()) {
    result.diagnostics = std::move(parsed.diagnostics);
    return result;
  }
  const std::vector<PrintedUnit> printed = print_units(*parsed.program);
  Attacher attacher(text, parser.layout(), printed);
  const std::vector<std::size_t>& expectations = parser.expectation_comments();
  for (std::size_t i = 0; i < parser.comments().size(); ++i) {
    if (std::find(expectations.begin(), expectations.end(), i) == expectations.end()) {
      attacher.attach(parser.comments()[i]);
    }
  }

  std::string out;
  for (std::size_t i = 0; i <= printed.size(); ++i) {
    const Attached& attached = attacher.attached()[i];
    const std::string indent(i < printed.size() ? printed[i].indent : 0, ' ');
    for (const std::string& comment : attached.above) out += indent + comment + "\n";
    if (i == printed.size()) break;
    out += printed[i].text;
    for (std::size_t c = 0; c < attached.behind.size(); ++c) out += (c == 0 ? "  " : " ") + attached.behind[c];
    out += "\n";
  }
  result.text = std::move(out);
  return result;
}

}  // namespace cowherd::litmus
