#include <charconv>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cow/rules_text.hpp"
#include "stress/run.hpp"

namespace cowherd::stress {
namespace {

constexpr char kUsage[] = R"(usage: cowherd_stress [--rules NAME[,decision=value...]] [--seconds N] [--seed N]
                      [--threads N] [--operations N] [--frames N] [--swap N]
                      [--pages small|huge|folio|hugetlb] [--save FILE]

Threads of the host do random things to a few address spaces of one machine at full speed. Every few
thousand operations all stand still: what each has seen is judged, and the machine is recounted.

  --rules       as for cowherd check (cowherd)
  --seconds     how long (3)
  --seed        of what the threads do; how they meet is chance (1)
  --threads     how many (4)
  --operations  of each thread from one look to the next (2000)
  --frames      of the machine: with few, allocations fail (600)
  --swap        pages of swap: with any, reclaim takes pages all the time (0)
  --pages       what the memory is made of (small); hugetlb pages come from a pool beside the frames
  --save        where the litmus test of a finding goes

Exit status: 0 nothing found, 1 found something, 2 wrong arguments.
)";

struct Arguments {
  Plan plan;
  unsigned seconds = 3;
  std::string rules = "cowherd";
  std::string save;
};

bool read_pages(std::string_view text, Pages& pages) {
  static constexpr std::pair<std::string_view, Pages> kNames[] = {
      {"small", Pages::kSmall}, {"huge", Pages::kHuge}, {"folio", Pages::kFolio}, {"hugetlb", Pages::kHugetlb}};
  for (const auto& [name, meant] : kNames) {
    if (text != name) continue;
    pages = meant;
    return true;
  }
  return false;
}

template <class T>
bool read_number(std::string_view text, T& number, T least) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && number >= least;
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return std::nullopt;
    const std::string_view value = argv[i + 1];
    bool good = true;
    if (name == "--rules") {
      arguments.rules = value;
    } else if (name == "--save") {
      arguments.save = value;
    } else if (name == "--seconds") {
      good = read_number(value, arguments.seconds, 0u);
    } else if (name == "--seed") {
      good = read_number(value, arguments.plan.seed, std::uint64_t{0});
    } else if (name == "--threads") {
      good = read_number(value, arguments.plan.threads, 1u);
    } else if (name == "--operations") {
      good = read_number(value, arguments.plan.operations, 1u);
    } else if (name == "--swap") {
      good = read_number(value, arguments.plan.swap, std::size_t{0});
    } else if (name == "--pages") {
      good = read_pages(value, arguments.plan.pages);
    } else if (name == "--frames") {
      good = read_number(value, arguments.plan.frames, std::size_t{60});
    } else {
      good = false;
    }
    if (!good) return std::nullopt;
  }
  return arguments;
}

int run_program(int argc, char** argv) {
  auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const ParsedRules parsed = load_rules(arguments->rules);
  if (!parsed) {
    std::fprintf(stderr, "cowherd_stress: %s\n", parsed.error.c_str());
    return 2;
  }
  Plan& plan = arguments->plan;
  plan.rules = *parsed.rules;
  const Outcome outcome = run(plan, std::chrono::seconds(arguments->seconds), arguments->rules);
  std::printf("stress: rules %s, seed %llu, %u threads: %llu operations in %llu rounds: %s\n", arguments->rules.c_str(),
              static_cast<unsigned long long>(plan.seed), plan.threads,
              static_cast<unsigned long long>(outcome.operations), static_cast<unsigned long long>(outcome.rounds),
              outcome.trouble.empty() ? "nothing found" : "FOUND");
  if (outcome.trouble.empty()) return 0;
  std::fputs(outcome.trouble.c_str(), stdout);
  if (!outcome.litmus.empty()) {
    std::printf("as a litmus test, for cowherd check --grain step --rules %s:\n%s", arguments->rules.c_str(),
                outcome.litmus.c_str());
    if (!arguments->save.empty()) std::ofstream(arguments->save) << outcome.litmus;
  }
  return 1;
}

}  // namespace
}  // namespace cowherd::stress

int main(int argc, char** argv) { return cowherd::stress::run_program(argc, argv); }
