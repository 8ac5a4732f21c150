#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "litmus/parser_impl.hpp"
#include "litmus/symbols.hpp"

namespace cowherd::litmus {
namespace {

std::vector<std::string_view> statement_names() {
  std::vector<std::string_view> names;
  for (const StatementWord& word : statement_words()) names.push_back(word.name);
  return names;
}

}  // namespace

bool Parser::parse_statement(Block& block, std::size_t index) {
  const Token first = peek();
  Operation op;
  op.position = first.position;
  const bool assigns = first.kind == TokenKind::kIdentifier && peek(1).kind == TokenKind::kEqual;
  if (assigns) {
    at_ += 2;
    if (!is_register_name(first.text)) {
      fail(first, fmt::format("a result goes to a register r0, r1, ..., not to '{}'", first.text.substr(0, 60)));
    }
  }
  const Token name = peek();
  const StatementWord* word = name.kind == TokenKind::kIdentifier ? find_statement(name.text) : nullptr;
  bool sound = word != nullptr;
  if (word == nullptr) {
    if (name.kind != TokenKind::kIdentifier) {
      fail(name, fmt::format("expected a statement, not {}", quote(name)));
    } else {
      const std::string_view near = closest_name(name.text, statement_names());
      fail(name,
           fmt::format("no statement is called '{}'{}", name.text.substr(0, 60),
                       near.empty() ? " (cowherd syntax lists them)" : ""),
           near);
    }
  } else {
    take();
    op.code = word->code;
    if (word->get) op.pin_flags = PinFlags::kGet;
    sound = parse_arguments(*word, block, index, op) && parse_suffixes(*word, op);
  }
  // Also after an error, so that reading the register is not another one.
  if (assigns && is_register_name(first.text)) {
    if (block.registers.size() >= kMaxRegisters &&
        std::find(block.registers.begin(), block.registers.end(), first.text) == block.registers.end()) {
      return fail(first, fmt::format("more than {} registers in {}", kMaxRegisters, block.name));
    }
    op.result = assign_register(block, first);
  }
  if (!sound) return false;
  if (program_.operation_count() + block.operations.size() >= kMaxOperations) {
    fail(first, fmt::format("more than {} statements", kMaxOperations));
    give_up();
    return false;
  }
  place(UnitKind::kStatement, first.begin, index, block.operations.size());
  block.operations.push_back(op);
  return true;
}

std::uint8_t Parser::assign_register(Block& block, const Token& name) {
  const auto found = std::find(block.registers.begin(), block.registers.end(), name.text);
  const auto number = static_cast<std::uint8_t>(found - block.registers.begin());
  if (found == block.registers.end()) block.registers.emplace_back(name.text);
  return number;
}

bool Parser::comma(const StatementWord& word) {
  return expect(TokenKind::kComma, "','", fmt::format("in {}{}", word.name, describe(word.arguments)));
}

bool Parser::parse_arguments(const StatementWord& word, const Block& block, std::size_t index, Operation& op) {
  if (!expect(TokenKind::kLeftParen, "'('", fmt::format("after '{}'", word.name))) return false;
  bool sound = true;
  switch (word.arguments) {
    case Arguments::kNone:
      break;
    case Arguments::kWord:
      sound = parse_memory(word, PlaceUse::kWord, op.place);
      break;
    case Arguments::kWordValue:
      sound = parse_memory(word, PlaceUse::kWord, op.place) && comma(word) && parse_operand(block, op.value);
      break;
    case Arguments::kPagesProtectionFlags:
      sound = parse_memory(word, PlaceUse::kPages, op.place) && comma(word) &&
              parse_flags(protection_words(), op.protection);
      if (sound && accept(TokenKind::kComma)) sound = parse_flags(map_flag_words(), op.map_flags);
      break;
    case Arguments::kPages:
      sound = parse_memory(word, PlaceUse::kPages, op.place);
      break;
    case Arguments::kPagesProtection:
      sound = parse_memory(word, PlaceUse::kPages, op.place) && comma(word) &&
              parse_flags(protection_words(), op.protection);
      break;
    case Arguments::kPagesAdvice:
      sound = parse_memory(word, PlaceUse::kPages, op.place) && comma(word) && parse_advice(op);
      break;
    case Arguments::kPagesPagesFlags:
      sound = parse_memory(word, PlaceUse::kPages, op.place) && comma(word) &&
              parse_memory(word, PlaceUse::kPages, op.to) && comma(word) &&
              parse_flags(remap_flag_words(), op.remap_flags);
      break;
    case Arguments::kBlock:
      sound = parse_block_argument(index, block.operations.size(), word);
      break;
    case Arguments::kDevicePagesFlags:
      sound = parse_device_name(word, op) && comma(word) && parse_target(index, block.operations.size()) &&
              parse_memory(word, PlaceUse::kPages, op.place);
      if (sound && accept(TokenKind::kComma)) {
        const Token flags = peek();
        sound = parse_flags(pin_flag_words(), op.pin_flags);
        if (sound && word.get && has(op.pin_flags, PinFlags::kLongTerm)) {
          sound = fail(flags, "FOLL_LONGTERM is for pin(): a get is a short reference");
        }
      }
      break;
    case Arguments::kDevice:
      sound = parse_device_name(word, op);
      break;
    case Arguments::kDeviceWord:
      sound = parse_device_word(word, op);
      break;
    case Arguments::kDeviceWordValue:
      sound = parse_device_word(word, op) && comma(word) && parse_operand(block, op.value);
      break;
    case Arguments::kOtherWord:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kWord, op.place);
      break;
    case Arguments::kOtherWordValue:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kWord, op.place) &&
              comma(word) && parse_operand(block, op.value);
      break;
    case Arguments::kOtherPage:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kPage, op.place);
      break;
    case Arguments::kOtherPages:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kPages, op.place);
      break;
    case Arguments::kTwoOtherPages:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kPage, op.place) &&
              comma(word) && parse_target(index, block.operations.size(), true) &&
              parse_memory(word, PlaceUse::kPage, op.to);
      break;
    case Arguments::kPagesUffdFlags:
      sound = parse_memory(word, PlaceUse::kPages, op.place) && comma(word) && parse_flags(uffd_flag_words(), op.uffd);
      break;
    case Arguments::kHandledWord:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kWord, op.place);
      break;
    case Arguments::kHandledWordValue:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kWord, op.place) &&
              comma(word) && parse_operand(block, op.value);
      break;
    case Arguments::kHandledPage:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kPage, op.place);
      break;
    case Arguments::kHandledPages:
      sound = parse_target(index, block.operations.size()) && parse_memory(word, PlaceUse::kPages, op.place);
      break;
    case Arguments::kTwoPages:
      sound =
          parse_memory(word, PlaceUse::kPage, op.place) && comma(word) && parse_memory(word, PlaceUse::kPage, op.to);
      break;
    case Arguments::kHandler:
      sound = parse_block_argument(index, block.operations.size(), word, true);
      break;
    case Arguments::kSnapshot:
      sound = parse_snapshot(word, op);
      break;
    case Arguments::kFileWord:
      sound = parse_file_place(word.name, true, op.file, op.place);
      break;
    case Arguments::kFileWordValue:
      sound = parse_file_place(word.name, true, op.file, op.place) && comma(word) && parse_operand(block, op.value);
      break;
    case Arguments::kFilePages:
      sound = parse_file_place(word.name, false, op.file, op.place);
      break;
    case Arguments::kFileSize:
      sound = parse_file_size(word, op);
      break;
    case Arguments::kFile:
      sound = parse_file_place(word.name, false, op.file, op.place);
      op.place = {};
      break;
  }
  return sound && expect(TokenKind::kRightParen, "')'", fmt::format("in {}{}", word.name, describe(word.arguments)));
}

