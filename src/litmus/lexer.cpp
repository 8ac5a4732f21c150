#include "litmus/lexer.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "litmus/spelling.hpp"
#include "litmus/utf8.hpp"

namespace cowherd::litmus {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word(char c) { return is_word_start(c) || is_digit(c); }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
/// What belongs to a test's name as it is cut out; the parser says which of it is allowed.
bool is_name(char c) { return !is_blank(c) && std::string_view("\"{}()[];#").find(c) == std::string_view::npos; }
bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

struct Punctuation {
  std::string_view text;
  TokenKind kind;
};

// Longer ones before their beginnings.
constexpr std::array kPunctuation{
    Punctuation{"==", TokenKind::kEqual},        Punctuation{"!=", TokenKind::kNotEqual},
    Punctuation{"<>", TokenKind::kNotEqual},     Punctuation{"<=", TokenKind::kLessEqual},
    Punctuation{">=", TokenKind::kGreaterEqual}, Punctuation{"&&", TokenKind::kAnd},
    Punctuation{"||", TokenKind::kOr},           Punctuation{"/\\", TokenKind::kAnd},
    Punctuation{"\\/", TokenKind::kOr},          Punctuation{"..", TokenKind::kDotDot},
    Punctuation{"(", TokenKind::kLeftParen},     Punctuation{")", TokenKind::kRightParen},
    Punctuation{"{", TokenKind::kLeftBrace},     Punctuation{"}", TokenKind::kRightBrace},
    Punctuation{"[", TokenKind::kLeftBracket},   Punctuation{"]", TokenKind::kRightBracket},
    Punctuation{";", TokenKind::kSemicolon},     Punctuation{",", TokenKind::kComma},
    Punctuation{":", TokenKind::kColon},         Punctuation{"*", TokenKind::kStar},
    Punctuation{".", TokenKind::kDot},           Punctuation{"|", TokenKind::kBar},
    Punctuation{"-", TokenKind::kMinus},         Punctuation{"=", TokenKind::kEqual},
    Punctuation{"<", TokenKind::kLess},          Punctuation{">", TokenKind::kGreater},
    Punctuation{"~", TokenKind::kNot},           Punctuation{"!", TokenKind::kNot},
};

class Lexer {
 public:
  explicit Lexer(const SourceText& source) : source_(source), text_(source.text()) {}

  LexedText run() {
    if (text_.size() > kMaxFileBytes) {
      error(position_, 1, fmt::format("the text has more than {} KiB", kMaxFileBytes / 1024));
      return std::move(out_);
    }
    if (!check_encoding()) return std::move(out_);
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    while (next()) {
    }
    Token end;
    end.kind = TokenKind::kEnd;
    end.position = position_;
    end.begin = end.end = at_;
    out_.tokens.push_back(end);
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] char ahead(std::size_t n = 0) const { return at_ + n < text_.size() ? text_[at_ + n] : '\0'; }

  void error(Position position, std::uint32_t length, std::string message) {
    if (out_.diagnostics.size() < kMaxDiagnostics) {
      out_.diagnostics.push_back(source_.diagnose(position, length, std::move(message)));
    }
  }

  void advance(std::size_t bytes) {
    for (const std::size_t end = at_ + bytes; at_ < end;) {
      if (text_[at_] == '\n') {
        ++position_.line;
        position_.column = 1;
        ++at_;
      } else {
        at_ += utf8_length(rest());
        ++position_.column;
      }
    }
  }

  bool check_encoding() {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
    for (std::size_t i = 0; i < text_.size();) {
      const char c = text_[i];
      const std::size_t length = utf8_length(text_.substr(i));
      if (length == 0) {
        error({line, column}, 1, fmt::format("byte 0x{:02x} is not UTF-8 text", static_cast<unsigned char>(c)));
        return false;
      }
      if ((static_cast<unsigned char>(c) < 0x20 && !is_blank(c)) || c == 0x7f) {
        error({line, column}, 1, fmt::format("control character 0x{:02x}", static_cast<unsigned char>(c)));
        return false;
      }
      i += length;
      ++column;
      if (c == '\n') {
        ++line;
        column = 1;
      }
    }
    return true;
  }

