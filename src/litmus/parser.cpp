#include "litmus/parser.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "litmus/parser_impl.hpp"
#include "litmus/resolve.hpp"

namespace cowherd::litmus {
namespace {

constexpr std::size_t kMaxNameLength = 200;

std::uint32_t width(const Token& token) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(token.end - token.begin, 200));
}

}  // namespace

std::string ParseResult::to_text() const {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += diagnostic.to_text();
  return out;
}

ParseResult parse(std::string_view text, std::string_view file) {
  const SourceText source(text, file);
  return Parser(source, lex(source)).run();
}

Parser::Parser(const SourceText& source, LexedText lexed)
    : source_(source), lexed_(std::move(lexed)), diagnostics_(lexed_.diagnostics) {}

const Token& Parser::peek(std::size_t ahead) const {
  return lexed_.tokens[std::min(at_ + ahead, lexed_.tokens.size() - 1)];
}

bool Parser::at_word(std::string_view word, std::size_t ahead) const {
  return peek(ahead).kind == TokenKind::kIdentifier && peek(ahead).text == word;
}

const Token& Parser::take() {
  const Token& token = peek();
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool Parser::accept(TokenKind kind) {
  if (!at(kind)) return false;
  take();
  return true;
}

bool Parser::fail(const Token& token, std::string message, std::string_view suggestion) {
  // A text that was cut badly ends early; that was said already.
  const bool repeats = token.kind == TokenKind::kEnd && !lexed_.diagnostics.empty();
  if (!full() && !repeats) {
    diagnostics_.push_back(
        source_.diagnose(token.position, std::max(1u, width(token)), std::move(message), std::string(suggestion)));
  }
  return false;
}

bool Parser::expect(TokenKind kind, std::string_view what, std::string_view where) {
  if (accept(kind)) return true;
  return fail(peek(), fmt::format("expected {} {}, not {}", what, where, quote(peek())));
}

void Parser::expect_after(TokenKind kind, std::string_view what, std::string_view where) {
  if (accept(kind) || full()) return;
  const Token& last = lexed_.tokens[at_ - 1];
  Position position = last.position;
  position.column += static_cast<std::uint32_t>(last.end - last.begin);
  diagnostics_.push_back(source_.diagnose(position, 1, fmt::format("expected {} {}", what, where)));
}

void Parser::give_up() {
  at_ = lexed_.tokens.size() - 1;
  gave_up_ = true;
}

void Parser::skip_statement() {
  while (!at(TokenKind::kEnd) && !at(TokenKind::kRightBrace)) {
    if (take().kind == TokenKind::kSemicolon) return;
  }
}

void Parser::skip_to_top_level() {
  while (!at(TokenKind::kEnd)) {
    if (take().kind == TokenKind::kRightBrace) return;
  }
}

void Parser::place(UnitKind kind, std::size_t begin, std::size_t index, std::size_t statement) {
  const std::size_t end = at_ > 0 ? lexed_.tokens[at_ - 1].end : 0;
  layout_.push_back({{kind, index, statement}, begin, std::max(begin, end)});
}

ParseResult Parser::run() {
  ParseResult result;
  if (!lexed_.tokens.empty() && parse_header()) {
    parse_expectations();
    if (parse_init()) {
      while (!full() && parse_block()) {
      }
      while (!full() && !at(TokenKind::kEnd) && parse_tail_part()) {
      }
      resolve_block_names();
    }
  }
  if (diagnostics_.empty()) {
    place(UnitKind::kEnd, peek().begin);
    for (Problem& problem : resolve(program_)) {
      if (full()) break;
      const Position position = problem.position.line > 0 ? problem.position : Position{1, 1};
      diagnostics_.push_back(source_.diagnose(position, 0, std::move(problem.message)));
    }
  }
  std::stable_sort(diagnostics_.begin(), diagnostics_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return a.position.line != b.position.line ? a.position.line < b.position.line
                                              : a.position.column < b.position.column;
  });
  result.diagnostics = std::move(diagnostics_);
  if (result.diagnostics.empty()) result.program = std::move(program_);
  return result;
}