bool Parser::parse_suffixes(const StatementWord& word, Operation& op) {
  bool seen_times = false;
  while (at(TokenKind::kIdentifier)) {
    const Token name = peek();
    if (name.text == "times") {
      if (word.code != OpCode::kPin) return fail(name, "'times' is for pin and get");
      if (seen_times) return fail(name, "a second 'times'");
      take();
      if (!parse_count(op.times, kMaxTimes, "after 'times'")) return false;
      seen_times = true;
    } else if (name.text == "fail_nth") {
      if (op.fail_nth != 0 || op.fail_any) return fail(name, "a second 'fail_nth'");
      take();
      if (!parse_failure(op)) return false;
    } else if (peek(1).kind == TokenKind::kLeftParen || peek(1).kind == TokenKind::kEqual) {
      // A statement begins here: only the `;` before it is missing.
      return true;
    } else {
      return fail(name, fmt::format("expected ';', 'times' or 'fail_nth', not {}", quote(name)),
                  closest_name(name.text, {"times", "fail_nth"}));
    }
  }
  return true;
}

bool Parser::parse_failure(Operation& op) {
  if (!accept(TokenKind::kLeftParen)) return parse_count(op.fail_nth, kMaxTimes, "after 'fail_nth'");
  if (!at_word("any")) return fail(peek(), fmt::format("expected 'any' after 'fail_nth(', not {}", quote(peek())));
  take();
  op.fail_any = true;
  return expect(TokenKind::kRightParen, "')'", "after 'any'");
}

