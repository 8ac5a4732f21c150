#include "live/same_pages.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "live/page_facts.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kRun = "/sys/kernel/mm/ksm/run";
constexpr const char* kZeros = "/sys/kernel/mm/ksm/use_zero_pages";
constexpr const char* kScans = "/sys/kernel/mm/ksm/full_scans";
/// A page is remembered when its contents have not changed since the round before, and merged when another one of the
/// same is met after that: two rounds at the least, and one that was under way. Others may look at the page meanwhile.
constexpr std::uint64_t kRounds = 20;
constexpr std::chrono::milliseconds kAtLeast{100};
constexpr useconds_t kLookMicroseconds = 500;

std::uint64_t rounds() {
  std::uint64_t count = 0;
  std::ifstream file(kScans);
  file >> count;
  return count;
}

bool write_setting(const char* path, char value) {
  std::ofstream file(path);
  file << value;
  return static_cast<bool>(file.flush());
}

bool write_run(char value) { return write_setting(kRun, value); }

/// Lets it run until `done`, or it has had every chance. Whether it came to that; nothing where it does not run.
template <class Done>
std::optional<bool> run_until(std::chrono::milliseconds patience, Done&& done) {
  const auto begin = std::chrono::steady_clock::now();
  const std::uint64_t first_round = rounds();
  const auto had_every_chance = [&] {
    const auto passed = std::chrono::steady_clock::now() - begin;
    return passed > patience || (passed > kAtLeast && rounds() >= first_round + kRounds);
  };
  bool came = false;
  if (!write_run('1')) return std::nullopt;
  while (!came && !had_every_chance()) {
    ::usleep(kLookMicroseconds);
    came = done();
  }
  write_run('0');
  return came;
}

std::optional<std::uint64_t> frame_of(const PageOf& page) {
  const std::optional<std::uint64_t> frame = PageFacts(page.process).entry_at(page.address).mapped();
  return frame && is_zero_page(*frame) ? std::nullopt : frame;
}

}  // namespace

bool is_mergeable(const PageOf& page) {
  return area_flags(page.process, page.address).value_or("").find(" mg") != std::string::npos;
}

std::string SamePages::open(Keeper& keeper) {
  if (std::string problem = keeper.lock(kRun); !problem.empty()) return problem;
  // These change while a test is run.
  for (const char* const path : {kRun, kZeros}) {
    if (::access(path, F_OK) != 0) continue;
    if (std::string problem = keeper.hold(path); !problem.empty()) return problem;
  }
  const struct {
    const char* name;
    const char* text;
    bool everywhere;
  } settings[] = {
      {"run", "0", true},
      // As fast as it goes, and none left out: a virtual machine beside us may have all its memory merged.
      {"sleep_millisecs", "0", true},
      {"pages_to_scan", "1000000", true},
      {"smart_scan", "0", false},
      {"use_zero_pages", "0", false},
      {"advisor_mode", "none", false},
  };
  for (const auto& setting : settings) {
    const std::string path = std::string("/sys/kernel/mm/ksm/") + setting.name;
    if (!setting.everywhere && ::access(path.c_str(), F_OK) != 0) continue;
    if (std::string problem = keeper.set(path, setting.text); !problem.empty()) return problem;
  }
  return {};
}

Errno SamePages::merge(const PageOf& one, const PageOf& other, std::chrono::milliseconds patience) const {
  const auto first = frame_of(one);
  const auto second = frame_of(other);
  if (!is_mergeable(one) || !is_mergeable(other)) return Errno::kInvalid;
  if (!first || !second) return Errno::kFault;
  if (*first == *second) return Errno::kInvalid;
  const std::optional<bool> same = run_until(patience, [&] {
    const auto now = frame_of(one);
    return now && now == frame_of(other);
  });
  return same.value_or(false) ? Errno{0} : Errno::kBusy;
}

Errno SamePages::zero(const PageOf& page, std::chrono::milliseconds patience) const {
  if (!is_mergeable(page)) return Errno::kInvalid;
  if (!frame_of(page)) return Errno::kFault;
  if (!write_setting(kZeros, '1')) return Errno::kBusy;
  const std::optional<bool> zero =
      run_until(patience, [&] { return PageFacts(page.process).entry_at(page.address).zero; });
  write_setting(kZeros, '0');
  return zero.value_or(false) ? Errno{0} : Errno::kBusy;
}

}  // namespace cowherd::live
