#include <fmt/format.h>

#include <algorithm>

#include "litmus/parser_impl.hpp"

namespace cowherd::litmus {
namespace {

/// Bounds the stack. Parentheses that add nothing to the condition's own depth are free up to here.
constexpr std::size_t kMaxRecursion = 4 * kMaxNesting;

std::size_t depth_of(const Condition& condition) {
  std::size_t deepest = 0;
  for (const Condition& child : condition.children) deepest = std::max(deepest, 1 + depth_of(child));
  return deepest;
}

bool is_word(const Token& token, std::string_view word) {
  return token.kind == TokenKind::kIdentifier && token.text == word;
}

/// Joins conditions with one connective: one of them stands for itself.
Condition join(Condition::Kind kind, std::vector<Condition> children) {
  if (children.size() == 1) return std::move(children.front());
  Condition joined;
  joined.kind = kind;
  joined.children = std::move(children);
  return joined;
}

}  // namespace

bool Parser::parse_condition(Condition& condition) {
  const Token first = peek();
  depth_ = 0;
  if (!parse_or(condition)) return false;
  if (depth_of(condition) > kMaxNesting) return fail(first, fmt::format("nested deeper than {} levels", kMaxNesting));
  return true;
}

bool Parser::parse_or(Condition& condition) {
  std::vector<Condition> children;
  do {
    if (!parse_and(children.emplace_back())) return false;
  } while (accept(TokenKind::kOr));
  condition = join(Condition::Kind::kOr, std::move(children));
  return true;
}

bool Parser::parse_and(Condition& condition) {
  std::vector<Condition> children;
  do {
    if (!parse_unary(children.emplace_back())) return false;
  } while (accept(TokenKind::kAnd));
  condition = join(Condition::Kind::kAnd, std::move(children));
  return true;
}

bool Parser::parse_unary(Condition& condition) {
  if (++depth_ > kMaxRecursion) return fail(peek(), fmt::format("nested deeper than {} levels", kMaxNesting));
  bool sound = false;
  if (at(TokenKind::kNot) || is_word(peek(), "not")) {
    take();
    condition.kind = Condition::Kind::kNot;
    sound = parse_unary(condition.children.emplace_back());
  } else {
    sound = parse_primary(condition);
  }
  --depth_;
  return sound;
}

bool Parser::parse_primary(Condition& condition) {
  if (accept(TokenKind::kLeftParen)) {
    return parse_or(condition) && expect(TokenKind::kRightParen, "')'", "in the condition");
  }
  if (is_word(peek(), "true")) {
    take();
    condition.kind = Condition::Kind::kTrue;
    return true;
  }
  return parse_comparison(condition);
}

bool Parser::parse_comparison(Condition& condition) {
  condition.kind = Condition::Kind::kCompare;
  if (!parse_term(condition.left)) return false;
  switch (peek().kind) {
    case TokenKind::kEqual:
      condition.compare = Condition::Compare::kEqual;
      break;
    case TokenKind::kNotEqual:
      condition.compare = Condition::Compare::kNotEqual;
      break;
    case TokenKind::kLess:
      condition.compare = Condition::Compare::kLess;
      break;
    case TokenKind::kLessEqual:
      condition.compare = Condition::Compare::kLessEqual;
      break;
    case TokenKind::kGreater:
      condition.compare = Condition::Compare::kGreater;
      break;
    case TokenKind::kGreaterEqual:
      condition.compare = Condition::Compare::kGreaterEqual;
      break;
    default:
      // A bare term means that it is not 0.
      condition.compare = Condition::Compare::kNotEqual;
      return true;
  }
  take();
  return parse_term(condition.right);
}

bool Parser::parse_term(Term& term) {
  const Token first = peek();
  const TokenKind next = peek(1).kind;
  if (next == TokenKind::kColon) return parse_term_of_block(term);
  if (first.kind == TokenKind::kNumber || first.kind == TokenKind::kMinus) {
    term.kind = Term::Kind::kLiteral;
    return parse_integer(term.literal, "a number");
  }
  if (next != TokenKind::kLeftParen &&
      find_file(first.kind == TokenKind::kStar ? peek(1).text : first.text).has_value()) {
    term.kind = Term::Kind::kFileWord;
    return parse_file_place("a condition", true, term.file, term.place);
  }
  if (first.kind != TokenKind::kIdentifier) {
    return fail(first, fmt::format("expected a term such as 0:r0, not {}", quote(first)));
  }
  if (next == TokenKind::kLeftParen) {
    for (const FlagWord<Term::Kind>& word : term_words()) {
      if (word.name == first.text) return parse_term_function(term, word.flag);
    }
    return fail(first, fmt::format("no term is called {}", quote(first)),
                closest_name(first.text, names_of(term_words())));
  }
  return fail(first, fmt::format("a term says whose: 0:{}", first.text.substr(0, 60)));
}

bool Parser::parse_block_prefix(Term& term, bool colon) {
  const Token block = take();
  std::optional<std::uint8_t> found;
  if (block.kind == TokenKind::kNumber) {
    found = find_block(fmt::format("P{}", block.text.substr(0, 20)));
  } else if (block.kind == TokenKind::kIdentifier) {
    found = find_block(block.text);
  } else {
    return fail(block, fmt::format("expected a block such as P0, not {}", quote(block)));
  }
  if (!found.has_value()) {
    return fail(block, block.kind == TokenKind::kNumber ? fmt::format("there is no block P{}", block.text.substr(0, 20))
                                                        : fmt::format("there is no block {}", quote(block)));
  }
  term.block = *found;
  return !colon || expect(TokenKind::kColon, "':'", fmt::format("after '{}'", block.text));
}

bool Parser::parse_term_of_block(Term& term) {
  if (!parse_block_prefix(term, true)) return false;
  const Block& block = program_.blocks[term.block];
  const Token name = peek();
  if (name.kind == TokenKind::kIdentifier && is_register_name(name.text)) {
    take();
    const auto found = std::find(block.registers.begin(), block.registers.end(), name.text);
    if (found == block.registers.end()) {
      return fail(name,
                  fmt::format("{} has no register {}; it has {}", block.name, name.text,
                              block.registers.empty() ? "none" : fmt::format("{}", fmt::join(block.registers, ", "))));
    }
    term.kind = Term::Kind::kRegister;
    term.reg = static_cast<std::uint8_t>(found - block.registers.begin());
    return true;
  }
  PlaceText text;
  term.kind = Term::Kind::kMemory;
  if (!parse_place_text(text) || !resolve_place(text, PlaceUse::kWord, "a condition", term.place)) return false;
  return block.kind == BlockKind::kProcess || fail(name, fmt::format("{} has no memory of its own", block.name));
}

bool Parser::parse_term_function(Term& term, Term::Kind kind) {
  const Token name = take();
  take();
  term.kind = kind;
  if (kind == Term::Kind::kFinding) return parse_finding(term);
  if (kind == Term::Kind::kPool) {
    const Token count = peek();
    if (!at_word("free") && !at_word("reserved")) return fail(count, "expected free or reserved", "free");
    term.label = std::string(take().text);
    return expect(TokenKind::kRightParen, "')'", "after what is counted of the pool");
  }
  if (kind == Term::Kind::kDiskWord) {
    return parse_file_place(name.text, true, term.file, term.place) &&
           expect(TokenKind::kRightParen, "')'", fmt::format("after the argument of {}", name.text));
  }
  const bool of_block = kind == Term::Kind::kFaults || kind == Term::Kind::kRss || kind == Term::Kind::kWaiting;
  const Token block = peek();
  if (!parse_block_prefix(term, !of_block)) return false;
  if (program_.blocks[term.block].kind != BlockKind::kProcess) {
    return fail(block, fmt::format("{} takes a process, not {}", name.text, program_.blocks[term.block].name));
  }
  if (!of_block) {
    PlaceText text;
    if (!parse_place_text(text)) return false;
    if (text.has_word || text.star) {
      return fail(text.name, fmt::format("{} takes a page, not a word", name.text), text.name.text);
    }
    if (!resolve_place(text, PlaceUse::kWord, name.text, term.place)) return false;
  }
  return expect(TokenKind::kRightParen, "')'", fmt::format("after the argument of {}", name.text));
}

bool Parser::parse_finding(Term& term) {
  const Token first = peek();
  std::size_t end = first.begin;
  while (!at(TokenKind::kRightParen) && !at(TokenKind::kSemicolon) && !at(TokenKind::kEnd)) end = take().end;
  const std::string_view label = source_.text().substr(first.begin, end - first.begin);
  const bool sound = !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!sound) return fail(first, "expected a finding's name: letters, digits, - and _");
  term.label = std::string(label);
  return expect(TokenKind::kRightParen, "')'", "after the finding's name");
}

bool Parser::parse_locations() {
  if (!expect(TokenKind::kLeftBracket, "'['", "after 'locations'")) return false;
  while (!accept(TokenKind::kRightBracket)) {
    const Token first = peek();
    Term term;
    if (!parse_term(term)) return false;
    if (term.kind == Term::Kind::kLiteral) return fail(first, "a number is no location");
    program_.locations.push_back(std::move(term));
    if (at(TokenKind::kRightBracket)) continue;
    if (!expect(TokenKind::kSemicolon, "';' or ']'", "after a location")) return false;
  }
  return true;
}

}  // namespace cowherd::litmus