bool Parser::parse_target(std::size_t index, std::size_t operation, bool second) {
  if (peek(1).kind != TokenKind::kColon) return true;
  const Token name = take();
  take();
  if (name.kind != TokenKind::kIdentifier || !is_block_name(name.text)) {
    return fail(name, fmt::format("expected a process such as P1 before ':', not {}", quote(name)));
  }
  pending_.push_back({index, operation, true, second, name});
  return true;
}

bool Parser::parse_block_argument(std::size_t index, std::size_t operation, const StatementWord& word, bool target) {
  const Token name = peek();
  if (name.kind != TokenKind::kIdentifier || !is_block_name(name.text)) {
    return fail(name, fmt::format("{} takes a block such as P1, not {}", word.name, quote(name)));
  }
  take();
  pending_.push_back({index, operation, target, false, name});
  return true;
}

bool Parser::parse_snapshot(const StatementWord& word, Operation& op) {
  const Token name = peek();
  if (name.kind != TokenKind::kIdentifier || !is_snapshot_name(name.text)) {
    return fail(name, fmt::format("{} takes the name of a snapshot, S0 to S9, not {}", word.name, quote(name)));
  }
  take();
  op.snapshot = static_cast<std::uint8_t>(name.text[1] - '0');
  return true;
}

bool Parser::parse_device_name(const StatementWord& word, Operation& op) {
  const Token name = peek();
  if (name.kind != TokenKind::kIdentifier) {
    return fail(name, fmt::format("{}{} takes a device, not {}", word.name, describe(word.arguments), quote(name)));
  }
  take();
  const std::vector<std::string_view> devices = device_names();
  const auto found = std::find(devices.begin(), devices.end(), name.text);
  if (found == devices.end()) {
    const std::vector<std::string_view> variables = variable_names();
    if (std::find(variables.begin(), variables.end(), name.text) != variables.end()) {
      return fail(
          name, fmt::format("'{}' is memory, but {}{} takes a device", name.text, word.name, describe(word.arguments)));
    }
    return fail(name, fmt::format("no device is called {}", quote(name)), closest_name(name.text, devices));
  }
  op.device = static_cast<std::uint8_t>(found - devices.begin());
  return true;
}

bool Parser::parse_device_word(const StatementWord& word, Operation& op) {
  const Token first = peek();
  PlaceText text;
  if (at(TokenKind::kStar)) take();
  if (!parse_device_name(word, op)) return false;
  --at_;
  if (!parse_place_text(text)) return false;
  if (text.last != text.first) return fail(first, fmt::format("{} takes one word, not several pages", word.name));
  if (text.first >= static_cast<std::int64_t>(kMaxPages)) {
    return fail(first, fmt::format("a device holds at most {} pages, counted from 0", kMaxPages));
  }
  if (text.word >= static_cast<std::int64_t>(kWordsPerPage)) {
    return fail(first, fmt::format("a page has words 0 to {}", kWordsPerPage - 1));
  }
  op.place.page = static_cast<std::uint8_t>(text.first);
  op.place.word = static_cast<std::uint8_t>(text.word);
  return true;
}

