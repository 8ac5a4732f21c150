#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "litmus/parser_impl.hpp"

namespace cowherd::litmus {

bool Parser::parse_variable(const Token& name) {
  Variable variable;
  variable.name = std::string(name.text);
  variable.first_page = program_.page_count();
  const Token kind = take();
  static constexpr std::array kKinds{std::pair{std::string_view{"anon"}, VariableKind::kAnon},
                                     std::pair{std::string_view{"zeropage"}, VariableKind::kZeroPage},
                                     std::pair{std::string_view{"unmapped"}, VariableKind::kUnmapped},
                                     std::pair{std::string_view{"secret"}, VariableKind::kSecret},
                                     std::pair{std::string_view{"thp"}, VariableKind::kThp},
                                     std::pair{std::string_view{"hugetlb"}, VariableKind::kHugetlb}};
  const auto* known_kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& word) {
    return kind.kind == TokenKind::kIdentifier && word.first == kind.text;
  });
  if (known_kind != kKinds.end()) {
    variable.kind = known_kind->second;
    if (is_huge(variable.kind)) variable.pages = kHugePages;
  } else if (const std::optional<std::uint8_t> file = find_file(kind.text); file.has_value()) {
    return parse_file_variable(name, std::move(variable), *file);
  } else {
    // Declared all the same, so that its uses are not errors as well.
    program_.variables.push_back(std::move(variable));
    std::vector<std::string_view> known{"device", "memfd", "file", "hugetlbfs"};
    for (const auto& word : kKinds) known.push_back(word.first);
    for (const FileVariable& declared : program_.files) known.emplace_back(declared.name);
    return fail(
        kind,
        fmt::format(
            "a variable is anon, zeropage, secret, thp, hugetlb, unmapped or a file's, a device is device, a file "
            "memfd, file or hugetlbfs; not {}",
            quote(kind)),
        closest_name(kind.text, known));
  }
  program_.variables.push_back(variable);
  Variable& declared = program_.variables.back();

  if (accept(TokenKind::kLeftBracket)) {
    const Token count = peek();
    std::uint32_t pages = 1;
    if (!parse_count(pages, kMaxPages, "of pages")) return false;
    if (variable.first_page + pages > kMaxPages) return fail(count, fmt::format("more than {} pages", kMaxPages));
    declared.pages = pages;
    if (!expect(TokenKind::kRightBracket, "']'", "after the number of pages")) return false;
    if (is_hugetlb(declared.kind) && pages % kHugePages != 0) {
      return fail(count, parts_of_hugetlb());
    }
  } else if (variable.first_page + variable.pages > kMaxPages) {
    return fail(name, fmt::format("more than {} pages", kMaxPages));
  }
  if (at(TokenKind::kLeftParen)) {
    if (variable.kind != VariableKind::kAnon && variable.kind != VariableKind::kSecret && !is_huge(variable.kind)) {
      return fail(kind, fmt::format("'{}' takes no value", kind.text), "anon");
    }
    take();
    if (!parse_integer(declared.value, "the page's first value")) return false;
    if (variable.kind == VariableKind::kAnon) declared.kind = VariableKind::kAnonValue;
    if (variable.kind == VariableKind::kThp) declared.kind = VariableKind::kThpValue;
    if (variable.kind == VariableKind::kHugetlb) declared.kind = VariableKind::kHugetlbValue;
    if (!expect(TokenKind::kRightParen, "')'", "after the value")) return false;
  } else if (variable.kind == VariableKind::kSecret) {
    return fail(peek(), "secret memory is written once: secret(1)");
  }
  if (at_word("shared") && peek(1).kind != TokenKind::kEqual) {
    if (variable.kind != VariableKind::kAnon && !is_hugetlb(variable.kind)) {
      return fail(peek(), fmt::format("'{}' cannot be shared", kind.text));
    }
    take();
    declared.shared = true;
  }
  if (at_word("noreserve") && peek(1).kind != TokenKind::kEqual) {
    if (!is_hugetlb(variable.kind)) return fail(peek(), fmt::format("'{}' has no reservation", kind.text));
    take();
    declared.noreserve = true;
  }
  // Where a declaration follows, only the `;` is missing.
  if (at(TokenKind::kIdentifier) && peek(1).kind != TokenKind::kEqual) {
    if (variable.kind == VariableKind::kUnmapped) return fail(peek(), "what is not mapped has no protection");
    if (!parse_flags(protection_words(), declared.protection)) return false;
  }
  place(UnitKind::kVariable, name.begin, program_.variables.size() - 1);
  return true;
}

}  // namespace cowherd::litmus
