#include "measure/stall.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>

#include "measure/host.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure {
namespace {

struct Span {
  double begin;
  double end;
};

/// Before the work, so that the other thread is in full swing.
constexpr std::uint64_t kCallsBefore = 64;

/// Calls, until `stop`, or there are none left. `made` says how many were.
bool call_on(const Beside& beside, std::vector<Span>& spans, std::atomic<std::uint64_t>& made,
             std::atomic<bool>& stop) {
  for (std::uint64_t number = 0; number < beside.calls && !stop.load(std::memory_order_relaxed); ++number) {
    const double begin = now_ns(Clock::kWall);
    const bool fine = beside.call(number);
    spans.push_back({begin, now_ns(Clock::kWall)});
    made.store(number + 1, std::memory_order_release);
    if (!fine) return false;
  }
  return true;
}

}  // namespace

std::optional<std::vector<double>> calls_beside(const Beside& beside, unsigned times) {
  std::vector<double> result;
  std::vector<Span> spans;
  spans.reserve(beside.calls);
  for (unsigned time = 0; time < times; ++time) {
    spans.clear();
    if (!beside.ready()) return std::nullopt;
    std::atomic<std::uint64_t> made{0};
    std::atomic<bool> stop{false};
    std::atomic<bool> over{false};
    bool called = false;
    std::thread other([&] {
      stay_on_processor(1);
      called = call_on(beside, spans, made, stop);
      over.store(true);
    });
    while (made.load(std::memory_order_acquire) < kCallsBefore && !over.load()) {
    }
    const double begin = now_ns(Clock::kWall);
    const bool worked = beside.work();
    const double end = now_ns(Clock::kWall);
    stop.store(true);
    other.join();
    if (!worked || !called || !beside.finish()) return std::nullopt;
    for (const Span& span : spans) {
      if (span.begin <= end && span.end >= begin) result.push_back(span.end - span.begin);
    }
  }
  return result;
}

Figure stall_of(std::optional<std::vector<double>> calls, double part) {
  if (!calls) return Figure::wrong("a call beside the fork failed, or the fork");
  if (calls->empty()) return Figure::unavailable("no call met a fork: others are using the processors");
  std::ranges::sort(*calls);
  const auto last = static_cast<double>(calls->size() - 1);
  return Figure::measured((*calls)[static_cast<std::size_t>(last * part)] / 1e3);
}

}  // namespace cowherd::measure