bool Parser::parse_memory(const StatementWord& word, PlaceUse use, Place& place) {
  PlaceText text;
  return parse_place_text(text) && resolve_place(text, use, word.name, place);
}

bool Parser::parse_advice(Operation& op) {
  const Token name = take();
  for (const FlagWord<Advice>& advice : advice_words()) {
    if (name.text != advice.name) continue;
    op.advice = advice.flag;
    return true;
  }
  return fail(name, fmt::format("no advice is called {}", quote(name)),
              closest_name(name.text, names_of(advice_words())));
}

bool Parser::parse_operand(const Block& block, Operand& operand) {
  const Token token = peek();
  if (token.kind != TokenKind::kIdentifier) return parse_integer(operand.literal, "a value");
  const auto found = std::find(block.registers.begin(), block.registers.end(), token.text);
  if (found == block.registers.end()) {
    if (is_register_name(token.text)) {
      return fail(token, fmt::format("{} has no value here: {} did not assign it", token.text, block.name));
    }
    return fail(token, fmt::format("expected a number or a register, not {}", quote(token)));
  }
  take();
  operand.is_register = true;
  operand.reg = static_cast<std::uint8_t>(found - block.registers.begin());
  return true;
}

template <class E>
bool Parser::parse_flags(std::span<const FlagWord<E>> words, E& flags) {
  // What the kind of statement sets already stays; a protection is written in full.
  E named = std::is_same_v<E, Protection> ? E{} : flags;
  if (at(TokenKind::kNumber) && peek().value == 0 && !peek().overflow) {
    take();
    flags = named;
    return true;
  }
  do {
    const Token token = peek();
    if (token.kind != TokenKind::kIdentifier) return fail(token, fmt::format("expected a flag, not {}", quote(token)));
    take();
    const auto found =
        std::find_if(words.begin(), words.end(), [&](const FlagWord<E>& word) { return word.name == token.text; });
    if (found == words.end()) {
      if (!explain_flag(token)) return false;
      return fail(token, fmt::format("no flag here is called {}", quote(token)),
                  closest_name(token.text, names_of(words)));
    }
    named = named | found->flag;
  } while (accept(TokenKind::kBar));
  flags = named;
  return true;
}

template bool Parser::parse_flags(std::span<const FlagWord<Protection>> words, Protection& flags);

bool Parser::explain_flag(const Token& token) {
  if (token.text == "FOLL_PIN") return fail(token, "FOLL_PIN is not written: pin() implies it");
  if (token.text == "FOLL_GET") return fail(token, "FOLL_GET is not written: get() implies it");
  if (token.text == "MAP_PRIVATE" || token.text == "MAP_SHARED" || token.text == "MAP_ANONYMOUS") {
    return fail(token, fmt::format("{} is not written: the init block says what a variable maps", token.text));
  }
  return true;
}

bool Parser::parse_place_text(PlaceText& text) {
  text.star = accept(TokenKind::kStar);
  text.name = peek();
  if (!at(TokenKind::kIdentifier))
    return fail(peek(), fmt::format("expected a place such as *x, not {}", quote(peek())));
  take();
  if (accept(TokenKind::kLeftBracket)) {
    text.has_page = true;
    if (!parse_integer(text.first, "a page's number")) return false;
    text.last = text.first;
    if (accept(TokenKind::kDotDot) && !parse_integer(text.last, "the last page's number")) return false;
    if (!expect(TokenKind::kRightBracket, "']'", "after the page's number")) return false;
    if (text.first < 0 || text.last < text.first)
      return fail(text.name, "a run of pages goes upwards from 0: [first..last]");
  }
  if (accept(TokenKind::kDot)) {
    text.has_word = true;
    if (!parse_integer(text.word, "a word's number")) return false;
    if (text.word < 0) return fail(text.name, "words are counted from 0 upwards");
  }
  return true;
}

