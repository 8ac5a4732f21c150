#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "live/course.hpp"

namespace cowherd::live {

/// Something that is done from outside of a test's processes and may wait for userfaultfd's handler: by a thread of its
/// own, so that whoever asked for it is free to be the handler. Ends with it. Not thread-safe.
class Outside {
 public:
  explicit Outside(std::function<Answer()> work)
      : thread_([this, todo = std::move(work)] {
          number_.store(static_cast<std::int32_t>(::syscall(SYS_gettid)));
          answer_ = todo();
          done_.store(true);
        }) {}
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  ~Outside() {
    if (thread_.joinable()) thread_.join();
  }

  /// Of the thread, as the kernel counts; 0 before it runs.
  [[nodiscard]] std::int32_t number() const { return number_.load(); }
  [[nodiscard]] bool done() const { return done_.load(); }
  /// Precondition: it is done.
  [[nodiscard]] const Answer& answer() const { return answer_; }

 private:
  std::atomic<std::int32_t> number_{0};
  std::atomic<bool> done_{false};
  Answer answer_;
  /// Last: it starts when all else is there.
  std::thread thread_;
};

}  // namespace cowherd::live
