#include "measure/host.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <vector>

namespace cowherd::measure {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kEvicted = std::size_t{64} << 20;

/// As it was when the program began: stay_on_processor() narrows what sched_getaffinity() says.
const std::vector<int>& allowed() {
  static const std::vector<int> numbers = [] {
    std::vector<int> found;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0) {
      for (int number = 0; number < CPU_SETSIZE; ++number) {
        if (CPU_ISSET(number, &set)) found.push_back(number);
      }
    }
    if (found.empty()) found.push_back(0);
    return found;
  }();
  return numbers;
}

/// The first line of a file; "?" if there is none.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) ? line : "?";
}

std::string processor_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown processor";
}

std::vector<std::string> mitigations() {
  std::vector<std::string> on;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/cpu/vulnerabilities", error)) {
    if (first_line(entry.path().string()).starts_with("Mitigation")) on.push_back(entry.path().filename().string());
  }
  std::ranges::sort(on);
  return on;
}

/// "always [madvise] never" -> "madvise".
std::string chosen(const std::string& line) {
  const std::size_t begin = line.find('[');
  const std::size_t end = line.find(']');
  return begin == std::string::npos || end == std::string::npos ? line : line.substr(begin + 1, end - begin - 1);
}

/// In ticks, since the machine started.
struct ProcessorTimes {
  double all = 0;
  double idle = 0;
};
ProcessorTimes processor_times() {
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;
  ProcessorTimes times;
  double ticks = 0;
  // user nice system idle iowait irq softirq steal; what guests use is part of the first.
  for (int column = 0; column < 8 && file >> ticks; ++column) {
    times.all += ticks;
    if (column == 3 || column == 4) times.idle += ticks;
  }
  return times;
}

}  // namespace

unsigned processors() { return static_cast<unsigned>(allowed().size()); }

void stay_on_processor(unsigned number) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(allowed()[number % allowed().size()], &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

void evict_caches() {
  // Shared, so that a child process has it too, and a fork that is timed does not copy its entries.
  static std::uint8_t* const memory = [] {
    void* mapped = ::mmap(nullptr, kEvicted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? nullptr : static_cast<std::uint8_t*>(mapped);
  }();
  if (memory == nullptr) return;
  for (std::size_t at = 0; at < kEvicted; at += 64) {
    *const_cast<volatile std::uint8_t*>(memory + at) = static_cast<std::uint8_t>(memory[at] + 1);
  }
}

HostFacts host_facts() {
  utsname name{};
  ::uname(&name);
  const std::string hypervisor = first_line("/sys/hypervisor/type");
  return {.kernel = fmt::format("{} {} {}", name.sysname, name.release, name.version),
          .processor = processor_model(),
          .processors = processors(),
          .hypervisor = hypervisor == "?" ? "" : hypervisor,
          .mitigations = mitigations(),
          .huge_pages = chosen(first_line("/sys/kernel/mm/transparent_hugepage/enabled"))};
}

std::string text_of(const HostFacts& facts) {
  std::string on;
  for (const std::string& name : facts.mitigations) on += (on.empty() ? "" : ",") + name;
  return fmt::format("{}; {} x {}; {}mitigations {}; THP {}", facts.kernel, facts.processors, facts.processor,
                     facts.hypervisor.empty() ? "" : facts.hypervisor + " guest; ", on.empty() ? "none" : on,
                     facts.huge_pages);
}

std::size_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::size_t kibibytes = 0;
  std::string unit;
  while (file >> name >> kibibytes && std::getline(file, unit)) {
    if (name == "MemAvailable:") return kibibytes * 1024;
  }
  return 0;
}

double busy_share() {
  constexpr auto kLook = std::chrono::milliseconds(250);
  const ProcessorTimes before = processor_times();
  std::this_thread::sleep_for(kLook);
  const ProcessorTimes after = processor_times();
  const double all = after.all - before.all;
  return all <= 0 ? 0 : 1 - (after.idle - before.idle) / all;
}

WarmPool::WarmPool(std::size_t bytes) : memory_(nullptr), bytes_(bytes) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  memory_ = mapped;
  ::madvise(mapped, bytes, MADV_NOHUGEPAGE);
  ::madvise(mapped, bytes, MADV_DONTFORK);
  auto* const memory = static_cast<std::uint8_t*>(mapped);
  for (std::size_t at = 0; at < bytes; at += kPage) *const_cast<volatile std::uint8_t*>(memory + at) = 1;
  for (std::size_t at = 0; at + 64 * kPage <= bytes; at += 64 * kPage) {
    ::madvise(memory + at + kPage, 63 * kPage, MADV_DONTNEED);
  }
}

WarmPool::~WarmPool() {
  if (memory_ != nullptr) ::munmap(memory_, bytes_);
}

}  // namespace cowherd::measure
