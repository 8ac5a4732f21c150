#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "check/check.hpp"
#include "cow/rule_rows.hpp"
#include "litmus/condition.hpp"
#include "litmus/parser.hpp"

namespace cowherd::check {

/// The program that a test's text means; a text with a mistake in it ends the test binary.
inline litmus::Program program_of(std::string_view text) {
  auto parsed = litmus::parse(text, "test");
  if (!parsed.ok()) {
    ADD_FAILURE() << parsed.to_text();
    std::abort();
  }
  return std::move(*parsed.program);
}

inline CheckOptions under(std::string_view rules) {
  CheckOptions options;
  const RuleRow* row = find_rules(rules);
  if (row == nullptr) std::abort();
  options.rules = row->rules;
  options.rules_name = rules;
  return options;
}

/// All outcomes, one behind the other: "0:r0=1; 0:r0=2;".
inline std::string outcomes_text(const litmus::Program& program, const CheckResult& result) {
  std::string text;
  for (const Outcome& outcome : result.outcomes) {
    if (!text.empty()) text += " | ";
    text += litmus::format_state(program, result.observed, outcome.values);
  }
  return text;
}

/// The test of the mail of 2020: with rules that share pinned pages the device loses the page.
inline constexpr std::string_view kPinForkWrite = R"(COW pin-fork-write-dma
{
  x = anon(1);
  d = device;
}
P0()
{
  pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  fork(P1);
  wait(P1);
  WRITE_ONCE(*x, 2);
  r0 = dma_read(d);
}
P1() { exec(); }
exists (0:r0=1)
)";

}  // namespace cowherd::check
