#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "litmus/layout.hpp"
#include "litmus/program.hpp"

namespace cowherd::litmus {

/// The one canonical text of a program: parse(print(program)) == program for every program that resolve() accepts and
/// whose texts could have been parsed. Ends with a newline.
std::string print(const Program& program);

/// The same in pieces, for the formatter.
std::vector<PrintedUnit> print_units(const Program& program);

/// One statement without its semicolon: "r0 = READ_ONCE(*x)". `block` is the number of the block that it stands in.
std::string print_operation(const Program& program, std::size_t block, const Operation& operation);

/// A place as its statement would write it: "*x", "x[2]", "x[1..2]", "d.1".
std::string print_place(const Program& program, const Operation& operation);

/// "0:r0", "refcount(0:x[1])".
std::string print_term(const Program& program, const Term& term);

/// A value of `term` as tests write it: results by name ("-ENOMEM"), internal state as plain numbers.
std::string format_value(const Term& term, std::int64_t value);

/// Without the quantifier and its parentheses: "0:r0=1 /\ 1:r0=0".
std::string print_condition(const Program& program, const Condition& condition);

/// "exists (0:r0=1)"; empty where the test has no condition.
std::string print_final_condition(const Program& program);

}  // namespace cowherd::litmus
