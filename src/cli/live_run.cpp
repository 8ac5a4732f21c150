#include "cli/live_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "check/call_of.hpp"
#include "check/oracle.hpp"
#include "check/outcome.hpp"
#include "check/reference.hpp"
#include "check/schedule.hpp"
#include "check/trace.hpp"
#include "check/tracer.hpp"
#include "litmus/printer.hpp"

namespace cowherd::cli {
namespace {

using Kind = check::Call::Kind;

/// Where everybody stands, as call_of() asks for it.
class Standing {
 public:
  Standing(const check::Scene& scene, const live::Course& course) : scene_(scene), course_(course) {}

  [[nodiscard]] const check::Scene& scene() const { return scene_; }
  [[nodiscard]] const litmus::Operation& operation(std::uint8_t block) const { return course_.operation(block); }
  [[nodiscard]] std::int64_t reg(std::uint8_t block, std::uint8_t number) const { return course_.reg(block, number); }
  [[nodiscard]] bool alive(std::uint8_t process) const { return course_.alive(process); }
  [[nodiscard]] bool holds(std::uint8_t device) const { return course_.pages_held(device) != 0; }
  [[nodiscard]] check::BlockSet unfinished() const { return course_.unfinished(); }

 private:
  const check::Scene& scene_;
  const live::Course& course_;
};

/// What was seen in one run.
struct Seen {
  std::vector<check::TraceStep> steps;
  std::vector<check::ScheduleStep> schedule;
  std::uint32_t preemptions = 0;
  /// What finding() calls the promises that were broken and the harm that was done.
  std::set<std::string> broken;
};

class Runner {
 public:
  Runner(const litmus::Program& program, live::Executor& executor, const std::string& name, const LiveRuns& runs)
      : program_(program),
        runs_(runs),
        executor_(executor),
        scene_(program),
        course_(program, executor),
        outcomes_(program) {
    result_.test = program.name;
    result_.rules = name;
    result_.hash = check::program_hash(program);
  }

  check::CheckResult run() {
    const auto started = std::chrono::steady_clock::now();
    live::Choices choices = runs_.random ? live::Choices(runs_.seed) : live::Choices();
    const std::uint64_t limit = runs_.random.value_or(runs_.limit);
    while (true) {
      if (!run_once(choices)) break;
      ++result_.stats.runs;
      if (!runs_.schedule.empty() || !choices.next()) break;
      if (result_.stats.runs >= limit) result_.coverage.stopped_by = check::Bound::kRuns;
      if (interrupted()) result_.coverage.stopped_by = check::Bound::kInterrupt;
      if (!result_.coverage.exhaustive()) break;
    }
    if (!runs_.schedule.empty() || program_.grain == litmus::Grain::kStep) {
      // Each operation was done as a whole, and what happens between the steps of one was left to chance.
      if (result_.coverage.exhaustive()) result_.coverage.stopped_by = check::Bound::kRuns;
    }
    outcomes_.fill(result_);
    for (auto& [key, finding] : found_) result_.findings.push_back(std::move(finding));
    std::stable_sort(result_.findings.begin(), result_.findings.end(), [](const auto& a, const auto& b) {
      return std::pair(a.trace.preemptions, a.trace.steps.size()) <
             std::pair(b.trace.preemptions, b.trace.steps.size());
    });
    result_.stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool interrupted() const {
    return runs_.interrupted != nullptr && runs_.interrupted->load(std::memory_order_relaxed);
  }

  /// False where it could not go on.
  bool run_once(live::Choices& choices) {
    begin_reference();
    if (std::string problem = course_.begin(); !problem.empty()) return give_up(std::move(problem));
    Seen seen;
    std::optional<std::uint8_t> last;
    while (const live::BlockSet runnable = course_.runnable()) {
      std::uint8_t block = 0;
      if (runs_.schedule.empty()) {
        block = choices.choose(runnable);
      } else {
        if (seen.schedule.size() == runs_.schedule.size()) break;
        block = runs_.schedule[seen.schedule.size()];
        if (!check::contains(runnable, block)) {
          return give_up(fmt::format("--schedule: block {} cannot go on at step {}", block, seen.schedule.size() + 1));
        }
      }
      if (last && *last != block && check::contains(runnable, *last)) ++seen.preemptions;
      last = block;
      if (!step(block, seen)) return false;
    }
    if (course_.unfinished() != 0 && runs_.schedule.empty() && !all_wait_for_handler()) {
      note(check::deadlock_key(), seen);
      outcomes_.add_stuck();
      return true;
    }
    std::vector<std::int64_t> values = course_.values_of(outcomes_.terms());
    if (!judge_disks(seen)) return false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const litmus::Term& term = outcomes_.terms()[i];
      if (term.kind == litmus::Term::Kind::kFinding) values[i] = std::int64_t{seen.broken.contains(term.label)};
    }
    outcomes_.count(values, !seen.broken.empty());
    return true;
  }

