#include "litmus/condition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "litmus/printer.hpp"

namespace cowherd::litmus {
namespace {

std::int64_t value_of(const Term& term, const Valuation& values) {
  return term.kind == Term::Kind::kLiteral ? term.literal : values(term);
}

bool compare(Condition::Compare how, std::int64_t left, std::int64_t right) {
  switch (how) {
    case Condition::Compare::kEqual:
      return left == right;
    case Condition::Compare::kNotEqual:
      return left != right;
    case Condition::Compare::kLess:
      return left < right;
    case Condition::Compare::kLessEqual:
      return left <= right;
    case Condition::Compare::kGreater:
      return left > right;
    case Condition::Compare::kGreaterEqual:
      return left >= right;
  }
  return false;
}

void add(std::vector<Term>& terms, const Term& term) {
  if (term.kind != Term::Kind::kLiteral && std::find(terms.begin(), terms.end(), term) == terms.end()) {
    terms.push_back(term);
  }
}

void collect(const Condition& condition, std::vector<Term>& terms) {
  if (condition.kind == Condition::Kind::kCompare) {
    add(terms, condition.left);
    add(terms, condition.right);
  }
  for (const Condition& child : condition.children) collect(child, terms);
}

}  // namespace

bool evaluate(const Condition& condition, const Valuation& values) {
  const auto holds = [&](const Condition& child) { return evaluate(child, values); };
  switch (condition.kind) {
    case Condition::Kind::kTrue:
      return true;
    case Condition::Kind::kCompare:
      return compare(condition.compare, value_of(condition.left, values), value_of(condition.right, values));
    case Condition::Kind::kNot:
      return !holds(condition.children.front());
    case Condition::Kind::kAnd:
      return std::all_of(condition.children.begin(), condition.children.end(), holds);
    case Condition::Kind::kOr:
      return std::any_of(condition.children.begin(), condition.children.end(), holds);
  }
  return false;
}

std::vector<Term> terms_of(const Condition& condition) {
  std::vector<Term> terms;
  collect(condition, terms);
  return terms;
}

std::vector<Term> observed_terms(const Program& program) {
  std::vector<Term> terms;
  collect(program.condition, terms);
  if (program.filter.has_value()) collect(*program.filter, terms);
  for (const Term& term : program.locations) add(terms, term);
  if (terms.empty()) {
    for (std::size_t b = 0; b < program.blocks.size(); ++b) {
      for (std::size_t r = 0; r < program.blocks[b].registers.size(); ++r) {
        Term term;
        term.kind = Term::Kind::kRegister;
        term.block = static_cast<std::uint8_t>(b);
        term.reg = static_cast<std::uint8_t>(r);
        terms.push_back(term);
      }
    }
  }
  const auto key = [&](const Term& term) {
    // Names of registers by length first, so that r10 stands behind r9.
    const bool is_register = term.kind == Term::Kind::kRegister;
    const std::string name = is_register ? program.blocks[term.block].registers[term.reg] : term.label;
    return std::tuple(term.kind, term.block, name.size(), name, term.file, term.place.variable, term.place.page,
                      term.place.word);
  };
  std::sort(terms.begin(), terms.end(), [&](const Term& a, const Term& b) { return key(a) < key(b); });
  return terms;
}

bool is_internal(const Term& term) { return term.kind >= Term::Kind::kFrame || term.kind == Term::Kind::kFinding; }

std::string format_state(const Program& program, const std::vector<Term>& terms,
                         const std::vector<std::int64_t>& values) {
  std::string out;
  for (std::size_t i = 0; i < terms.size() && i < values.size(); ++i) {
    out += fmt::format("{}{}={};", out.empty() ? "" : " ", print_term(program, terms[i]),
                       format_value(terms[i], values[i]));
  }
  return out;
}

}  // namespace cowherd::litmus
