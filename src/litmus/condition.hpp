#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "litmus/program.hpp"

namespace cowherd::litmus {

/// What a term was at the end of a run. Never asked for a literal.
using Valuation = std::function<std::int64_t(const Term&)>;

/// Whether `condition` holds. `/\` and `\/` stop at the first part that decides.
bool evaluate(const Condition& condition, const Valuation& values);

/// What `condition` mentions, each term once, literals left out, in order of appearance.
std::vector<Term> terms_of(const Condition& condition);

/// The terms that make up a final state of this test: all that its condition, filter and locations mention; where those
/// mention nothing, every register. Registers first, then memory, then the rest, each by block and name.
std::vector<Term> observed_terms(const Program& program);

/// Whether a running kernel can tell what `term` is.
bool is_internal(const Term& term);

/// One final state: "0:r0=2; 1:r0=-ENOMEM;". `values` holds one value for each of `terms`.
std::string format_state(const Program& program, const std::vector<Term>& terms,
                         const std::vector<std::int64_t>& values);

}  // namespace cowherd::litmus