  bool step(std::uint8_t block, Seen& seen) {
    Standing standing(scene_, course_);
    const bool goes_on = course_.waits(block);
    const check::Call call = goes_on ? check::Call{} : check::call_of(standing, block);
    const litmus::Operation& op = course_.operation(block);
    std::map<std::uint8_t, const litmus::Operation*> waiting;
    for (std::uint8_t b = 0; b < scene_.blocks(); ++b) {
      if (b != block && course_.waits(b)) waiting.emplace(b, &course_.operation(b));
    }
    const live::Answer answer = course_.step(block);
    seen.schedule.push_back({check::move_of(block, 0), {}});
    const bool still_waits = goes_on && answer.waits;
    if (!still_waits) show(block, op, answer, goes_on, seen);
    const std::string words = litmus::print_operation(program_, block, op);
    if (answer.unfit) return skip(fmt::format("{} ({})", answer.lost, words));
    if (!answer.lost.empty()) {
      return give_up(fmt::format("{}: {}: {}", scene_.agent_name(block), words, answer.lost));
    }
    std::vector<live::Ended> over;
    if (answer.waits && !goes_on && call.kind != Kind::kNothing) reference_.begin(block, call);
    if (!answer.waits && goes_on) over.push_back({block, answer});
    if (!answer.waits && !goes_on && call.kind != Kind::kNothing) {
      // Of a wait() the reference knows that the child has ended.
      const bool ends_child = op.code == litmus::OpCode::kWait;
      const spec::Observation observed{ends_child ? Errno{0} : answer.error, ends_child ? 0 : answer.value,
                                       is_for_lack(op, answer)};
      blame(reference_.run(block, call, observed), seen.steps.size() - 1, seen);
    }
    for (const live::Ended& other : course_.went_on()) {
      show(other.block, *waiting.at(other.block), other.answer, true, seen);
      over.push_back(other);
    }
    if (!over.empty()) judge_together(over, seen);
    // An exec() by another thread ends who waits.
    for (const auto& waits : waiting) {
      const std::uint8_t waited = waits.first;
      const bool gone = !course_.waits(waited) && std::none_of(over.begin(), over.end(), [&](const live::Ended& one) {
        return one.block == waited;
      });
      if (gone && reference_.under_way(waited)) reference_.abandon(waited);
    }
    for (const std::uint8_t process : course_.ended()) {
      (void)reference_.run(process, {.kind = Kind::kExit, .process = process}, {});
    }
    return true;
  }

  /// Whether the operation failed as one may that finds no page in the hugetlb pool. A page that was taken from a child
  /// for its parent's sake is told at every later access.
  bool is_for_lack(const litmus::Operation& op, const live::Answer& answer) {
    if (scene_.hugetlb_pages() == 0) return false;
    const bool lacks = executor_.may_lack(op);
    pool_was_empty_ = pool_was_empty_ || lacks;
    return answer.error != Errno{0} && (lacks || (answer.error == Errno::kSigBus && pool_was_empty_));
  }