bool Parser::resolve_place(const PlaceText& text, PlaceUse use, std::string_view what, Place& place) {
  const std::vector<std::string_view> variables = variable_names();
  const auto found = std::find(variables.begin(), variables.end(), text.name.text);
  if (found == variables.end()) {
    const std::vector<std::string_view> devices = device_names();
    if (std::find(devices.begin(), devices.end(), text.name.text) != devices.end()) {
      return fail(text.name, fmt::format("'{}' is a device, but {} takes memory", text.name.text, what));
    }
    return fail(text.name, fmt::format("the init block declares no '{}'", text.name.text.substr(0, 60)),
                closest_name(text.name.text, variables));
  }
  const auto number = static_cast<std::uint8_t>(found - variables.begin());
  const std::uint32_t pages = program_.variables[number].pages;
  if (text.last >= static_cast<std::int64_t>(pages)) {
    return fail(text.name, pages == 1 ? fmt::format("'{}' has one page, 0", text.name.text)
                                      : fmt::format("'{}' has pages 0 to {}", text.name.text, pages - 1));
  }
  if (text.word >= static_cast<std::int64_t>(kWordsPerPage)) {
    return fail(text.name, fmt::format("a page has words 0 to {}", kWordsPerPage - 1));
  }
  if (use == PlaceUse::kWord && text.first != text.last) {
    return fail(text.name, fmt::format("{} takes one word, not several pages", what));
  }
  if (use != PlaceUse::kWord && (text.has_word || text.star)) {
    return fail(text.name, fmt::format("{} takes whole pages, not a word", what), text.name.text);
  }
  if (use == PlaceUse::kPage && (text.first != text.last || (!text.has_page && pages > 1))) {
    return fail(text.name, fmt::format("{} takes one page, such as {}[0]", what, text.name.text));
  }
  place.variable = number;
  place.page = static_cast<std::uint8_t>(text.first);
  place.word = static_cast<std::uint8_t>(text.word);
  const std::int64_t count = use == PlaceUse::kPages && !text.has_page ? pages : text.last - text.first + 1;
  place.pages = static_cast<std::uint8_t>(count);
  return true;
}

bool Parser::parse_integer(std::int64_t& value, std::string_view what) {
  const Token first = peek();
  const bool negative = accept(TokenKind::kMinus);
  const Token number = peek();
  if (negative && number.kind == TokenKind::kIdentifier) {
    const std::optional<std::int64_t> constant = parse_constant(number.text);
    if (!constant.has_value()) {
      return fail(number, fmt::format("no error or signal is called {}", quote(number)),
                  closest_name(number.text, constant_names()));
    }
    take();
    value = -*constant;
    return true;
  }
  if (number.kind != TokenKind::kNumber) return fail(first, fmt::format("expected {}, not {}", what, quote(first)));
  take();
  const std::uint64_t most =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) + (negative ? 1u : 0u);
  if (number.overflow || number.value > most) {
    return fail(number, fmt::format("{} does not fit 64 bits", quote(number)));
  }
  value = static_cast<std::int64_t>(negative ? 0 - number.value : number.value);
  return true;
}

bool Parser::parse_count(std::uint32_t& value, std::uint32_t most, std::string_view where) {
  const Token number = peek();
  if (number.kind != TokenKind::kNumber || number.overflow || number.value == 0 || number.value > most) {
    return fail(number, fmt::format("expected a number from 1 to {} {}, not {}", most, where, quote(number)));
  }
  take();
  value = static_cast<std::uint32_t>(number.value);
  return true;
}

std::vector<std::string_view> Parser::variable_names() const {
  std::vector<std::string_view> names;
  for (const Variable& variable : program_.variables) names.emplace_back(variable.name);
  return names;
}

std::vector<std::string_view> Parser::device_names() const {
  return {program_.devices.begin(), program_.devices.end()};
}

std::optional<std::uint8_t> Parser::find_block(std::string_view name) const {
  for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
    if (program_.blocks[b].name == name) return static_cast<std::uint8_t>(b);
  }
  return std::nullopt;
}

}  // namespace cowherd::litmus
