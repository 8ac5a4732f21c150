#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "litmus/format.hpp"
#include "litmus/parser.hpp"
#include "litmus/printer.hpp"

namespace cowherd::litmus {
namespace {

void require(bool holds, const char* what, std::string_view text) {
  if (holds) return;
  std::fprintf(stderr, "%s:\n%.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

}  // namespace

/// Any bytes parse or are explained; what parses prints to a text that means the same, and formatting is idempotent.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ParseResult first = parse(text, "fuzz");
  require(first.ok() == first.diagnostics.empty(), "neither a program nor a reason", text);
  if (!first.ok()) {
    static_cast<void>(first.to_text());
    return 0;
  }
  const std::string printed = print(*first.program);
  // Canonical text can be longer than what was read, and then too long.
  if (printed.size() <= kMaxFileBytes) {
    const ParseResult second = parse(printed, "printed");
    require(second.ok(), "the printed text is refused", printed);
    require(*second.program == *first.program, "the printed text means something else", printed);
  }
  const FormatResult formatted = format(text, "fuzz");
  require(formatted.text.has_value(), "a sound text is not formatted", text);
  if (formatted.text->size() <= kMaxFileBytes) {
    const FormatResult again = format(*formatted.text, "formatted");
    require(again.text.has_value(), "the formatted text is refused", *formatted.text);
    require(*again.text == *formatted.text, "formatting twice differs", *formatted.text);
  }
  return 0;
}

}  // namespace cowherd::litmus