bool Parser::parse_header() {
  const std::size_t begin = peek().begin;
  if (!at_word("COW")) return fail(peek(), fmt::format("a test begins with 'COW name', not {}", quote(peek())));
  take();
  const Token& name = peek();
  if (name.kind != TokenKind::kTestName)
    return fail(name, fmt::format("expected the test's name, not {}", quote(name)));
  if (name.text.size() > kMaxNameLength) {
    return fail(name, fmt::format("a test's name has at most {} characters", kMaxNameLength));
  }
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.+").find(c) != std::string_view::npos;
  };
  if (!std::all_of(name.text.begin(), name.text.end(), allowed)) {
    fail(name, "a test's name consists of letters, digits, '-', '_', '.' and '+'");
  }
  program_.name = std::string(take().text);
  place(UnitKind::kHeader, begin);
  if (at(TokenKind::kString)) {
    const std::size_t doc = peek().begin;
    program_.doc = std::string(take().text);
    place(UnitKind::kDoc, doc);
  }
  return true;
}

void Parser::parse_expectations() {
  bool seen_result = false;
  bool seen_grain = false;
  for (std::size_t i = 0; i < lexed_.comments.size(); ++i) {
    const Comment& comment = lexed_.comments[i];
    const std::optional<KeyedComment> keyed = read_keyed_comment(comment.text);
    if (!keyed.has_value()) continue;
    Token token;
    token.position = comment.position;
    token.begin = comment.begin;
    token.end = comment.begin + 2;
    const bool in_header = comment.begin < peek().begin;
    if (!in_header) {
      if (keyed->key == "Result" || keyed->key == "Rules" || keyed->key == "Grain") {
        fail(token, fmt::format("'{}:' belongs before the init block", keyed->key));
      }
      continue;
    }
    if (keyed->key.empty()) {
      fail(token, "this looks like an expectation, but its first word is none of Result, Rules, Grain, Source, Remark",
           keyed->meant);
      continue;
    }
    expectation_comments_.push_back(i);
    std::string error;
    std::string suggestion;
    if (keyed->key == "Result") {
      program_.result = find_verdict(keyed->value);
      if (seen_result) error = "a second 'Result:'";
      if (!program_.result.has_value()) {
        error = fmt::format("'{}' is no verdict: Never, Sometimes or Always", keyed->value.substr(0, 40));
        suggestion = std::string(closest_name(keyed->value, names_of(verdict_words())));
      }
      seen_result = true;
    } else if (keyed->key == "Rules") {
      parse_rules_line(keyed->value, program_.expectations, error, suggestion);
    } else if (keyed->key == "Grain") {
      const std::optional<Grain> grain = find_grain(keyed->value);
      program_.grain = grain.value_or(Grain::kOperation);
      if (seen_grain) error = "a second 'Grain:'";
      if (!grain.has_value()) {
        error = fmt::format("'{}' is no grain: operation or step", keyed->value.substr(0, 40));
        suggestion = std::string(closest_name(keyed->value, names_of(grain_words())));
      }
      seen_grain = true;
    } else {
      std::string& text = keyed->key == "Source" ? program_.source : program_.remark;
      if (!text.empty()) error = fmt::format("a second '{}:'", keyed->key);
      text = keyed->value;
    }
    if (!error.empty()) fail(token, std::move(error), suggestion);
  }
}

bool Parser::parse_init() {
  std::size_t begin = peek().begin;
  if (!expect(TokenKind::kLeftBrace, "the init block '{ ... }'", "before the first block")) return false;
  place(UnitKind::kInitOpen, begin);
  while (!full() && !at(TokenKind::kRightBrace) && !at(TokenKind::kEnd)) {
    if (accept(TokenKind::kSemicolon)) continue;
    if (!parse_declaration()) skip_statement();
  }
  begin = peek().begin;
  if (!expect(TokenKind::kRightBrace, "'}'", "at the end of the init block")) return false;
  place(UnitKind::kInitClose, begin);
  return true;
}

