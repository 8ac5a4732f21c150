#include "cli/elsewhere.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string_view>

#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "live/guest.hpp"

namespace cowherd::cli {

using report::ExitStatus;

std::vector<std::string> words_for_guest(const std::vector<std::string>& words) {
  static constexpr std::array<std::string_view, 4> kOurs = {"--vm", "--uml", "--output", "-o"};
  std::vector<std::string> left;
  for (std::size_t i = 0; i < words.size(); ++i) {
    bool ours = false;
    for (const std::string_view name : kOurs) {
      const std::string_view word = words[i];
      if (word == name) {
        ours = true;
        ++i;
        break;
      }
      const bool with_value = word.starts_with(name) && (name.size() == 2 || word.substr(name.size()).starts_with('='));
      ours = ours || with_value;
    }
    if (!ours) left.push_back(words[i]);
  }
  return left;
}

unsigned processors_for_guest(const std::vector<std::string>& words) {
  for (const std::string_view word : words) {
    const std::string_view name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
    if (word.starts_with('-') && (name == "free" || name.starts_with("free="))) return 2;
  }
  return 1;
}

int run_elsewhere(const GuestArguments& guest, const std::vector<std::string>& words, const std::string& output) {
  const bool user_mode = !guest.uml.empty();
  const live::GuestKernel kernel{user_mode ? live::GuestKernel::Kind::kUserMode : live::GuestKernel::Kind::kEmulated,
                                 user_mode ? guest.uml : guest.vm, processors_for_guest(words)};
  const std::atomic<bool>& interrupted = catch_interrupts();
  const live::GuestRun run =
      live::run_in_guest(kernel, words_for_guest(words), [&interrupted] { return interrupted.load(); });
  if (interrupted.load()) return static_cast<int>(ExitStatus::kInterrupted);
  if (!run.problem.empty()) {
    complain(run.problem);
    return static_cast<int>(ExitStatus::kInput);
  }
  fmt::print(stderr, "{}", run.err);
  return write_file(output, run.out) ? run.status : static_cast<int>(ExitStatus::kInput);
}

}  // namespace cowherd::cli
