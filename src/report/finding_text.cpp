#include "report/finding_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "check/columns.hpp"
#include "litmus/printer.hpp"
#include "litmus/resolve.hpp"
#include "litmus/symbols.hpp"
#include "report/wrap.hpp"

namespace cowherd::report {
namespace {

constexpr std::size_t kLineWidth = 100;

constexpr std::string_view kKey =
    "   (a line to each PTE that changed: the frame that it maps, R/O or R/W, dirty; then the frame's reference\n"
    "   count, how many PTEs map it, its pins, and whether it is marked as belonging to one address space alone)\n";

constexpr std::string_view kColumnsKey =
    "   (time flows down, each block has a column; [next: ...] is what it is about to do when another block goes on.\n"
    "   Below each operation: what happened inside, and what it changed: PTEs, counts of frames, what devices hold)\n";

template <class Sight>
const Sight* find(const std::vector<Sight>& sights, const std::string& name) {
  const auto at = std::find_if(sights.begin(), sights.end(), [&](const Sight& sight) { return sight.name == name; });
  return at == sights.end() ? nullptr : &*at;
}

std::string held_text(const check::DeviceSight& device) {
  if (device.frames.empty()) return fmt::format("{} holds nothing", device.name);
  std::string frames;
  for (const FrameNumber frame : device.frames)
    frames += fmt::format("{}{}", frames.empty() ? "" : ", ", frame.value());
  return fmt::format("{} holds frame{} {} ({} for {})", device.name, device.frames.size() > 1 ? "s" : "", frames,
                     device.get ? "get" : "pin", device.writes ? "writing" : "reading");
}

/// Every page and device that the step left otherwise than it found it.
std::string changes_text(const check::TraceStep& step, const std::vector<check::PageSight>& pages_before,
                         const std::vector<check::DeviceSight>& devices_before, std::string_view indent) {
  std::string text;
  for (const check::PageSight& page : step.pages) {
    const check::PageSight* before = find(pages_before, page.name);
    if (before != nullptr ? *before == page : !page.present) continue;
    text += fmt::format("{}{}  {}\n", indent, page.name, sight_text(page));
  }
  for (const check::PageSight& page : pages_before) {
    if (page.present && find(step.pages, page.name) == nullptr) text += fmt::format("{}{}  gone\n", indent, page.name);
  }
  for (const check::DeviceSight& device : step.devices) {
    const check::DeviceSight* before = find(devices_before, device.name);
    if (before != nullptr ? *before == device : device.frames.empty()) continue;
    text += fmt::format("{}{}\n", indent, held_text(device));
  }
  return text;
}

std::string results_text(const check::TraceStep& step) {
  std::string text = fmt::format(" -> {}", litmus::format_value(step.result));
  if (step.expected.empty()) return text;
  text += "   (reference: ";
  for (std::size_t i = 0; i < step.expected.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : " or ", litmus::format_value(step.expected[i]));
  }
  return text + (step.expected_cut ? " or others)" : ")");
}

std::string wrapped_line(std::string_view first, std::string_view text, std::string_view indent) {
  return wrapped(first, text, indent, kLineWidth);
}

/// The decisions of which any one, changed alone, makes the finding go away.
std::string remedies_text(const check::Finding& finding) {
  std::string list;
  for (const check::Remedy& remedy : finding.remedies) {
    list += fmt::format("{}{}={} (here {})", list.empty() ? "" : ", or ", remedy.decision_name, remedy.remedy_name,
                        remedy.value_name);
  }
  return list.empty() ? std::string() : wrapped_line("Gone with: ", list, "  ");
}

std::string clause_text(const check::Finding& finding) {
  if (finding.clause == spec::Clause::kNone || finding.clause == spec::Clause::kBookkeeping) {
    return wrapped_line("Broken: ", finding.sentence, "  ");
  }
  return wrapped_line(
      fmt::format("Broken: promise {}, {}: ", static_cast<unsigned>(finding.clause), spec::name_of(finding.clause)),
      finding.sentence, "  ");
}

/// Whether `block` was started and has neither come to its end nor been ended by an exit or an exec of its process.
bool is_running(const litmus::Program& program, const check::Trace& trace, std::size_t block, std::size_t done) {
  const litmus::Block& own = program.blocks[block];
  bool started = own.start == litmus::BlockStart::kAtTimeZero;
  std::vector<std::size_t> at(program.blocks.size(), 0);
  for (const check::TraceStep& step : trace.steps) {
    if (!step.ends) continue;
    if (step.block >= at.size() || at[step.block] >= program.blocks[step.block].operations.size()) return false;
    const litmus::Operation& operation = program.blocks[step.block].operations[at[step.block]++];
    if (litmus::starts_block(operation.code) && operation.block == block && step.result >= 0) started = true;
    if (step.block == block && operation.code == litmus::OpCode::kExit) return false;
    const bool same_process =
        litmus::process_of(program, step.block) == litmus::process_of(program, static_cast<std::uint8_t>(block));
    if (step.block != block && same_process && operation.code == litmus::OpCode::kExec) return false;
  }
  return started && done < own.operations.size();
}

/// What a block that has begun an operation waits to do in it; nothing where it has not begun.
std::string waits_to(const check::Trace& trace, std::size_t block) {
  const auto last = std::find_if(trace.steps.rbegin(), trace.steps.rend(),
                                 [block](const check::TraceStep& step) { return step.block == block; });
  return last == trace.steps.rend() || last->ends ? std::string() : last->next;
}

/// Where everybody stands who cannot go on.
std::string stuck_text(const check::Finding& finding) {
  const litmus::Program& program = finding.program;
  std::string text;
  for (std::size_t block = 0; block < program.blocks.size(); ++block) {
    const auto of_block = [block](const check::TraceStep& step) { return step.block == block && step.ends; };
    const auto done =
        static_cast<std::size_t>(std::count_if(finding.trace.steps.begin(), finding.trace.steps.end(), of_block));
    if (!is_running(program, finding.trace, block, done)) continue;
    const std::string next = waits_to(finding.trace, block);
    text += fmt::format("Stuck: {} {} {}{}\n", program.blocks[block].name, next.empty() ? "before" : "in",
                        litmus::print_operation(program, block, program.blocks[block].operations[done]),
                        next.empty() ? "" : ", next: " + next);
  }
  return text;
}

bool same_test(const litmus::Program& a, const litmus::Program& b) {
  return a.variables == b.variables && a.devices == b.devices && a.blocks == b.blocks;
}

/// Without what its author had to say about the whole of it.
litmus::Program plain_test(litmus::Program program) {
  program.doc.clear();
  program.source.clear();
  program.remark.clear();
  program.result.reset();
  program.expectations.clear();
  return program;
}

}  // namespace