bool Parser::parse_declaration() {
  const Token name = peek();
  if (name.kind != TokenKind::kIdentifier) {
    return fail(name, fmt::format("expected a name to declare, not {}", quote(name)));
  }
  take();
  if (is_reserved(name.text)) return fail(name, fmt::format("'{}' is a word of the language, not a name", name.text));
  const std::vector<std::string_view> variables = variable_names();
  const std::vector<std::string_view> devices = device_names();
  if (std::find(variables.begin(), variables.end(), name.text) != variables.end() ||
      std::find(devices.begin(), devices.end(), name.text) != devices.end() || find_file(name.text).has_value()) {
    return fail(name, fmt::format("'{}' is declared twice", name.text));
  }
  if (!expect(TokenKind::kEqual, "'='", fmt::format("after '{}'", name.text.substr(0, 60)))) return false;
  if (name.text == "hugepages" && at(TokenKind::kNumber)) {
    if (!parse_hugepages(name)) return false;
  } else if (name.text == "folios" && at(TokenKind::kNumber)) {
    if (!parse_folios(name)) return false;
  } else if (name.text == "movable" && at(TokenKind::kNumber)) {
    if (!parse_movable(name)) return false;
  } else if (at_word("device")) {
    if (program_.devices.size() >= kMaxDevices) return fail(name, fmt::format("more than {} devices", kMaxDevices));
    take();
    program_.devices.emplace_back(name.text);
    place(UnitKind::kDevice, name.begin, program_.devices.size() - 1);
  } else if (at_word("memfd") || at_word("file") || at_word("hugetlbfs")) {
    if (program_.files.size() >= kMaxFiles) return fail(name, fmt::format("more than {} files", kMaxFiles));
    if (!parse_file(name)) return false;
  } else {
    if (program_.variables.size() >= kMaxVariables) {
      return fail(name, fmt::format("more than {} variables", kMaxVariables));
    }
    if (!parse_variable(name)) return false;
  }
  if (at(TokenKind::kRightBrace) || at(TokenKind::kEnd)) return true;
  expect_after(TokenKind::kSemicolon, "';'", "after the declaration");
  return true;
}

bool Parser::parse_block() {
  const bool kernel = at_word("kernel");
  const bool device = at_word("device");
  const std::size_t word = kernel || device ? 1 : 0;
  // `exists (` and the like begin the tail; any other word before a parenthesis was meant to be a block.
  const bool is_block = peek(word).kind == TokenKind::kIdentifier && is_block_name(peek(word).text);
  if (!is_block) {
    if (at(TokenKind::kEnd) || at_word("filter") || at_word("locations") || at_word("exists") || at_word("forall") ||
        at(TokenKind::kNot)) {
      return false;
    }
    if (at(TokenKind::kIdentifier) && peek(1).kind == TokenKind::kLeftParen &&
        !closest_name(peek().text, {"filter", "exists", "forall"}).empty()) {
      return false;
    }
    fail(peek(word), fmt::format("expected a block such as 'P{}() {{ ... }}' or a condition, not {}",
                                 program_.blocks.size(), quote(peek(word))));
    skip_to_top_level();
    return true;
  }

  const std::size_t begin = peek().begin;
  Block block;
  block.kind = kernel ? BlockKind::kKernel : device ? BlockKind::kDevice : BlockKind::kProcess;
  at_ += word;
  parse_block_head(block);
  take();
  const std::size_t index = program_.blocks.size();
  if (!parse_parameters()) {
    while (!at(TokenKind::kLeftBrace) && !at(TokenKind::kRightBrace) && !at(TokenKind::kEnd)) take();
  }
  place(UnitKind::kBlockHead, begin, index);
  const std::size_t open = peek().begin;
  if (expect(TokenKind::kLeftBrace, "'{'", fmt::format("at the start of {}", block.name))) {
    place(UnitKind::kBlockOpen, open, index);
    parse_body(block, index);
    const std::size_t close = peek().begin;
    if (!full()) expect(TokenKind::kRightBrace, "'}'", fmt::format("at the end of {}", block.name));
    place(UnitKind::kBlockClose, close, index);
  } else {
    skip_to_top_level();
  }
  if (program_.blocks.size() == kMaxBlocks) {
    fail(lexed_.tokens[at_ - 1], fmt::format("more than {} blocks", kMaxBlocks));
    give_up();
    return false;
  }
  program_.blocks.push_back(std::move(block));
  return true;
}

void Parser::parse_block_head(Block& block) {
  const Token& name = peek();
  block.name = std::string(name.text);
  const char letter = block.kind == BlockKind::kProcess ? 'P' : block.kind == BlockKind::kDevice ? 'D' : 'K';
  std::size_t number = 0;
  bool later_kind = false;
  for (const Block& other : program_.blocks) {
    if (other.kind == block.kind) ++number;
    later_kind = later_kind || other.kind > block.kind;
  }
  const std::string expected = fmt::format("{}{}", letter, number);
  if (block.name[0] != letter) {
    fail(name, block.kind == BlockKind::kProcess
                   ? fmt::format("{} needs 'device' or 'kernel' before it", block.name)
                   : fmt::format("a {} block is called {}, not {}",
                                 block.kind == BlockKind::kDevice ? "device" : "kernel", expected, block.name));
  } else if (block.name != expected) {
    fail(name, fmt::format("blocks are numbered in order: expected {}, not {}", expected, block.name));
  } else if (later_kind) {
    fail(name, "process blocks come first, then devices, then kernel blocks");
  }
}

