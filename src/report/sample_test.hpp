#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "check/result.hpp"
#include "litmus/parser.hpp"
#include "litmus/program.hpp"
#include "report/judged.hpp"

namespace cowherd::report {

// Results made by hand, so that the writers' tests need no search.

/// A test with the given lines around a program that pins, forks and writes.
inline litmus::Program sample_program(std::string_view expectations, std::string_view condition) {
  const std::string text = "COW sample\n" + std::string(expectations) +
                           "{ x = anon(1); d = device; }\n"
                           "P0(page *x, dev *d) {\n"
                           "  pin(d, x, FOLL_WRITE | FOLL_LONGTERM); fork(P1); WRITE_ONCE(*x, 2);\n"
                           "  r0 = dma_read(d);\n"
                           "}\n"
                           "P1() { exit(); }\n" +
                           std::string(condition) + "\n";
  litmus::ParseResult parsed = litmus::parse(text, "sample.litmus");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  return parsed.program.value_or(litmus::Program{});
}

inline litmus::Program sample_program() {
  return sample_program("(* Result: Never *)\n(* Rules: Sometimes R5; Never R6 *)\n", "exists (0:r0=1)");
}

inline check::PageSight sight(const char* name, std::uint32_t frame, bool writable, std::uint32_t references,
                              std::uint32_t mapcount, std::uint32_t pins) {
  check::PageSight page;
  page.name = name;
  page.present = true;
  page.writable = writable;
  page.entry_dirty = true;
  page.exclusive = writable;
  page.frame = FrameNumber{frame};
  page.references = references;
  page.mapcount = mapcount;
  page.pins = pins;
  return page;
}

/// Two steps: fork shares what d holds, and the device reads something old.
inline check::Finding sample_finding(const litmus::Program& program) {
  check::Finding finding;
  finding.kind = check::FindingKind::kWrongCow;
  finding.subtype = "stale DMA";
  finding.clause = spec::Clause::kWritePin;
  finding.sentence = "Owner and device see each other's writes.";
  finding.program = program;
  finding.minimal = true;
  finding.trace.rules = "R5";
  finding.trace.schedule = "0*2";
  finding.trace.replay = "0*2=0123456789abcdef";
  finding.trace.initial_pages = {sight("0:x", 8, true, 2, 1, 1)};
  const check::DeviceSight device{.name = "d", .frames = {FrameNumber{8}}, .writes = true, .get = false};
  check::TraceStep fork;
  fork.agent = "P0/T0";
  fork.operation = "fork(P1)";
  fork.pages = {sight("0:x", 8, false, 3, 2, 1), sight("1:x", 8, false, 3, 2, 1)};
  fork.devices = {device};
  fork.events = {"x: frame 8 shared write-protected"};
  fork.note = "shares frame 8, which d holds";
  fork.parted = true;
  fork.hash = "0123456789abcdef";
  check::TraceStep read;
  read.agent = "P0/T0";
  read.operation = "r0 = dma_read(d)";
  read.result = 1;
  read.expected = {2};
  read.pages = fork.pages;
  read.devices = fork.devices;
  read.broke = true;
  read.hash = "0123456789abcdef";
  finding.trace.steps = {fork, read};
  finding.parting = check::Parting{.step = 0,
                                   .decision = Decision::kForkPinned,
                                   .decision_name = "fork-pinned",
                                   .value_name = "share",
                                   .sentence = "A pinned page is shared."};
  return finding;
}

/// A result for sample_program(): `positive` and `negative` final states, one outcome to each kind.
inline check::CheckResult sample_result(std::uint64_t positive, std::uint64_t negative) {
  check::CheckResult result;
  result.test = "sample";
  result.rules = "R5";
  result.hash = "00000000deadbeef";
  litmus::Term term;
  term.kind = litmus::Term::Kind::kRegister;
  result.observed = {term};
  if (positive != 0) {
    result.outcomes.push_back({.values = {1}, .states = positive, .broken = positive, .satisfied = positive});
  }
  if (negative != 0) result.outcomes.push_back({.values = {2}, .states = negative, .broken = 0, .satisfied = 0});
  result.positive = positive;
  result.negative = negative;
  result.reference_negative = negative;
  result.stats.states = 7;
  result.stats.transitions = 6;
  result.stats.seconds = 0.25;
  result.stats.miss_probability = 1.3e-18;
  return result;
}

inline check::CheckResult sample_result_with_finding(const litmus::Program& program) {
  check::CheckResult result = sample_result(1, 0);
  result.findings.push_back(sample_finding(program));
  return result;
}

}  // namespace cowherd::report