  void show(std::uint8_t block, const litmus::Operation& op, const live::Answer& answer, bool goes_on, Seen& seen) {
    check::TraceStep& shown = seen.steps.emplace_back();
    shown.block = block;
    shown.agent = scene_.agent_name(block);
    shown.operation = litmus::print_operation(program_, block, op);
    shown.begins = !goes_on;
    shown.ends = !answer.waits;
    shown.result = answer.result();
    if (answer.waits) shown.next = "waits for userfaultfd's handler";
  }

  /// Notes what a step has broken, if that is something.
  void blame(const spec::Judgement& judgement, std::size_t step, Seen& seen) {
    if (judgement.ok()) return;
    check::TraceStep& shown = seen.steps[step];
    shown.expected = check::expected_of(judgement);
    shown.expected_cut = judgement.allowed_count > shown.expected.size();
    shown.broke = true;
    shown.note = "the reference semantics forbids this";
    seen.broken.insert({spec::name_of(judgement.broken), spec::label_of(judgement.harm)});
    note(check::key_of(judgement), seen);
  }

  /// Operations that waited and ended with one step, the last ones shown: in which order is not known, so that one that
  /// explains all will do.
  void judge_together(std::vector<live::Ended>& over, Seen& seen) {
    const auto by_block = [](const live::Ended& a, const live::Ended& b) { return a.block < b.block; };
    const std::vector<live::Ended> as_shown = over;
    const auto step_of = [&](std::uint8_t block) {
      const auto at =
          std::find_if(as_shown.begin(), as_shown.end(), [=](const auto& one) { return one.block == block; });
      return seen.steps.size() - as_shown.size() + static_cast<std::size_t>(at - as_shown.begin());
    };
    const std::span<const std::byte> bytes = reference_.bytes();
    const std::vector<std::byte> before(bytes.begin(), bytes.end());
    std::sort(over.begin(), over.end(), by_block);
    std::vector<std::pair<std::size_t, spec::Judgement>> first;
    bool explained = false;
    bool tried = false;
    do {
      reference_.assign(before);
      std::vector<std::pair<std::size_t, spec::Judgement>> judgements;
      for (const live::Ended& one : over) {
        if (!reference_.under_way(one.block)) continue;
        const spec::Observation observed{one.answer.error, one.answer.value, false};
        judgements.emplace_back(step_of(one.block), reference_.complete(one.block, observed));
      }
      explained = std::all_of(judgements.begin(), judgements.end(), [](const auto& one) { return one.second.ok(); });
      if (!tried) first = judgements;
      tried = true;
    } while (!explained && std::next_permutation(over.begin(), over.end(), by_block));
    if (explained) return;
    for (const auto& [step, judgement] : first) blame(judgement, step, seen);
  }

  /// At the end of a run: whether those who have not ended wait for the handler, as they may, or for who does.
  bool all_wait_for_handler() {
    bool any = false;
    for (std::uint8_t b = 0; b < scene_.blocks(); ++b) {
      if (!check::contains(course_.unfinished(), b)) continue;
      if (course_.waits_for_block(b)) continue;
      if (!course_.waits(b) || !reference_.may_wait(b, {})) return false;
      any = true;
    }
    return any;
  }

  bool give_up(std::string why) {
    result_.error = std::move(why);
    return false;
  }

  bool skip(std::string why) {
    result_.skipped = std::move(why);
    return false;
  }

  /// The simplest run that shows it is kept.
  void note(const check::FindingKey& key, const Seen& seen) {
    const auto known = found_.find(key);
    if (known != found_.end() && known->second.trace.preemptions <= seen.preemptions) return;
    check::Finding finding = check::describe(key);
    finding.program = program_;
    finding.trace.rules = result_.rules;
    finding.trace.live_options = runs_.options;
    finding.trace.preemptions = seen.preemptions;
    finding.trace.steps = seen.steps;
    finding.trace.schedule = check::print_schedule(check::runs_of(seen.schedule), false);
    found_.insert_or_assign(key, std::move(finding));
  }

