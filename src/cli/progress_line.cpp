#include "cli/progress_line.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace cowherd::cli {

ProgressLine::ProgressLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}

std::function<void(const check::Progress&)> ProgressLine::callback() {
  if (!terminal_) return {};
  return [this](const check::Progress& progress) { show(progress); };
}

void ProgressLine::show(const check::Progress& progress) {
  const double rate = progress.seconds > 0 ? static_cast<double>(progress.states) / progress.seconds : 0;
  const std::lock_guard lock(mutex_);
  fmt::print(stderr, "\r\x1b[K{} under {}: {} states, {:.0f}/s, {} to explore, {} preemptions, {:.0f} s", progress.test,
             progress.rules, progress.states, rate, progress.frontier, progress.preemptions, progress.seconds);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  const std::lock_guard lock(mutex_);
  if (!shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace cowherd::cli
