#include "stress/jitter.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>

#include "base/lock_word.hpp"

namespace cowherd::stress {

namespace {

constexpr unsigned kMostPauses = 1024;
constexpr long kPeriodNanoseconds = 40'000;

#if defined(__SANITIZE_THREAD__)
constexpr bool kWorks = false;
#else
constexpr bool kWorks = true;
#endif

/// Any sequence that differs from stop to stop will do.
std::atomic<std::uint32_t> stops{0};

void stop_for_a_while(int) {
  const std::uint32_t turns = (stops.fetch_add(1, std::memory_order_relaxed) * 2654435761u >> 16) % kMostPauses;
  for (unsigned i = 0; i < turns; ++i) spin_pause(0);
}

}  // namespace

Jitter::Jitter(unsigned thread) {
  if (!kWorks) return;
  struct sigaction action = {};
  action.sa_handler = stop_for_a_while;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGUSR1;
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  timer_t made = nullptr;
  if (timer_create(CLOCK_MONOTONIC, &event, &made) != 0) return;
  timer_ = made;
  running_ = true;
  itimerspec period = {};
  // Of different lengths, so that the threads do not stop in step.
  period.it_interval.tv_nsec = kPeriodNanoseconds + static_cast<long>(thread) * 3'700;
  period.it_value = period.it_interval;
  timer_settime(made, 0, &period, nullptr);
}

Jitter::~Jitter() {
  if (running_) timer_delete(timer_);
}

}  // namespace cowherd::stress
