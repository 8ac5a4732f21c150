#include "cli/live_emit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/batch.hpp"
#include "cli/output.hpp"
#include "live/course.hpp"
#include "live/emit_c.hpp"
#include "live/plan.hpp"
#include "report/judged.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

constexpr std::uint64_t kMostCases = 20;

/// Everything works: which interleavings there are does not depend on what the operations come to.
class Rehearsal final : public live::Executor {
 public:
  live::Answer begin(const litmus::Program&) override { return {}; }
  live::Answer perform(std::uint8_t, std::uint8_t, const litmus::Operation& op, std::int64_t) override {
    return {Errno{0}, op.code == litmus::OpCode::kPin ? op.place.pages : 0, {}};
  }
  live::Answer exit(std::uint8_t) override { return {}; }
  live::Answer look(std::uint8_t, const litmus::Place&) override { return {}; }
  live::Answer inspect(std::uint8_t, const litmus::Term&) override { return {}; }
};

std::vector<live::EmittedCase> cases_of(const litmus::Program& program, std::uint64_t limit) {
  Rehearsal rehearsal;
  live::Course course(program, rehearsal);
  live::Choices choices;
  std::vector<live::EmittedCase> cases;
  do {
    (void)course.begin();
    while (const live::BlockSet runnable = course.runnable()) (void)course.step(choices.choose(runnable));
    if (course.unfinished() == 0) cases.push_back({choices.taken()});
  } while (cases.size() < limit && choices.next());
  return cases;
}

/// Why no machine could run it.
std::string problem_in(const litmus::Program& program, live::PinBy pin_by) {
  live::Offers offers;
  for (live::Offer& offer : offers) offer.here = true;
  // A disk that waits takes more than a C program for a bug report should have.
  offers[static_cast<std::size_t>(live::Need::kDirectIo)] = {false, "not written in C"};
  const live::Plan plan = live::plan(program, offers, pin_by);
  return plan.skip.empty() ? live::problem_in_c(program, pin_by) : plan.skip;
}

std::optional<bool> wanted_by(const litmus::Program& program) {
  const std::optional<litmus::Verdict> good = report::good_verdict(program);
  if (program.quantifier == litmus::Quantifier::kNone || !good || good == litmus::Verdict::kSometimes)
    return std::nullopt;
  return good == litmus::Verdict::kAlways;
}

}  // namespace

ExitStatus emit_tests(const LiveArguments& arguments) {
  const LoadedTests tests = load_tests(arguments.files);
  std::vector<live::EmittedTest> emitted;
  for (const LoadedTest& test : tests.tests) {
    if (!test.ok) continue;
    if (const std::string problem = problem_in(test.program, arguments.pin_by); !problem.empty()) {
      complain(fmt::format("{}: not written: {}", test.file, problem));
      continue;
    }
    emitted.push_back({&test.program, cases_of(test.program, std::min(arguments.limit, kMostCases)),
                       wanted_by(test.program), arguments.pin_by});
  }
  const bool all_read = tests.lost_arguments == 0 && tests.good() == tests.tests.size();
  if (emitted.empty()) return all_read ? ExitStatus::kSkipped : ExitStatus::kInput;
  const bool written = write_file(arguments.output.path, live::emit_c(emitted));
  return written && all_read ? ExitStatus::kExpected : ExitStatus::kInput;
}

}  // namespace cowherd::cli