  bool next() {
    while (is_blank(ahead())) advance(1);
    if (at_ >= text_.size()) return false;
    if (comment()) return true;
    const char c = ahead();
    if (!out_.tokens.empty() && out_.tokens.size() == 1 && out_.tokens[0].text == "COW" && is_name(c)) {
      return take_while(TokenKind::kTestName, is_name);
    }
    if (is_word_start(c)) return take_while(TokenKind::kIdentifier, is_word);
    if (is_digit(c)) return number();
    if (c == '"') return string();
    for (const Punctuation& punctuation : kPunctuation) {
      if (rest().starts_with(punctuation.text)) {
        emit(punctuation.kind, punctuation.text.size());
        return true;
      }
    }
    const std::size_t length = utf8_length(rest());
    error(position_, 1, fmt::format("unexpected character '{}'", rest().substr(0, length)));
    // One complaint for a run of them.
    const bool ascii = is_ascii(c);
    while (at_ < text_.size() && (ascii ? ahead() == c : !is_ascii(ahead()))) advance(utf8_length(rest()));
    return true;
  }

  void emit(TokenKind kind, std::size_t length) {
    Token token;
    token.kind = kind;
    token.text = rest().substr(0, length);
    token.position = position_;
    token.begin = at_;
    token.end = at_ + length;
    out_.tokens.push_back(token);
    advance(length);
  }

  bool take_while(TokenKind kind, bool (*belongs)(char)) {
    std::size_t length = 1;
    while (at_ + length < text_.size() && belongs(text_[at_ + length])) ++length;
    emit(kind, length);
    return true;
  }

  bool number() {
    const Position start = position_;
    take_while(TokenKind::kNumber, is_word);
    Token& token = out_.tokens.back();
    std::string_view digits = token.text;
    std::uint64_t base = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X")) {
      digits.remove_prefix(2);
      base = 16;
    }
    bool malformed = digits.empty();
    for (const char c : digits) {
      const std::uint64_t digit = is_digit(c)            ? static_cast<std::uint64_t>(c - '0')
                                  : c >= 'a' && c <= 'f' ? static_cast<std::uint64_t>(c - 'a' + 10)
                                  : c >= 'A' && c <= 'F' ? static_cast<std::uint64_t>(c - 'A' + 10)
                                                         : 16;
      if (digit >= base) {
        malformed = true;
        break;
      }
      token.overflow = token.overflow || token.value > (UINT64_MAX - digit) / base;
      token.value = token.value * base + digit;
    }
    if (malformed) error(start, 0, fmt::format("'{}' is not a number", token.text.substr(0, 40)));
    return true;
  }

  bool string() {
    const Position start = position_;
    const std::size_t line_end = std::min(text_.find('\n', at_), text_.size());
    const std::size_t quote = text_.find('"', at_ + 1);
    if (quote >= line_end) {
      error(start, 1, "this text has no closing '\"' on its line");
      emit(TokenKind::kString, line_end - at_);
      out_.tokens.back().text = {};
      return true;
    }
    emit(TokenKind::kString, quote + 1 - at_);
    std::string_view& inside = out_.tokens.back().text;
    inside = inside.substr(1, inside.size() - 2);
    return true;
  }

  /// Whether the `(*` here is the parenthesis of a statement and a place, as in `WRITE_ONCE(*x, 1)`.
  [[nodiscard]] bool is_dereference() const {
    if (out_.tokens.empty() || out_.tokens.back().kind != TokenKind::kIdentifier) return false;
    const Token& last = out_.tokens.back();
    if (find_statement(last.text) != nullptr) return true;
    // A misspelt statement must reach the parser, which knows what was meant.
    return last.end == at_ && is_word_start(ahead(2));
  }

  bool comment() {
    std::size_t end = 0;
    if (ahead() == '#' || rest().starts_with("//")) {
      end = std::min(text_.find('\n', at_), text_.size());
      if (end > at_ && text_[end - 1] == '\r') --end;
    } else if (rest().starts_with("/*") || (rest().starts_with("(*") && !is_dereference())) {
      const std::string_view close = ahead() == '/' ? "*/" : "*)";
      end = text_.find(close, at_ + 2);
      if (end == std::string_view::npos) {
        error(position_, 2, fmt::format("this comment has no closing '{}'", close));
        end = text_.size();
      } else {
        end += close.size();
      }
    } else {
      return false;
    }
    out_.comments.push_back({text_.substr(at_, end - at_), position_, at_, end});
    advance(end - at_);
    return true;
  }

  const SourceText& source_;
  std::string_view text_;
  std::size_t at_ = 0;
  Position position_{1, 1};
  LexedText out_;
};

}  // namespace

LexedText lex(const SourceText& source) { return Lexer(source).run(); }

std::string quote(const Token& token) {
  if (token.kind == TokenKind::kEnd) return "the end of the text";
  if (token.kind == TokenKind::kString) return "a quoted text";
  return fmt::format("'{}'", token.text.substr(0, 60));
}

}  // namespace cowherd::litmus
