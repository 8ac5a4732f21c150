#pragma once

namespace cowherd::stress {

/// While one is there, the thread that made it is stopped again and again for some microseconds, wherever it is: a race
/// whose window is a few instructions is met far more often than by the host's own scheduler, which stops a thread
/// a few hundred times in a second. Does nothing under a sanitizer that delays signals to places of its own.
class Jitter {
 public:
  explicit Jitter(unsigned thread);
  ~Jitter();
  Jitter(const Jitter&) = delete;
  Jitter& operator=(const Jitter&) = delete;

 private:
  void* timer_ = nullptr;
  bool running_ = false;
};

}  // namespace cowherd::stress
