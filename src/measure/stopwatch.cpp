#include "measure/stopwatch.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <thread>
#include <vector>

#include "measure/host.hpp"

namespace cowherd::measure {

double now_ns(Clock clock) {
  timespec time{};
  ::clock_gettime(clock == Clock::kProcessor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double timed_on(unsigned threads, Clock clock, const std::function<void(unsigned)>& work) {
  if (threads == 1) return timed(clock, [&] { work(0); });
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  std::vector<double> begins(threads);
  std::vector<double> ends(threads);
  std::vector<std::thread> others;
  for (unsigned number = 0; number < threads; ++number) {
    others.emplace_back([&, number] {
      stay_on_processor(number);
      ready.fetch_add(1);
      while (!go.load()) {
      }
      begins[number] = now_ns(clock);
      work(number);
      ends[number] = now_ns(clock);
    });
  }
  while (ready.load() != threads) std::this_thread::yield();
  go.store(true);
  for (std::thread& other : others) other.join();
  if (clock == Clock::kWall) return *std::ranges::max_element(ends) - *std::ranges::min_element(begins);
  double longest = 0;
  for (unsigned number = 0; number < threads; ++number) longest = std::max(longest, ends[number] - begins[number]);
  return longest;
}

}  // namespace cowherd::measure
