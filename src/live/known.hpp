#pragma once

#include <string>
#include <string_view>

#include "litmus/program.hpp"

namespace cowherd::live {

// What of the language a running kernel can be told, in one table: a statement, an advice, a flag or a term that is not
// in it makes a test a skip, with a reason, and never an error. Who teaches live a new one adds its row in known.cpp
// and its case where it is done (stage.cpp, emit_c.cpp).

/// Why no test with this statement can be played; empty: it can be, where the machine offers what it needs.
std::string refusal_of(const litmus::Operation& operation);
/// Why nothing like the variable can be built; empty: it can be.
std::string refusal_of(const litmus::Variable& variable);
/// Why the value of a term cannot be had; empty: it can be.
std::string refusal_of(const litmus::Term& term);

/// Whether the variable is memory that is shared, or a file's.
bool is_shared(const litmus::Variable& variable);
/// Whether emit_c() writes the statement.
bool written_in_c(litmus::OpCode code);

}  // namespace cowherd::live
