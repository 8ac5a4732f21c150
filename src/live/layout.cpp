#include "live/layout.hpp"

#include <algorithm>

#include "litmus/condition.hpp"

namespace cowherd::live {

using litmus::OpCode;

bool names_huge_pages(const litmus::Program& program) {
  const auto of_pool = [&program](const litmus::Operation& op) {
    return litmus::is_hugetlb(program.variables[op.place.variable].kind);
  };
  for (const litmus::Variable& variable : program.variables) {
    if (variable.kind == litmus::VariableKind::kThp || variable.kind == litmus::VariableKind::kThpValue) return true;
  }
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      const bool advises =
          op.code == OpCode::kMadvise && !of_pool(op) &&
          (op.advice == Advice::kHugePage || op.advice == Advice::kNoHugePage || op.advice == Advice::kCollapse);
      const bool works = (op.code == OpCode::kCollapse || op.code == OpCode::kSplit) && !of_pool(op);
      if (advises || works) return true;
    }
  }
  for (const litmus::Term& term : litmus::observed_terms(program)) {
    // huge(x) of a hugetlb page is of the pool.
    if (term.kind == litmus::Term::Kind::kHuge && !litmus::is_hugetlb(program.variables[term.place.variable].kind)) {
      return true;
    }
  }
  return false;
}

bool has_hugetlb(const litmus::Program& program) {
  return std::any_of(program.variables.begin(), program.variables.end(),
                     [](const litmus::Variable& variable) { return litmus::is_hugetlb(variable.kind); }) ||
         std::any_of(program.files.begin(), program.files.end(),
                     [](const litmus::FileVariable& file) { return file.is_hugetlb(); });
}

Layout::Layout(const litmus::Program& program, std::uint64_t base) {
  const bool huge = names_huge_pages(program) || has_hugetlb(program);
  if (huge) page_bytes_ = kHugeBytes / litmus::kHugePages;
  std::uint64_t next = 0;
  std::size_t number = 0;
  for (const litmus::Variable& variable : program.variables) {
    // A gap before each variable: pages that lie side by side are one variable's.
    ++next;
    if (huge && variable.pages >= litmus::kHugePages) {
      next = (next + litmus::kHugePages - 1) / litmus::kHugePages * litmus::kHugePages;
    }
    first_[number++] = base + next * page_bytes_;
    next += variable.pages;
  }
}

}  // namespace cowherd::live
