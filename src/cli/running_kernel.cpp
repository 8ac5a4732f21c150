#include "cli/running_kernel.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>

namespace cowherd::cli {
namespace {

constexpr std::string_view kPrefix = "linux-";

/// "6.18.44-rc2" as four numbers, of which the last is large for a release.
using Version = std::array<unsigned, 4>;

Version version_in(std::string_view text) {
  Version version{0, 0, 0, ~0u};
  for (std::size_t part = 0; part < 3; ++part) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version[part]);
    if (error != std::errc{}) break;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  if (text.starts_with("-rc")) std::from_chars(text.data() + 3, text.data() + text.size(), version[3]);
  return version;
}

}  // namespace

std::string running_kernel_name(std::string_view release) {
  return fmt::format("live-{}{}", kPrefix, release.substr(0, release.find_first_not_of("0123456789.")));
}

RuleChoice rules_of_release(std::string_view release) {
  const Version running = version_in(release);
  const KernelAlias* newest = nullptr;
  for (const KernelAlias& alias : linux_versions()) {
    if (!alias.name.starts_with(kPrefix)) continue;
    if (version_in(alias.name.substr(kPrefix.size())) <= running) newest = &alias;
  }
  RuleChoice choice;
  choice.name = running_kernel_name(release);
  if (newest == nullptr) return choice;
  choice.version = newest;
  choice.row = find_rules(newest->name);
  if (choice.row != nullptr) choice.rules = choice.row->rules;
  return choice;
}

}  // namespace cowherd::cli
