#pragma once

#include <cstddef>
#include <span>

namespace cowherd::check {

/// Whether this build can put the bytes of a suspended stack aside and back. ThreadSanitizer keeps a shadow of each
/// stack, which would not follow; the race detector's build has its calls and not its shadow.
#if defined(COWHERD_WATCHED)
inline constexpr bool kFibersWork = true;
#elif defined(__SANITIZE_THREAD__)
inline constexpr bool kFibersWork = false;
#elif defined(__has_feature)
inline constexpr bool kFibersWork = !__has_feature(thread_sanitizer);
#else
inline constexpr bool kFibersWork = true;
#endif

/// A stack of its own on which code can be suspended. The stack stays where it is as long as the Fiber lives, so that
/// its bytes can be put aside while the code is suspended and put back later: the code then goes on from where it was.
///
/// What runs on it must own nothing outside of it at the time of a suspension: no memory of the heap, no lock of the
/// host. Not thread-safe.
class Fiber {
 public:
  using Body = void (*)(void* argument);

  /// Throws std::bad_alloc where the host has no memory for a stack.
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs `body` from its beginning until it suspends itself or returns. What was suspended here before is forgotten.
  void start(Body body, void* argument);
  /// Runs on until the code suspends itself again or returns. Precondition: suspended().
  void resume();
  /// Called by the running code: back to whoever started or resumed it.
  void suspend();
  /// False: nothing was started, or it has returned.
  [[nodiscard]] bool suspended() const { return inside_ != nullptr; }

  /// The live part of the stack. Precondition: suspended(). Valid until the fiber runs.
  [[nodiscard]] std::span<const std::byte> image() const;
  /// Puts back what image() of this fiber was at some time.
  void restore(std::span<const std::byte> image);

  /// How much of the dead stack is filled with zeros before code runs on it: what an earlier run left there would else
  /// show up in the holes of later images. The rest is left alone for speed.
  void set_scrubbed(std::size_t bytes) { scrubbed_ = bytes; }

  static constexpr std::size_t kStackBytes = std::size_t{256} << 10;

 private:
  struct Entry;

  void run(void* where);
  [[nodiscard]] std::byte* top() const { return stack_ + kStackBytes; }

  std::byte* mapped_;
  std::byte* stack_;
  /// Where the suspended code goes on: also the lowest address of its stack that is alive.
  void* inside_ = nullptr;
  /// Where whoever resumed it goes on.
  void* outside_ = nullptr;
  const void* outside_stack_ = nullptr;
  std::size_t outside_stack_bytes_ = 0;
  Body body_ = nullptr;
  void* argument_ = nullptr;
  std::size_t scrubbed_ = 0;
};

}  // namespace cowherd::check
