#include "races/races_report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "base/ref.hpp"
#include "litmus/printer.hpp"

extern "C" const char __executable_start;

namespace cowherd::races {

namespace {

std::string first_line(const std::string& command) {
  std::string line;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return line;
  std::string name;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) {
    std::string text = buffer;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    // The innermost function that was inlined comes first; the one of ours says more than a helper of the library.
    if (text.find("/src/") != std::string::npos && line.empty()) line = text + " " + name;
    if (text.find(':') == std::string::npos || text.find("::") != std::string::npos) name = text;
  }
  pclose(pipe);
  return line;
}

std::string place_in_machine(std::size_t offset, std::size_t ram, std::size_t descriptors) {
  using check::G;
  if (offset >= ram) {
    const std::size_t in_ram = offset - ram;
    return fmt::format("frame {}, byte {} (object {})", in_ram / Geometry<G>::kPageBytes,
                       in_ram % Geometry<G>::kPageBytes, in_ram / kObjectUnit);
  }
  if (offset >= descriptors) {
    const std::size_t in_array = offset - descriptors;
    return fmt::format("the descriptor of frame {}, byte {}", in_array / sizeof(FrameDescriptor),
                       in_array % sizeof(FrameDescriptor));
  }
  return fmt::format("the machine's header, byte {}", offset);
}

}  // namespace

std::string place_in_source(const void* site) {
  static std::map<const void*, std::string> known;
  std::string& place = known[site];
  if (place.empty()) {
    const auto offset = static_cast<const char*>(site) - &__executable_start;
    place = first_line(fmt::format("addr2line -C -f -i -e /proc/{}/exe {:#x} 2>/dev/null", getpid(), offset));
    if (place.empty()) place = fmt::format("program+{:#x}", offset);
    if (const auto source = place.find("/src/"); source != std::string::npos) place.erase(0, source + 1);
  }
  return place;
}

std::string describe(const check::Race& race, const check::Scene& scene, std::size_t ram, std::size_t descriptors) {
  const auto access = [&](const check::RacingAccess& a) {
    const auto& operations = scene.block(a.agent).operations;
    const std::string operation = a.operation < operations.size()
                                      ? litmus::print_operation(scene.program(), a.agent, operations[a.operation])
                                      : "its end";
    const std::string point = a.point == check::kFromStart
                                  ? "its beginning"
                                  : fmt::format("{}", kPoints[static_cast<std::size_t>(a.point)].name);
    return fmt::format("    {} {}{} in {} behind {}\n      {}\n", scene.agent_name(a.agent), a.atomic ? "atomic " : "",
                       a.write ? "write" : "read", operation, point, place_in_source(a.site));
  };
  return fmt::format("  {} bytes in {}\n{}{}", race.size, place_in_machine(race.offset, ram, descriptors),
                     access(race.first), access(race.second));
}

}  // namespace cowherd::races
