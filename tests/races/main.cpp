#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "check/races.hpp"
#include "check/stateless.hpp"
#include "cow/rule_rows.hpp"
#include "cow/rules_text.hpp"
#include "litmus/parser.hpp"
#include "races/races_report.hpp"
#include "races/runtime.hpp"
#include "races/self_test.hpp"

// cowherd_races [--rules all|RULES] [--preemptions N] [--runs N] [--half 0|1] [--self-test] FILE|FOLDER…
//
// Runs tests at the grain of steps, every interleaving with up to N preemptions, and reports data races: two accesses
// to the same plain data of the memory system that no lock, no atomic and no start or wait orders. --half: every second
// test, from the first or the second on, as two processors share them. Exit status as cowherd's: 0 none, 1 some, 2
// wrong usage, 3 the detector itself fails.

namespace cowherd::races {

namespace {

struct Task {
  std::vector<std::pair<std::string, Rules>> rules;
  std::uint32_t preemptions = 1;
  std::uint64_t runs = 0;
  std::vector<std::filesystem::path> files;
  std::optional<unsigned> half;
  bool self_test = false;
};

struct Totals {
  std::size_t tests = 0;
  std::size_t checks = 0;
  std::size_t cut = 0;
  std::size_t racy = 0;
  std::uint64_t runs = 0;
};

template <class T>
bool number(const char* text, T& value) {
  const std::string_view all = text;
  return std::from_chars(all.data(), all.data() + all.size(), value).ptr == all.data() + all.size() && !all.empty();
}

bool add_rules(Task& task, std::string_view name) {
  if (name == "all") {
    for (const RuleRow& row : all_rows()) task.rules.emplace_back(row.id, row.rules);
    return true;
  }
  const auto parsed = parse_rules(name);
  if (!parsed) return false;
  task.rules.emplace_back(name, *parsed.rules);
  return true;
}

void add_files(Task& task, const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) {
    task.files.push_back(path);
    return;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.path().extension() == ".litmus") task.files.push_back(entry.path());
  }
  std::sort(task.files.begin(), task.files.end());
}

bool read_arguments(int count, char** arguments, Task& task) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    const bool more = i + 1 < count;
    if (argument == "--self-test") {
      task.self_test = true;
    } else if (argument == "--rules" && more) {
      if (!add_rules(task, arguments[++i])) return false;
    } else if (argument == "--preemptions" && more) {
      if (!number(arguments[++i], task.preemptions)) return false;
    } else if (argument == "--runs" && more) {
      if (!number(arguments[++i], task.runs)) return false;
    } else if (argument == "--half" && more) {
      if (!number(arguments[++i], task.half.emplace()) || *task.half > 1) return false;
    } else if (argument.substr(0, 1) == "-" || !std::filesystem::exists(argument)) {
      return false;
    } else {
      add_files(task, argument);
    }
  }
  if (task.rules.empty()) (void)add_rules(task, "cowherd");
  return task.self_test || !task.files.empty();
}

/// False: the test could not be run.
bool look_at(const Task& task, const std::filesystem::path& file, check::RaceDetector& detector, Totals& totals) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  const auto parsed = litmus::parse(text.str(), file.string());
  if (!parsed.ok()) {
    std::fputs(parsed.to_text().c_str(), stderr);
    return false;
  }
  const check::Scene scene(*parsed.program);
  ++totals.tests;
  for (const auto& [name, rules] : task.rules) {
    check::CheckOptions options;
    options.rules = rules;
    options.rules_name = name;
    options.grain = litmus::Grain::kStep;
    options.preemptions = task.preemptions;
    options.max_states = task.runs;
    check::StatelessSearch search;
    search.watch(&detector);
    watch_with(&detector);
    const std::string error = search.run(scene, options, nullptr);
    watch_with(nullptr);
    if (!error.empty()) {
      std::fprintf(stderr, "%s: %s\n", file.c_str(), error.c_str());
      return false;
    }
    ++totals.checks;
    totals.runs += search.runs();
    totals.cut += search.coverage().stopped_by == check::Bound::kStates ? 1 : 0;
    if (detector.races().empty()) continue;
    ++totals.racy;
    std::printf("%s under %s\n", file.c_str(), name.c_str());
    const auto& system = search.system();
    for (const check::Race& race : detector.races()) {
      std::fputs(describe(race, scene, system.ram_offset(), system.descriptor_offset()).c_str(), stdout);
    }
    detector.forget();
  }
  return true;
}

int run(int count, char** arguments) {
  Task task;
  if (!read_arguments(count, arguments, task)) {
    std::fputs(
        "usage: cowherd_races [--rules all|RULES] [--preemptions N] [--runs N] [--half 0|1] [--self-test] "
        "FILE|FOLDER...\n",
        stderr);
    return 2;
  }
  if (task.self_test && !self_test()) return 3;
  check::RaceDetector detector;
  Totals totals;
  for (std::size_t i = task.half.value_or(0); i < task.files.size(); i += task.half ? 2 : 1) {
    if (!look_at(task, task.files[i], detector, totals)) return 3;
  }
  if (task.files.empty()) return 0;
  std::printf("races: %zu tests, %zu checks (%zu cut), %llu runs, %llu accesses watched, %zu checks with races\n",
              totals.tests, totals.checks, totals.cut, static_cast<unsigned long long>(totals.runs),
              static_cast<unsigned long long>(accesses_seen()), totals.racy);
  if (accesses_seen() == 0) return 3;
  return totals.racy == 0 ? 0 : 1;
}

}  // namespace

}  // namespace cowherd::races

int main(int count, char** arguments) { return cowherd::races::run(count, arguments); }
