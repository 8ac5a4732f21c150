#include "check/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "cow/decision_table.hpp"
#include "litmus/printer.hpp"
#include "litmus/symbols.hpp"

namespace cowherd::check {

namespace {

std::string frame_name(FrameNumber frame) {
  return frame == Frames<G>::kZeroPage ? std::string("the zero page") : fmt::format("frame {}", frame.value());
}

std::string capitalised(std::string_view text) {
  std::string result(text);
  if (!result.empty() && result[0] >= 'a' && result[0] <= 'z') result[0] = static_cast<char>(result[0] - 'a' + 'A');
  return result;
}

/// Finds the steps of one story: the device took hold, somebody shared the page, the two went apart.
class Detective {
 public:
  explicit Detective(Tracer& tracer)
      : tracer_(tracer), scene_(tracer.scene()), rules_(tracer.rules()), trace_(tracer.trace()) {}

  std::optional<Parting> run() {
    const auto& details = tracer_.details();
    for (std::size_t i = 0; i < details.size(); ++i) {
      for (const Holding& holding : details[i].holdings) {
        if (!apart(holding) || !for_good(i, holding)) continue;
        const std::size_t end = end_of_operation(i);
        return parted(end, *find(details[end], holding));
      }
    }
    for (std::size_t i = 0; i < details.size(); ++i) {
      for (const Holding& holding : details[i].holdings) {
        const bool shared = has_event(detail(i), mm::EventKind::kForkShared, holding.frame);
        if (shared && has(holding.flags, PinFlags::kWrite)) return shared_with_writer(i, holding);
        if (reused_by_stranger(i, holding)) return went_on(i, holding);
      }
    }
    for (std::size_t i = 0; i < details.size(); ++i) {
      for (const mm::Event& event : details[i].events) {
        if (event.kind == mm::EventKind::kForced && is_shared(i, event.frame)) return forced(i, event.frame);
      }
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] const StepDetail& detail(std::size_t step) const { return tracer_.details()[step]; }

  [[nodiscard]] static const Holding* find(const StepDetail& detail, const Holding& wanted) {
    const auto at = std::find_if(detail.holdings.begin(), detail.holdings.end(), [&](const Holding& holding) {
      return holding.device == wanted.device && holding.index == wanted.index && holding.frame == wanted.frame;
    });
    return at == detail.holdings.end() ? nullptr : &*at;
  }
  [[nodiscard]] static bool holds(const StepDetail& detail, const Holding& wanted) {
    return find(detail, wanted) != nullptr;
  }

  [[nodiscard]] static bool apart(const Holding& holding) {
    return holding.attached && holding.mapped != holding.frame;
  }

  /// The last step of the operation that step `step` is one of, as far as the trace goes.
  [[nodiscard]] std::size_t end_of_operation(std::size_t step) const {
    const std::uint8_t block = detail(step).block;
    for (std::size_t i = step; i < trace_.steps.size(); ++i) {
      if (trace_.steps[i].block == block && trace_.steps[i].ends) return i;
    }
    return step;
  }

  /// Whether they never meet again: inside an operation an entry may be gone for a moment.
  [[nodiscard]] bool for_good(std::size_t step, const Holding& holding) const {
    if (!trace_.by_steps) return true;
    const auto& details = tracer_.details();
    if (!holds(details[end_of_operation(step)], holding)) return false;
    for (std::size_t i = step; i < details.size(); ++i) {
      const Holding* later = find(details[i], holding);
      if (later == nullptr) return i > end_of_operation(step);
      if (!apart(*later)) return false;
    }
    return true;
  }

  [[nodiscard]] static bool has_event(const StepDetail& detail, mm::EventKind kind, FrameNumber frame) {
    return std::any_of(detail.events.begin(), detail.events.end(),
                       [&](const mm::Event& event) { return event.kind == kind && event.frame == frame; });
  }

  /// The step that took the reference which is held after `step`.
  [[nodiscard]] std::size_t taken_at(std::size_t step, const Holding& holding) const {
    while (step > 0 && holds(detail(step - 1), holding)) --step;
    return step;
  }

  /// Whether several processes mapped the page after the step, or it is the zero page.
  [[nodiscard]] bool is_shared(std::size_t step, FrameNumber frame) const {
    if (frame == Frames<G>::kZeroPage) return true;
    const auto& pages = trace_.steps[step].pages;
    return std::any_of(pages.begin(), pages.end(),
                       [&](const PageSight& page) { return page.present && page.frame == frame && page.mapcount > 1; });
  }

  [[nodiscard]] std::string device(const Holding& holding) const { return scene_.program().devices[holding.device]; }
  [[nodiscard]] std::string owner(const Holding& holding) const {
    return fmt::format("{}:{}", holding.owner, scene_.page_name(holding.page));
  }

  /// Which of the decisions behind fork's question "may this page be pinned?" gave the wrong answer.
  [[nodiscard]] Decision behind_sharing(const Holding& holding) const {
    const bool never_copies = rules_.fork_pinned == ForkPinned::kShare;
    if (never_copies) return Decision::kForkPinned;
    if (has(holding.flags, PinFlags::kGet) && rules_.pin_count == PinCount::kPin) return Decision::kPinCount;
    if (rules_.pinned == PinnedTest::kNever) return Decision::kPinned;
    if (rules_.copy_only_if != CopyOnlyIf::kAlways) return Decision::kCopyOnlyIf;
    return Decision::kForkPinned;
  }

  Parting conclude(std::size_t step, Decision decision, const std::string& here) {
    trace_.steps[step].parted = true;
    Parting parting;
    parting.step = step;
    parting.decision = decision;
    parting.decision_name = decision_name(decision);
    parting.value_name = value_name(decision, rules_);
    parting.sentence = fmt::format("{}. {}", capitalised(value_meaning(decision, rules_)), here);
    return parting;
  }

  Parting parted(std::size_t apart, const Holding& holding) {
    const std::size_t taken = taken_at(apart, holding);
    const std::string now = holding.mapped ? frame_name(*holding.mapped) : std::string("nothing");
    const std::string parting_words = fmt::format("{} maps {} now, {} still holds {}", owner(holding), now,
                                                  device(holding), frame_name(holding.frame));
    trace_.steps[apart].note = parting_words;

    if (has_event(detail(taken), mm::EventKind::kForced, holding.frame) && taken != apart) {
      return conclude(taken, Decision::kGupForce,
                      fmt::format("Here {} was given {} for writing through a read-only entry.", device(holding),
                                  frame_name(holding.frame)));
    }
    if (is_shared(taken, holding.frame) && !has(holding.flags, PinFlags::kWrite)) {
      trace_.steps[taken].note = fmt::format("{} takes hold of {}, which is not {}'s own", device(holding),
                                             frame_name(holding.frame), owner(holding));
      return conclude(taken, Decision::kGupRead,
                      fmt::format("Here {} took hold of {} while it was shared, so the write that came later had to "
                                  "leave it behind.",
                                  device(holding), frame_name(holding.frame)));
    }
    for (std::size_t step = taken + 1; step <= apart; ++step) {
      if (!has_event(detail(step), mm::EventKind::kForkShared, holding.frame)) continue;
      const std::string shares =
          fmt::format("shares {}, which {} holds, write-protected", frame_name(holding.frame), device(holding));
      if (step != apart) trace_.steps[step].note = shares;
      return conclude(step, behind_sharing(holding), fmt::format("Here fork {}.", shares));
    }
    return conclude(apart, Decision::kReuse,
                    fmt::format("Here the write fault left {} to {} and went on with {}.", frame_name(holding.frame),
                                device(holding), now));
  }

  /// Nobody has left the page yet, but the child reads what the device writes.
  Parting shared_with_writer(std::size_t step, const Holding& holding) {
    const std::string shares =
        fmt::format("shares {}, into which {} writes", frame_name(holding.frame), device(holding));
    trace_.steps[step].note = shares;
    return conclude(step, behind_sharing(holding), fmt::format("Here fork {}.", shares));
  }

  Parting forced(std::size_t step, FrameNumber frame) {
    trace_.steps[step].note = fmt::format("writes through a read-only entry to {}, which is shared", frame_name(frame));
    return conclude(step, Decision::kGupForce, fmt::format("Here the step {}.", trace_.steps[step].note));
  }

  /// A write fault of one process kept a page that a device holds through another process's address, or through one
  /// that its owner has given up.
  [[nodiscard]] bool reused_by_stranger(std::size_t step, const Holding& holding) const {
    const bool stranger = scene_.process_of(detail(step).block) != holding.owner || !holding.attached;
    return stranger && has_event(detail(step), mm::EventKind::kReused, holding.frame);
  }

  Parting went_on(std::size_t step, const Holding& holding) {
    const std::uint8_t process = scene_.process_of(detail(step).block);
    trace_.steps[step].note = fmt::format("{} goes on with {}, which {} still holds", scene_.block(process).name,
                                          frame_name(holding.frame), device(holding));
    return conclude(step, Decision::kReuse, fmt::format("Here {}.", trace_.steps[step].note));
  }

  Tracer& tracer_;
  const Scene& scene_;
  const Rules& rules_;
  Trace& trace_;
};

std::string breach_note(const TraceStep& step, const FindingKey& key) {
  if (key.source == FindingKey::Source::kDeadlock) return "nobody can go on";
  if (key.source == FindingKey::Source::kInvariant) {
    return std::string(mm::kViolations[static_cast<std::size_t>(key.violation)].sentence);
  }
  std::string allowed;
  for (const std::int64_t value : step.expected) {
    if (!allowed.empty()) allowed += " or ";
    allowed += litmus::format_value(value);
  }
  if (step.expected_cut) allowed += " or …";
  return fmt::format("the reference semantics allows {}", allowed);
}

}  // namespace

std::optional<Parting> find_parting(Tracer& tracer) { return Detective(tracer).run(); }

void mark_breach(Trace& trace, const FindingKey& key) {
  if (trace.steps.empty()) return;
  TraceStep& last = trace.steps.back();
  last.broke = true;
  const std::string note = breach_note(last, key);
  last.note = last.note.empty() ? note : last.note + "; " + note;
}

void correct_parting(Finding& finding, const Rules& rules) {
  if (!finding.parting || !finding.trace.by_steps || finding.remedies.empty()) return;
  Parting& parting = *finding.parting;
  for (const Remedy& remedy : finding.remedies) {
    if (remedy.decision_name == parting.decision_name) return;
  }
  const auto decision = find_decision(finding.remedies.front().decision_name);
  if (!decision) return;
  parting.decision = *decision;
  parting.decision_name = decision_name(*decision);
  parting.value_name = value_name(*decision, rules);
  parting.sentence =
      fmt::format("{}. Here {}.", capitalised(value_meaning(*decision, rules)), finding.trace.steps[parting.step].note);
}

bool explain(Finding& finding, const FindingKey& key, const Schedule& schedule, const CheckOptions& options) {
  const Scene scene(finding.program);
  Tracer tracer(scene, options);
  if (!tracer.begin().empty()) return false;
  for (const std::uint8_t block : schedule) {
    if (!tracer.step(block)) return false;
  }
  finding.parting = find_parting(tracer);
  mark_breach(tracer.trace(), key);
  finding.trace = std::move(tracer.trace());
  return true;
}

}  // namespace cowherd::check
