#include "report/wrap.hpp"

#include <algorithm>

namespace cowherd::report {

std::string wrapped(std::string_view first, std::string_view text, std::string_view indent, std::size_t width) {
  std::string out(first);
  std::size_t column = first.size();
  bool fresh = true;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (!fresh && column + 1 + word.size() > width) {
      out += '\n';
      out += indent;
      column = indent.size();
    } else if (!fresh) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    fresh = false;
  }
  return out + '\n';
}

}  // namespace cowherd::report
