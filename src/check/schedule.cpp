#include "check/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "check/hash.hpp"
#include "litmus/program.hpp"

namespace cowherd::check {

namespace {

template <class Number>
bool parse_number(std::string_view text, Number least, Number most, Number& out) {
  unsigned long number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size() || number < least || number > most) return false;
  out = static_cast<Number>(number);
  return true;
}

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool parse_run(std::string_view text, ScheduleRun& run) {
  if (const auto equals = text.find('='); equals != std::string_view::npos) {
    if (!is_hash(text.substr(equals + 1))) return false;
    run.hash = text.substr(equals + 1);
    text = text.substr(0, equals);
  }
  run.steps = 1;
  if (const auto star = text.find('*'); star != std::string_view::npos) {
    if (!parse_number<std::size_t>(text.substr(star + 1), 1, kMaxScheduleSteps, run.steps)) return false;
    text = text.substr(0, star);
  }
  const bool other_way = text.ends_with('!');
  if (other_way) text.remove_suffix(1);
  std::uint8_t block = 0;
  if (!parse_number<std::uint8_t>(text, 0, litmus::kMaxBlocks - 1, block)) return false;
  run.move = move_of(block, other_way ? 1 : 0);
  return true;
}

}  // namespace

std::vector<ScheduleRun> runs_of(const std::vector<ScheduleStep>& steps) {
  std::vector<ScheduleRun> runs;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (runs.empty() || runs.back().move != steps[i].move) runs.push_back({steps[i].move, 0, {}});
    ++runs.back().steps;
    const bool switches = i + 1 == steps.size() || block_of(steps[i + 1].move) != block_of(steps[i].move);
    if (switches) runs.back().hash = steps[i].hash;
  }
  return runs;
}

std::string print_schedule(const std::vector<ScheduleRun>& runs, bool with_hashes) {
  std::string text;
  for (const ScheduleRun& run : runs) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{}{}", block_of(run.move), way_of(run.move) == 0 ? "" : "!");
    if (run.steps != 1) text += fmt::format("*{}", run.steps);
    if (with_hashes && !run.hash.empty()) text += "=" + run.hash;
  }
  return text;
}

std::optional<std::vector<ScheduleRun>> parse_schedule(std::string_view text, std::string& error) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<ScheduleRun> runs;
  std::size_t total = 0;
  for (std::size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;
       at = text.find_first_not_of(kBlanks, at)) {
    const std::size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    ScheduleRun run;
    if (!parse_run(text.substr(at, end - at), run)) {
      error = fmt::format(
          "'{}' is not part of a schedule: BLOCK, BLOCK*STEPS or BLOCK*STEPS=HASH, with ! behind BLOCK or not",
          text.substr(at, end - at));
      return std::nullopt;
    }
    total += run.steps;
    if (total > kMaxScheduleSteps) {
      error = "the schedule is too long";
      return std::nullopt;
    }
    runs.push_back(std::move(run));
    at = end;
  }
  return runs;
}

}  // namespace cowherd::check
