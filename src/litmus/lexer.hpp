#pragma once

#include <string>
#include <vector>

#include "litmus/diagnostic.hpp"
#include "litmus/token.hpp"

namespace cowherd::litmus {

struct LexedText {
  /// Ends with one kEnd.
  std::vector<Token> tokens;
  std::vector<Comment> comments;
  std::vector<Diagnostic> diagnostics;
};

/// Cuts a text into tokens and comments, both in order. Any bytes are taken: what is no token becomes a diagnostic (at
/// most kMaxDiagnostics) and is skipped. A text that is too long or not UTF-8 gives one diagnostic and no tokens.
///
/// `(*` begins a comment, except where a statement's name stands before it: `READ_ONCE(*x)`.
LexedText lex(const SourceText& source);

/// A token as messages name it: its text in quotes, cut where it is long.
std::string quote(const Token& token);

}  // namespace cowherd::litmus
