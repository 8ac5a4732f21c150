#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "litmus/parser_impl.hpp"

namespace cowherd::litmus {

// What a test says of files: their declarations, mappings of them, and places in them.

std::string Parser::parts_of_hugetlb() { return fmt::format("hugetlb pages are {} pages each", kHugePages); }

bool Parser::parse_file(const Token& name) {
  FileVariable file;
  file.name = std::string(name.text);
  const std::string_view kind = take().text;
  file.kind = kind == "file" ? FileKind::kDisk : kind == "memfd" ? FileKind::kMemfd : FileKind::kHugetlb;
  if (file.is_hugetlb()) file.pages = kHugePages;
  if (accept(TokenKind::kLeftBracket)) {
    const Token count = peek();
    if (!parse_count(file.pages, kMaxPages, "of pages")) return false;
    if (file.is_hugetlb() && file.pages % kHugePages != 0) return fail(count, parts_of_hugetlb());
    if (!expect(TokenKind::kRightBracket, "']'", "after the number of pages")) return false;
  }
  if (accept(TokenKind::kLeftParen)) {
    if (!parse_integer(file.value, "the first value of its pages")) return false;
    if (!expect(TokenKind::kRightParen, "')'", "after the value")) return false;
  }
  program_.files.push_back(std::move(file));
  place(UnitKind::kFile, name.begin, program_.files.size() - 1);
  return true;
}

bool Parser::parse_pages_in_file(const FileVariable& file, Place& place) {
  const Token first = peek();
  place.page = 0;
  place.pages = static_cast<std::uint8_t>(file.pages);
  if (!accept(TokenKind::kLeftBracket)) return true;
  std::int64_t from = 0;
  if (!parse_integer(from, "a page's number")) return false;
  std::int64_t to = from;
  if (accept(TokenKind::kDotDot) && !parse_integer(to, "the last page's number")) return false;
  if (!expect(TokenKind::kRightBracket, "']'", "after the page's number")) return false;
  if (from < 0 || to < from || to >= static_cast<std::int64_t>(file.pages)) {
    return fail(first, file.pages == 1 ? fmt::format("'{}' has one page, 0", file.name)
                                       : fmt::format("'{}' has pages 0 to {}", file.name, file.pages - 1));
  }
  place.page = static_cast<std::uint8_t>(from);
  place.pages = static_cast<std::uint8_t>(to - from + 1);
  return true;
}

bool Parser::parse_file_mapping(Variable& variable, std::uint8_t file) {
  Place pages;
  variable.file = file;
  const bool hugetlb = program_.files[file].is_hugetlb();
  variable.kind = hugetlb ? VariableKind::kHugetlbFile : VariableKind::kFile;
  const Token first = peek();
  if (!parse_pages_in_file(program_.files[file], pages)) return false;
  variable.file_page = pages.page;
  variable.pages = pages.pages;
  if (hugetlb && (pages.page % kHugePages != 0 || pages.pages % kHugePages != 0)) {
    return fail(first, parts_of_hugetlb());
  }
  if (!at_word("private") && !at_word("shared")) {
    return fail(peek(), fmt::format("a file is mapped 'private' or 'shared', not {}", quote(peek())),
                closest_name(peek().text, {"private", "shared"}));
  }
  variable.shared = take().text == "shared";
  if (at_word("noreserve") && peek(1).kind != TokenKind::kEqual) {
    if (!hugetlb) return fail(peek(), fmt::format("'{}' has no reservation", program_.files[file].name));
    take();
    variable.noreserve = true;
  }
  return true;
}

bool Parser::parse_file_variable(const Token& name, Variable&& variable, std::uint8_t file) {
  const bool sound = parse_file_mapping(variable, file);
  program_.variables.push_back(std::move(variable));
  if (!sound) return false;
  Variable& declared = program_.variables.back();
  if (declared.first_page + declared.pages > kMaxPages) return fail(name, fmt::format("more than {} pages", kMaxPages));
  // Where a declaration follows, only the `;` is missing.
  if (at(TokenKind::kIdentifier) && peek(1).kind != TokenKind::kEqual &&
      !parse_flags(protection_words(), declared.protection)) {
    return false;
  }
  place(UnitKind::kVariable, name.begin, program_.variables.size() - 1);
  return true;
}

bool Parser::parse_file_place(std::string_view what, bool word_allowed, std::uint8_t& file, Place& place) {
  const bool star = accept(TokenKind::kStar);
  const Token name = peek();
  const std::optional<std::uint8_t> found = find_file(name.text);
  if (name.kind != TokenKind::kIdentifier || !found.has_value()) {
    return fail(name, fmt::format("{} takes a file, not {}", what, quote(name)), closest_name(name.text, file_names()));
  }
  take();
  file = *found;
  const bool has_page = at(TokenKind::kLeftBracket);
  if (!parse_pages_in_file(program_.files[file], place)) return false;
  if (!word_allowed) return !star || fail(name, fmt::format("{} takes whole pages, not a word", what));
  if (has_page && place.pages != 1) return fail(name, fmt::format("{} takes one word, not several pages", what));
  place.pages = 1;
  if (!accept(TokenKind::kDot)) return true;
  std::int64_t word = 0;
  if (!parse_integer(word, "a word's number")) return false;
  if (word < 0 || word >= static_cast<std::int64_t>(kWordsPerPage)) {
    return fail(name, fmt::format("a page has words 0 to {}", kWordsPerPage - 1));
  }
  place.word = static_cast<std::uint8_t>(word);
  return true;
}

bool Parser::parse_file_size(const StatementWord& word, Operation& op) {
  if (!parse_file_place(word.name, false, op.file, op.place) || !comma(word)) return false;
  const Token first = peek();
  std::int64_t pages = 0;
  if (!parse_integer(pages, "a number of pages")) return false;
  const std::uint32_t most = program_.files[op.file].pages;
  if (pages < 0 || pages > static_cast<std::int64_t>(most)) {
    return fail(first, fmt::format("'{}' can have 0 to {} pages", program_.files[op.file].name, most));
  }
  op.place = {};
  op.place.page = static_cast<std::uint8_t>(pages);
  return true;
}

std::vector<std::string_view> Parser::file_names() const {
  std::vector<std::string_view> names;
  for (const FileVariable& file : program_.files) names.emplace_back(file.name);
  return names;
}

std::optional<std::uint8_t> Parser::find_file(std::string_view name) const {
  for (std::size_t f = 0; f < program_.files.size(); ++f) {
    if (program_.files[f].name == name) return static_cast<std::uint8_t>(f);
  }
  return std::nullopt;
}

bool Parser::parse_hugepages(const Token& name) {
  if (program_.hugepages) return fail(name, "'hugepages' is said twice");
  std::uint32_t pages = 0;
  if (!parse_count(pages, kMaxHugetlbPages, "of hugetlb pages")) return false;
  program_.hugepages = static_cast<std::uint8_t>(pages);
  place(UnitKind::kHugepages, name.begin);
  return true;
}

bool Parser::parse_folios(const Token& name) {
  if (program_.folios) return fail(name, "'folios' is said twice");
  const Token count = peek();
  std::uint32_t pages = 0;
  if (!parse_count(pages, kHugePages, "of pages of a folio")) return false;
  if (pages < 2 || !std::has_single_bit(pages)) return fail(count, "a large folio has 2 or 4 pages");
  program_.folios = static_cast<std::uint8_t>(pages);
  place(UnitKind::kFolios, name.begin);
  return true;
}

bool Parser::parse_movable(const Token& name) {
  if (program_.movable) return fail(name, "'movable' is said twice");
  std::uint32_t frames = 0;
  if (!parse_count(frames, kMaxMovableFrames, "of movable frames")) return false;
  program_.movable = static_cast<std::uint8_t>(frames);
  place(UnitKind::kMovable, name.begin);
  return true;
}

}  // namespace cowherd::litmus
