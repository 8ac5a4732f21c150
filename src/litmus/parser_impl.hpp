#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "litmus/expectation.hpp"
#include "litmus/layout.hpp"
#include "litmus/lexer.hpp"
#include "litmus/parser.hpp"
#include "litmus/spelling.hpp"

namespace cowherd::litmus {

/// A place as it is written, before it is known what it is for.
struct PlaceText {
  Token name;
  bool star = false;
  bool has_page = false;
  std::int64_t first = 0;
  std::int64_t last = 0;
  bool has_word = false;
  std::int64_t word = 0;
};

/// Recursive descent over the tokens of one text. Functions that can fail return false after reporting why; their
/// caller goes on behind the next `;` or at the next `}`.
class Parser {
 public:
  Parser(const SourceText& source, LexedText lexed);

  ParseResult run();
  /// Where the pieces of the text stood, in its order. Complete after a run() without diagnostics.
  [[nodiscard]] const std::vector<PlacedUnit>& layout() const { return layout_; }
  [[nodiscard]] const std::vector<Comment>& comments() const { return lexed_.comments; }
  /// Those of comments() that hold expectations.
  [[nodiscard]] const std::vector<std::size_t>& expectation_comments() const { return expectation_comments_; }

 private:
  enum class PlaceUse : std::uint8_t { kWord, kPages, kPage };

  // parser.cpp: the cursor, and the text from top to bottom.
  [[nodiscard]] const Token& peek(std::size_t ahead = 0) const;
  [[nodiscard]] bool at(TokenKind kind) const { return peek().kind == kind; }
  [[nodiscard]] bool at_word(std::string_view word, std::size_t ahead = 0) const;
  const Token& take();
  bool accept(TokenKind kind);
  bool expect(TokenKind kind, std::string_view what, std::string_view where);
  /// As expect(), for a mark that is often forgotten: reports behind the token before it and goes on.
  void expect_after(TokenKind kind, std::string_view what, std::string_view where);
  bool fail(const Token& token, std::string message, std::string_view suggestion = {});
  [[nodiscard]] bool full() const { return gave_up_ || diagnostics_.size() >= kMaxDiagnostics; }
  /// Goes to the end of the text without another word, where what follows would only repeat the last error.
  void give_up();
  void skip_statement();
  void skip_to_top_level();
  void place(UnitKind kind, std::size_t begin, std::size_t index = 0, std::size_t statement = 0);

  bool parse_header();
  void parse_expectations();
  bool parse_init();
  bool parse_declaration();
  /// The size of the hugetlb pool, `name` and the = being read.
  bool parse_hugepages(const Token& name);
  bool parse_folios(const Token& name);
  /// The frames of movable memory, likewise.
  bool parse_movable(const Token& name);
  bool parse_variable(const Token& name);
  [[nodiscard]] static std::string parts_of_hugetlb();
  bool parse_file(const Token& name);
  /// Behind the name of a file.
  bool parse_file_variable(const Token& name, Variable&& variable, std::uint8_t file);
  bool parse_file_mapping(Variable& variable, std::uint8_t file);
  bool parse_pages_in_file(const FileVariable& file, Place& place);
  bool parse_block();
  void parse_block_head(Block& block);
  bool parse_parameters();
  void parse_body(Block& block, std::size_t index);
  bool parse_tail_part();
  void resolve_block_names();

  // parse_statement.cpp
  bool parse_statement(Block& block, std::size_t index);
  bool parse_arguments(const StatementWord& word, const Block& block, std::size_t index, Operation& op);
  bool parse_suffixes(const StatementWord& word, Operation& op);
  bool parse_failure(Operation& op);
  bool parse_target(std::size_t index, std::size_t operation, bool second = false);
  /// `target`: whose memory is meant.
  bool parse_block_argument(std::size_t index, std::size_t operation, const StatementWord& word, bool target = false);
  bool parse_advice(Operation& op);
  bool parse_snapshot(const StatementWord& word, Operation& op);
  bool parse_memory(const StatementWord& word, PlaceUse use, Place& place);
  bool parse_device_name(const StatementWord& word, Operation& op);
  bool parse_device_word(const StatementWord& word, Operation& op);
  /// A word of a file where `word_allowed`, else pages of it.
  bool parse_file_place(std::string_view what, bool word_allowed, std::uint8_t& file, Place& place);
  bool parse_file_size(const StatementWord& word, Operation& op);
  bool parse_operand(const Block& block, Operand& operand);
  bool comma(const StatementWord& word);
  std::uint8_t assign_register(Block& block, const Token& name);
  template <class E>
  bool parse_flags(std::span<const FlagWord<E>> words, E& flags);
  bool explain_flag(const Token& token);
  bool parse_place_text(PlaceText& text);
  bool resolve_place(const PlaceText& text, PlaceUse use, std::string_view what, Place& place);
  bool parse_integer(std::int64_t& value, std::string_view what);
  bool parse_count(std::uint32_t& value, std::uint32_t most, std::string_view where);
  [[nodiscard]] std::vector<std::string_view> variable_names() const;
  [[nodiscard]] std::vector<std::string_view> device_names() const;
  [[nodiscard]] std::vector<std::string_view> file_names() const;
  /// Nothing where no file is called so.
  [[nodiscard]] std::optional<std::uint8_t> find_file(std::string_view name) const;
  [[nodiscard]] std::optional<std::uint8_t> find_block(std::string_view name) const;

  // parse_condition.cpp
  bool parse_condition(Condition& condition);
  bool parse_or(Condition& condition);
  bool parse_and(Condition& condition);
  bool parse_unary(Condition& condition);
  bool parse_primary(Condition& condition);
  bool parse_comparison(Condition& condition);
  bool parse_term(Term& term);
  bool parse_term_of_block(Term& term);
  bool parse_term_function(Term& term, Term::Kind kind);
  bool parse_finding(Term& term);
  bool parse_block_prefix(Term& term, bool colon);
  bool parse_locations();

  /// A block named before it was seen: by statement `operation` of block `block`, as its target or as what it starts.
  struct PendingBlock {
    std::size_t block = 0;
    std::size_t operation = 0;
    bool target = false;
    /// Of its second place.
    bool second = false;
    Token name;
  };

  const SourceText& source_;
  LexedText lexed_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  bool gave_up_ = false;
  Program program_;
  std::vector<Diagnostic> diagnostics_;
  std::vector<PlacedUnit> layout_;
  std::vector<std::size_t> expectation_comments_;
  std::vector<PendingBlock> pending_;
};

}  // namespace cowherd::litmus