  void begin_reference() {
    reference_.clear();
    pool_was_empty_ = false;
    if (scene_.uses_userfault()) reference_.track_handlers(scene_.uses_huge());
    for (std::uint8_t file = 0; file < scene_.files(); ++file) tell_of_file(file);
    for (std::uint8_t b = 0; b < scene_.blocks(); ++b) {
      const litmus::Block& block = scene_.block(b);
      if (block.kind != litmus::BlockKind::kProcess || block.start != litmus::BlockStart::kAtTimeZero) continue;
      reference_.spawn(b);
      for (const litmus::Variable& variable : program_.variables) tell_of(b, variable);
    }
  }

  void tell_of_file(std::uint8_t number) {
    const litmus::FileVariable& file = program_.files[number];
    reference_.create_file(number, static_cast<std::uint8_t>(file.pages), check::store_of(file.kind), file.value);
  }

  /// What is on the disks when all is over. False where it could not go on.
  bool judge_disks(Seen& seen) {
    if (!scene_.has_disk()) return true;
    if (live::Answer ended = executor_.end_all(); !ended.lost.empty()) return give_up(std::move(ended.lost));
    litmus::Term term;
    term.kind = litmus::Term::Kind::kDiskWord;
    for (term.file = 0; term.file < scene_.files(); ++term.file) {
      if (program_.files[term.file].kind != litmus::FileKind::kDisk) continue;
      const std::uint8_t pages = reference_.file_size(term.file);
      for (term.place.page = 0; term.place.page < pages; ++term.place.page) {
        for (term.place.word = 0; term.place.word < litmus::kWordsPerPage; ++term.place.word) {
          const live::Answer there = executor_.inspect(0, term);
          if (!there.lost.empty() || there.error != Errno{0}) return give_up("the disk cannot be looked at");
          const spec::Judgement judgement =
              reference_.judge_disk(term.file, term.place.page, term.place.word, there.value);
          if (judgement.ok()) continue;
          seen.broken.insert({spec::name_of(judgement.broken), spec::label_of(judgement.harm)});
          note(check::key_of(judgement), seen);
          return true;
        }
      }
    }
    return true;
  }

  /// What the init block did.
  void tell_of(std::uint8_t process, const litmus::Variable& variable) {
    if (variable.kind == litmus::VariableKind::kUnmapped) return;
    check::Call call{.kind = Kind::kMmap, .process = process};
    call.page = static_cast<std::uint8_t>(variable.first_page);
    call.count = static_cast<std::uint8_t>(variable.pages);
    call.protection = Protection::kReadWrite;
    const bool secret = variable.kind == litmus::VariableKind::kSecret;
    const litmus::Place all{.variable = static_cast<std::uint8_t>(&variable - program_.variables.data()),
                            .pages = call.count};
    call.map_flags = scene_.map_flags_of(all, secret ? MapFlags::kFixed | MapFlags::kSecret : MapFlags::kFixed);
    call.backing = scene_.backing_of(all);
    (void)reference_.run(process, call, {});
    const bool read = variable.kind == litmus::VariableKind::kZeroPage;
    for (std::uint32_t page = 0; page < variable.pages && (read || litmus::is_written(variable.kind)); ++page) {
      check::Call access{.kind = read ? Kind::kRead : Kind::kWrite, .process = process, .value = variable.value};
      access.page = static_cast<std::uint8_t>(variable.first_page + page);
      (void)reference_.run(process, access, {});
    }
    if (variable.protection == Protection::kReadWrite) return;
    call.kind = Kind::kMprotect;
    call.protection = variable.protection;
    (void)reference_.run(process, call, {});
  }

  const litmus::Program& program_;
  const LiveRuns& runs_;
  live::Executor& executor_;
  check::Scene scene_;
  live::Course course_;
  check::Reference reference_;
  check::Outcomes outcomes_;
  std::map<check::FindingKey, check::Finding> found_;
  /// In this run, after some operation.
  bool pool_was_empty_ = false;
  check::CheckResult result_;
};

}  // namespace

check::CheckResult run_live(const litmus::Program& program, live::Executor& executor, const std::string& name,
                            const LiveRuns& runs) {
  return Runner(program, executor, name, runs).run();
}

}  // namespace cowherd::cli