bool same_trace(const check::Finding& a, const check::Finding& b) {
  return !a.trace.replay.empty() && a.trace.replay == b.trace.replay && a.trace.rules == b.trace.rules &&
         same_test(a.program, b.program);
}

std::string sight_text(const check::PageSight& sight) {
  if (!sight.present) return "not mapped";
  std::string text = sight.zero_page ? std::string("zero page") : fmt::format("frame {}", sight.frame.value());
  text += sight.writable ? " R/W" : " R/O";
  if (sight.entry_dirty) text += " dirty";
  if (!sight.zero_page) {
    text += fmt::format(", refs {}, mapcount {}, pins {}, {}", sight.references, sight.mapcount, sight.pins,
                        sight.exclusive ? "exclusive" : "not exclusive");
  }
  return text;
}

std::string trace_text(const check::Trace& trace) {
  std::string text;
  for (const check::PageSight& page : trace.initial_pages) {
    if (page.present) text += fmt::format("   at first: {}  {}\n", page.name, sight_text(page));
  }
  if (trace.by_steps) return text + check::write_columns(trace, kLineWidth);
  const std::vector<check::DeviceSight> no_devices;
  const std::size_t width = fmt::formatted_size("{}", trace.steps.size());
  const std::string indent(width + 4, ' ');
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    const check::TraceStep& step = trace.steps[i];
    text += fmt::format("{:>{}}) {}: {}{}\n", i + 1, width, step.agent, step.operation, results_text(step));
    const auto& pages_before = i == 0 ? trace.initial_pages : trace.steps[i - 1].pages;
    const auto& devices_before = i == 0 ? no_devices : trace.steps[i - 1].devices;
    for (const std::string& event : step.events) text += fmt::format("{}- {}\n", indent, event);
    text += changes_text(step, pages_before, devices_before, indent);
    if (!step.note.empty()) {
      text += wrapped_line(fmt::format("{}{} ", indent, step.parted ? "<== HERE:" : "<--"), step.note, indent + "    ");
    }
  }
  return text;
}

