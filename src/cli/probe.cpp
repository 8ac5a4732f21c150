#include "live/probe.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.hpp"
#include "cli/running_kernel.hpp"
#include "cli/verbs.hpp"

namespace cowherd::cli {
namespace {

std::string rules_line(const RuleChoice& kernel) {
  if (kernel.row == nullptr) return "no rule set is known for it";
  return fmt::format("said to behave as {} ({})", kernel.row->id, kernel.row->kernels);
}

std::string as_text(const std::string& release, const RuleChoice& kernel, const live::Offers& offers) {
  std::string text = fmt::format("Linux {}: {}\n", release, rules_line(kernel));
  for (std::size_t i = 0; i < live::kNeeds; ++i) {
    const live::NeedInfo& info = live::describe(static_cast<live::Need>(i));
    text += fmt::format("{:<4}{:<18}{}\n", offers[i].here ? "yes" : "no", info.name, info.use);
    text += fmt::format("    {:<18}{}\n", "", offers[i].found);
    if (!offers[i].here) text += fmt::format("    {:<18}to get it: {}\n", "", info.remedy);
  }
  return text;
}

std::string as_json(const std::string& release, const RuleChoice& kernel, const live::Offers& offers) {
  nlohmann::ordered_json json = {{"schema", 1}, {"type", "probe"}, {"kernel", release}};
  if (kernel.row != nullptr) json["row"] = kernel.row->id;
  json["offers"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < live::kNeeds; ++i) {
    const live::NeedInfo& info = live::describe(static_cast<live::Need>(i));
    json["offers"].push_back({{"name", info.name},
                              {"use", info.use},
                              {"here", offers[i].here},
                              {"found", offers[i].found},
                              {"remedy", info.remedy}});
  }
  return json.dump() + '\n';
}

}  // namespace

report::ExitStatus run_probe(const ProbeArguments& arguments) {
  const std::string release = live::kernel_release();
  const RuleChoice kernel = rules_of_release(release);
  const live::Offers offers = live::probe();
  const std::string text = arguments.json ? as_json(release, kernel, offers) : as_text(release, kernel, offers);
  return write_file(arguments.output, text) ? report::ExitStatus::kExpected : report::ExitStatus::kInput;
}

}  // namespace cowherd::cli
