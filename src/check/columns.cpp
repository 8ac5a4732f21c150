#include "check/columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "litmus/symbols.hpp"

namespace cowherd::check {

namespace {

/// More blocks than this side by side would leave too little room to each.
constexpr std::size_t kMostColumns = 3;

/// Steps [first, last] of a trace.
struct Steps {
  std::size_t first = 0;
  std::size_t last = 0;
};

/// What one block did without a switch.
std::vector<Steps> runs_in(const Trace& trace) {
  std::vector<Steps> runs;
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    if (runs.empty() || trace.steps[i].block != trace.steps[i - 1].block) runs.push_back({i, i});
    runs.back().last = i;
  }
  return runs;
}

/// The parts of a run that belong to one operation each.
std::vector<Steps> operations_in(const Trace& trace, const Steps& run) {
  std::vector<Steps> parts;
  for (std::size_t i = run.first; i <= run.last; ++i) {
    if (i == run.first || trace.steps[i - 1].ends) parts.push_back({i, i});
    parts.back().last = i;
  }
  return parts;
}

/// What can be seen between two steps.
struct Sight {
  const std::vector<PageSight>& pages;
  const std::vector<DeviceSight>& devices;
  const std::vector<StaleSight>& stale;
};

template <class T>
const T* find(const std::vector<T>& sights, const std::string& name) {
  const auto at = std::find_if(sights.begin(), sights.end(), [&](const T& sight) { return sight.name == name; });
  return at == sights.end() ? nullptr : &*at;
}

std::string frame_name(const PageSight& page) {
  return page.zero_page ? std::string("the zero page") : fmt::format("frame {}", page.frame.value());
}

std::string mode(bool writable) { return writable ? "R/W" : "R/O"; }

std::string entry_change(const PageSight* before, const PageSight& after) {
  const bool was_present = before != nullptr && before->present;
  if (!after.present) return was_present ? fmt::format("{} maps nothing", after.name) : "";
  std::string now = fmt::format("{} maps {} {}{}", after.name, frame_name(after), mode(after.writable),
                                after.entry_dirty ? " dirty" : "");
  if (!was_present) return now;
  if (before->frame != after.frame) return fmt::format("{}, no longer {}", now, frame_name(*before));
  std::string change;
  if (before->writable != after.writable) {
    change = fmt::format(" {} -> {}", mode(before->writable), mode(after.writable));
  }
  if (before->entry_dirty != after.entry_dirty) change += after.entry_dirty ? " dirty" : " clean";
  return change.empty() ? "" : after.name + change;
}

const PageSight* find_frame(const std::vector<PageSight>& pages, const PageSight& wanted) {
  const auto at = std::find_if(pages.begin(), pages.end(), [&](const PageSight& page) {
    return page.present && !page.zero_page && page.frame == wanted.frame;
  });
  return at == pages.end() ? nullptr : &*at;
}

std::string frame_change(const PageSight* before, const PageSight& after) {
  std::string change;
  const auto count = [&](std::string_view name, std::uint32_t from, std::uint32_t to) {
    if (before != nullptr && from == to) return;
    // Of a page that nobody mapped before, only what is there.
    if (before == nullptr && to == 0) return;
    if (!change.empty()) change += ", ";
    change += before == nullptr ? fmt::format("{} {}", name, to) : fmt::format("{} {} -> {}", name, from, to);
  };
  const PageSight was = before != nullptr ? *before : PageSight{};
  count("refs", was.references, after.references);
  count("mapcount", was.mapcount, after.mapcount);
  count("pins", was.pins, after.pins);
  if (before == nullptr || was.exclusive != after.exclusive) {
    change += fmt::format("{}{}", change.empty() ? "" : ", ", after.exclusive ? "exclusive" : "not exclusive");
  }
  return change.empty() ? "" : fmt::format("{}: {}", frame_name(after), change);
}

std::string held(const DeviceSight& device) {
  if (device.frames.empty()) return fmt::format("{} holds nothing", device.name);
  std::string frames;
  for (const FrameNumber frame : device.frames) {
    frames += fmt::format("{}{}", frames.empty() ? "" : ", ", frame.value());
  }
  return fmt::format("{} holds frame{} {} ({} for {})", device.name, device.frames.size() > 1 ? "s" : "", frames,
                     device.get ? "get" : "pin", device.writes ? "writing" : "reading");
}

std::vector<std::string> changes(const Sight& before, const Sight& after) {
  std::vector<std::string> lines;
  const auto add = [&](std::string line) {
    if (!line.empty()) lines.push_back(std::move(line));
  };
  for (const PageSight& page : after.pages) add(entry_change(find(before.pages, page.name), page));
  for (const PageSight& page : before.pages) {
    if (page.present && find(after.pages, page.name) == nullptr) add(page.name + " is gone");
  }
  std::vector<FrameNumber> told;
  for (const PageSight& page : after.pages) {
    if (!page.present || page.zero_page) continue;
    if (std::find(told.begin(), told.end(), page.frame) != told.end()) continue;
    told.push_back(page.frame);
    add(frame_change(find_frame(before.pages, page), page));
  }
  for (const DeviceSight& device : after.devices) {
    const DeviceSight* was = find(before.devices, device.name);
    if (was == nullptr || *was != device) add(held(device));
  }
  for (const DeviceSight& device : before.devices) {
    if (find(after.devices, device.name) == nullptr) add(fmt::format("{} holds nothing", device.name));
  }
  for (const StaleSight& stale : after.stale) {
    if (std::find(before.stale.begin(), before.stale.end(), stale) != before.stale.end()) continue;
    add(fmt::format("the CPU of {} still has {} as frame {} {}", stale.agent, stale.page, stale.frame.value(),
                    mode(stale.writable)));
  }
  return lines;
}

std::string result_of(const TraceStep& step) {
  std::string text = fmt::format(" -> {}", litmus::format_value(step.result));
  if (step.expected.empty()) return text;
  std::string allowed;
  for (const std::int64_t value : step.expected) {
    allowed += fmt::format("{}{}", allowed.empty() ? "" : " or ", litmus::format_value(value));
  }
  return text + fmt::format(" (reference: {}{})", allowed, step.expected_cut ? " or others" : "");
}

/// A line of a cell, and how far in it stands.
struct Line {
  std::string text;
  std::size_t indent = 0;
};

class Columns {
 public:
  Columns(const Trace& trace, std::size_t width) : trace_(trace), runs_(runs_in(trace)) {
    std::map<std::uint8_t, std::string> blocks;
    for (const TraceStep& step : trace.steps) blocks[step.block] = step.agent;
    for (const auto& [block, agent] : blocks) agents_.emplace_back(block, agent);
    number_width_ = fmt::formatted_size("{}) ", runs_.size());
    side_by_side_ = agents_.size() > 1 && agents_.size() <= kMostColumns;
    const std::size_t columns = side_by_side_ ? agents_.size() : 1;
    const std::size_t room = width - std::min(width, number_width_ + (columns - 1) * kGap);
    column_width_ = std::max<std::size_t>(room / columns, 20);
  }

