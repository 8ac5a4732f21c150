#include "cli/interrupt.hpp"

#include <sys/time.h>

#include <csignal>

namespace cowherd::cli {
namespace {

std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

std::atomic<bool> g_time_over{false};

void note_interrupt(int /*signal*/) { g_interrupted.store(true); }

void note_time(int /*signal*/) {
  if (g_interrupted.exchange(true)) return;
  g_time_over.store(true);
}

}  // namespace

const std::atomic<bool>& catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction before {};
    // What the parent has set to be ignored, as nohup does, stays ignored.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
      ::sigaction(signal, &action, nullptr);
    }
  }
  return g_interrupted;
}

void interrupt_after(std::chrono::milliseconds time) {
  struct sigaction action {};
  action.sa_handler = note_time;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, nullptr);
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(time.count() / 1000);
  // None at all would be no timer.
  timer.it_value.tv_usec = static_cast<suseconds_t>(time.count() % 1000 * 1000) + (time.count() == 0 ? 1 : 0);
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

bool is_time_over() { return g_time_over.load(); }

}  // namespace cowherd::cli