bool Parser::parse_parameters() {
  if (!expect(TokenKind::kLeftParen, "'('", "after the block's name")) return false;
  while (!accept(TokenKind::kRightParen)) {
    const Token type = peek();
    const bool page = at_word("page");
    const bool file = at_word("file");
    if (!page && !file && !at_word("dev")) {
      return fail(type, fmt::format("expected 'page *x', 'file *f' or 'dev *d', not {}", quote(type)));
    }
    take();
    if (!expect(TokenKind::kStar, "'*'", fmt::format("after '{}'", type.text))) return false;
    const Token name = peek();
    if (!expect(TokenKind::kIdentifier, "a name", "after '*'")) return false;
    const std::vector<std::string_view> names = page ? variable_names() : file ? file_names() : device_names();
    if (std::find(names.begin(), names.end(), name.text) == names.end()) {
      fail(name,
           fmt::format("the init block declares no {} '{}'",
                       page   ? "page"
                       : file ? "file"
                              : "device",
                       name.text.substr(0, 60)),
           closest_name(name.text, names));
    }
    if (at(TokenKind::kRightParen)) continue;
    if (!expect(TokenKind::kComma, "','", "between arguments")) return false;
  }
  return true;
}

void Parser::parse_body(Block& block, std::size_t index) {
  while (!full() && !at(TokenKind::kRightBrace) && !at(TokenKind::kEnd)) {
    if (accept(TokenKind::kSemicolon)) continue;
    if (!parse_statement(block, index)) {
      skip_statement();
      continue;
    }
    expect_after(TokenKind::kSemicolon, "';'", "after the statement");
  }
}

bool Parser::parse_tail_part() {
  const Token first = peek();
  const bool has_condition = program_.quantifier != Quantifier::kNone;
  const bool tilde = at(TokenKind::kNot) && at_word("exists", 1);
  if (tilde || at_word("exists") || at_word("forall")) {
    if (has_condition) return fail(first, "a test has one condition");
    program_.quantifier = tilde                    ? Quantifier::kNotExists
                          : first.text == "exists" ? Quantifier::kExists
                                                   : Quantifier::kForall;
    at_ += tilde ? 2 : 1;
    if (!parse_condition(program_.condition)) return false;
    place(UnitKind::kCondition, first.begin);
    return true;
  }
  if (at_word("filter")) {
    if (has_condition) return fail(first, "'filter' belongs before the condition");
    if (program_.filter.has_value()) return fail(first, "a second 'filter'");
    take();
    program_.filter.emplace();
    if (!parse_condition(*program_.filter)) return false;
    place(UnitKind::kFilter, first.begin);
    return true;
  }
  if (at_word("locations")) {
    if (has_condition) return fail(first, "'locations' belongs before the condition");
    if (!program_.locations.empty()) return fail(first, "a second 'locations'");
    take();
    if (!parse_locations()) return false;
    place(UnitKind::kLocations, first.begin);
    return true;
  }
  return fail(first, fmt::format("expected exists, ~exists, forall, filter or locations, not {}", quote(first)),
              closest_name(first.text, {"exists", "forall", "filter", "locations"}));
}

void Parser::resolve_block_names() {
  for (const PendingBlock& pending : pending_) {
    const std::optional<std::uint8_t> block = find_block(pending.name.text);
    if (!block.has_value()) {
      fail(pending.name, fmt::format("there is no block {}", pending.name.text));
      continue;
    }
    if (pending.block >= program_.blocks.size()) continue;
    std::vector<Operation>& operations = program_.blocks[pending.block].operations;
    if (pending.operation >= operations.size()) continue;
    Operation& op = operations[pending.operation];
    if (pending.second) {
      op.to_target = *block;
    } else if (pending.target) {
      op.target = *block;
    } else {
      op.block = *block;
    }
  }
}

}  // namespace cowherd::litmus