  std::string write() {
    if (side_by_side_) write_head();
    for (std::size_t i = 0; i < runs_.size(); ++i) write_run(i);
    return std::move(text_);
  }

 private:
  static constexpr std::size_t kGap = 2;
  static constexpr std::size_t kIndent = 2;

  void write_head() {
    std::string names(number_width_, ' ');
    std::string rules(number_width_, ' ');
    for (const auto& [block, agent] : agents_) {
      names += fmt::format("{:<{}}", agent, column_width_ + kGap);
      rules += fmt::format("{:<{}}", std::string(agent.size(), '-'), column_width_ + kGap);
    }
    put(names);
    put(rules);
  }

  void put(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    text_ += line + '\n';
  }

  [[nodiscard]] std::size_t column_of(std::uint8_t block) const {
    if (!side_by_side_) return 0;
    const auto at =
        std::find_if(agents_.begin(), agents_.end(), [&](const auto& agent) { return agent.first == block; });
    return static_cast<std::size_t>(at - agents_.begin());
  }

  void write_run(std::size_t number) {
    const Steps& run = runs_[number];
    const TraceStep& first = trace_.steps[run.first];
    const std::size_t left = column_of(first.block) * (column_width_ + kGap);
    std::string margin = fmt::format("{:>{}}) ", number + 1, number_width_ - 2);
    for (const Steps& part : operations_in(trace_, run)) {
      for (const Line& line : lines_of(part)) {
        for (const std::string& piece : wrap(line)) {
          put(fmt::format("{}{:{}}{}", margin, "", left, piece));
          margin.assign(number_width_, ' ');
        }
      }
    }
  }

