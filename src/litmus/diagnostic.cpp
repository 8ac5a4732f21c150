#include "litmus/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "litmus/utf8.hpp"

namespace cowherd::litmus {
namespace {

constexpr std::size_t kMaxShown = 140;
constexpr std::size_t kMaxComparedName = 40;

bool is_of_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The byte where character `column` (counted from one) of `line` begins; the line's size if it is shorter.
std::size_t byte_of_column(std::string_view line, std::uint32_t column) {
  std::size_t byte = 0;
  for (std::uint32_t seen = 1; seen < column && byte < line.size(); ++seen) {
    do {
      ++byte;
    } while (byte < line.size() && is_utf8_continuation(line[byte]));
  }
  return byte;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_utf8_continuation(c); }));
}

/// A line as it may be sent to a terminal: UTF-8, and no control characters other than tabs.
std::string printable(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const bool control = text[0] != '\t' && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f);
    clean += length == 0 || control ? "?" : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return clean;
}

/// Edits between two names, where swapping two neighbours is one edit. Both are at most kMaxComparedName long.
std::size_t distance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, kMaxComparedName + 1>, kMaxComparedName + 1> cost{};
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = cost[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string Diagnostic::to_text() const {
  std::string out = fmt::format("{}:{}:{}: error: {}", file, position.line, position.column, message);
  if (!suggestion.empty()) out += fmt::format("; did you mean '{}'?", suggestion);
  out += '\n';

  std::string_view shown = source_line;
  const std::size_t caret = byte_of_column(shown, position.column);
  std::size_t begin = 0;
  std::string_view lead;
  if (shown.size() > kMaxShown) {
    if (caret > kMaxShown / 2) {
      begin = caret - kMaxShown / 2;
      while (begin < caret && is_utf8_continuation(shown[begin])) ++begin;
      lead = "...";
    }
    std::size_t end = std::min(shown.size(), begin + kMaxShown);
    while (end < shown.size() && is_utf8_continuation(shown[end])) ++end;
    shown = shown.substr(0, end);
  }
  const std::string_view before = shown.substr(begin, caret - begin);
  const std::string_view after = shown.substr(caret);
  out += fmt::format("  {}{}{}\n  {}", lead, printable(before), printable(after), std::string(lead.size(), ' '));
  // Tabs are repeated, so that the caret stands right whatever their width.
  for (const char c : before) {
    if (!is_utf8_continuation(c)) out += c == '\t' ? '\t' : ' ';
  }
  const std::size_t tail = std::min<std::size_t>(length, characters(after));
  out += '^';
  if (tail > 1) out.append(tail - 1, '~');
  out += '\n';
  return out;
}

SourceText::SourceText(std::string_view text, std::string_view file) : text_(text), file_(file) {
  line_starts_.push_back(0);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') line_starts_.push_back(i + 1);
  }
}

std::string_view SourceText::line(std::uint32_t number) const {
  if (number == 0 || number > line_starts_.size()) return {};
  const std::size_t begin = line_starts_[number - 1];
  const std::size_t end = number < line_starts_.size() ? line_starts_[number] - 1 : text_.size();
  std::string_view found = text_.substr(begin, end - begin);
  if (!found.empty() && found.back() == '\r') found.remove_suffix(1);
  return found;
}

Diagnostic SourceText::diagnose(Position position, std::uint32_t length, std::string message,
                                std::string suggestion) const {
  const std::string_view source = line(position.line);
  if (length == 0) {
    std::size_t end = byte_of_column(source, position.column);
    while (end < source.size() && is_of_word(source[end])) {
      ++end;
      ++length;
    }
    length = std::max<std::uint32_t>(length, 1);
  }
  return {std::string(file_), position, length, std::move(message), std::move(suggestion), std::string(source)};
}

std::string_view closest_name(std::string_view name, const std::vector<std::string_view>& candidates) {
  if (name.empty() || name.size() > kMaxComparedName) return {};
  std::string_view best;
  std::size_t best_cost = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kMaxComparedName || candidate == name) continue;
    const std::size_t cost = distance(name, candidate);
    // A name of one letter is one edit away from every other one: that says nothing.
    if (cost < best_cost && cost < std::max(name.size(), candidate.size())) {
      best = candidate;
      best_cost = cost;
    }
  }
  return best;
}

}  // namespace cowherd::litmus