std::string finding_text(const check::Finding& finding, const FindingTextOptions& options) {
  const std::string title = finding.subtype.empty()
                                ? std::string(check::name_of(finding.kind))
                                : fmt::format("{}: {}", check::name_of(finding.kind), finding.subtype);
  std::string text = options.count > 1 ? fmt::format("Finding: {} ({} of {})\n", title, options.number, options.count)
                                       : fmt::format("Finding: {}\n", title);
  if (!finding.remark.empty()) text += wrapped_line("Remark: ", finding.remark, "  ");
  if (!options.trace || finding.trace.steps.empty()) return text + clause_text(finding);

  if (options.same_as != 0) {
    return text +
           fmt::format("Trace: that of finding {}, step {}\n", options.same_as,
                       check::shown_number(finding.trace, finding.trace.steps.size() - 1)) +
           clause_text(finding) + remedies_text(finding);
  }

  const bool own_test =
      !finding.program.blocks.empty() && (options.test == nullptr || !same_test(*options.test, finding.program));
  if (own_test) {
    text += fmt::format("The smallest test that shows it:\n{}\n", litmus::print(plain_test(finding.program)));
  }
  const std::string_view key = finding.trace.by_steps                ? kColumnsKey
                               : finding.trace.initial_pages.empty() ? std::string_view()
                                                                     : kKey;
  text += fmt::format("Trace under {}, {} preemption{}:\n{}{}", finding.trace.rules, finding.trace.preemptions,
                      finding.trace.preemptions == 1 ? "" : "s", options.key ? key : "", trace_text(finding.trace));
  if (finding.subtype == "deadlock" || finding.subtype == "livelock") text += stuck_text(finding);
  text += clause_text(finding);
  if (finding.parting) {
    const check::Parting& parting = *finding.parting;
    text += wrapped_line("Decision: ",
                         fmt::format("step {}, {}={}: {}", check::shown_number(finding.trace, parting.step),
                                     parting.decision_name, parting.value_name, parting.sentence),
                         "  ");
  }
  text += remedies_text(finding);
  if (finding.minimal) {
    text += fmt::format("minimal: no program with fewer operations shows it{}\n",
                        finding.trace.by_steps ? " by so few preemptions" : "");
  }
  const std::string file = own_test || options.file.empty() ? "FILE" : options.file;
  if (finding.trace.replay.empty()) {
    return text + fmt::format("again: cowherd live {}--schedule '{}' {}\n", finding.trace.live_options,
                              finding.trace.schedule, file);
  }
  text += fmt::format("replay: {}\n", finding.trace.replay);
  const bool step_grain = finding.trace.grain == litmus::Grain::kStep;
  return text + fmt::format("  by: cowherd check --rules {}{}{} --replay '{}' {}{}\n", finding.trace.rules,
                            step_grain ? " --grain step" : "",
                            finding.trace.reuse == check::FrameReuse::kImmediate ? " --reuse immediate" : "",
                            finding.trace.replay, file, own_test ? ", where FILE holds the smallest test" : "");
}

}  // namespace cowherd::report