  [[nodiscard]] Sight sight_after(std::size_t step) const {
    const TraceStep& at = trace_.steps[step];
    return {at.pages, at.devices, at.stale};
  }
  [[nodiscard]] Sight sight_before(std::size_t step) const {
    static const std::vector<DeviceSight> no_devices;
    static const std::vector<StaleSight> none_stale;
    if (step == 0) return {trace_.initial_pages, no_devices, none_stale};
    return sight_after(step - 1);
  }

  /// What one block did of one operation, without a switch.
  std::vector<Line> lines_of(const Steps& part) const {
    const TraceStep& first = trace_.steps[part.first];
    const TraceStep& last = trace_.steps[part.last];
    std::vector<Line> lines;
    const std::string agent = side_by_side_ ? "" : first.agent + ": ";
    lines.push_back(
        {fmt::format("{}{}{}{}", agent, first.begins ? "" : "... ", first.operation, last.ends ? result_of(last) : ""),
         0});
    for (std::size_t i = part.first; i <= part.last; ++i) {
      const TraceStep& step = trace_.steps[i];
      if (!step.choice.empty()) lines.push_back({"* " + step.choice, kIndent});
      for (const std::string& event : step.events) lines.push_back({"- " + event, kIndent});
    }
    for (std::string& change : changes(sight_before(part.first), sight_after(part.last))) {
      lines.push_back({std::move(change), kIndent});
    }
    for (std::size_t i = part.first; i <= part.last; ++i) {
      const TraceStep& step = trace_.steps[i];
      if (!step.note.empty()) lines.push_back({(step.parted ? "<== HERE: " : "<-- ") + step.note, kIndent});
    }
    if (!last.ends) lines.push_back({fmt::format("[next: {}]", last.next), kIndent});
    return lines;
  }

  /// Into the width of a column; what does not fit goes on further in.
  [[nodiscard]] std::vector<std::string> wrap(const Line& line) const {
    std::vector<std::string> pieces;
    std::string piece(line.indent, ' ');
    bool empty = true;
    std::string_view rest = line.text;
    while (!rest.empty()) {
      const std::size_t blank = std::min(rest.find(' '), rest.size());
      const std::string_view word = rest.substr(0, blank);
      rest.remove_prefix(std::min(blank + 1, rest.size()));
      if (!empty && piece.size() + 1 + word.size() > column_width_) {
        pieces.push_back(std::exchange(piece, std::string(line.indent + 2 * kIndent, ' ')));
        empty = true;
      }
      if (!empty) piece += ' ';
      piece += word;
      empty = false;
    }
    pieces.push_back(std::move(piece));
    return pieces;
  }

  const Trace& trace_;
  std::vector<Steps> runs_;
  std::vector<std::pair<std::uint8_t, std::string>> agents_;
  std::size_t number_width_ = 0;
  std::size_t column_width_ = 0;
  bool side_by_side_ = false;
  std::string text_;
};

}  // namespace

std::string write_columns(const Trace& trace, std::size_t width) { return Columns(trace, width).write(); }

std::size_t shown_number(const Trace& trace, std::size_t step) {
  if (!trace.by_steps) return step + 1;
  const std::vector<Steps> runs = runs_in(trace);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (step <= runs[i].last) return i + 1;
  }
  return runs.size();
}

}  // namespace cowherd::check
