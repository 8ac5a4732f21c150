#include "check/fiber.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <cstdint>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define COWHERD_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COWHERD_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef COWHERD_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace cowherd::check {

namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr std::size_t kGuardBytes = 4096;

/// Tells AddressSanitizer which stack runs from now on.
void leave_for([[maybe_unused]] const void* stack, [[maybe_unused]] std::size_t bytes) {
#ifdef COWHERD_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(nullptr, stack, bytes);
#endif
}

/// The other half of leave_for(), on the new stack; says where it came from.
void arrived([[maybe_unused]] const void** from, [[maybe_unused]] std::size_t* bytes) {
#ifdef COWHERD_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(nullptr, from, bytes);
#endif
}

/// Whole stacks are copied, redzones included; and the redzones of one image are variables of the next.
void unpoison([[maybe_unused]] const void* stack, [[maybe_unused]] std::size_t bytes) {
#ifdef COWHERD_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(stack, bytes);
#endif
}

}  // namespace

struct Fiber::Entry {
  [[noreturn]] static void enter(transfer_t from) {
    auto* const fiber = static_cast<Fiber*>(from.data);
    arrived(&fiber->outside_stack_, &fiber->outside_stack_bytes_);
    fiber->outside_ = from.fctx;
    fiber->body_(fiber->argument_);
    leave_for(fiber->outside_stack_, fiber->outside_stack_bytes_);
    jump_fcontext(fiber->outside_, nullptr);
    __builtin_unreachable();
  }
};

Fiber::Fiber() {
  void* mapped = ::mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  ::mprotect(mapped, kGuardBytes, PROT_NONE);
  mapped_ = static_cast<std::byte*>(mapped);
  stack_ = mapped_ + kGuardBytes;
}

Fiber::~Fiber() {
  unpoison(stack_, kStackBytes);
  ::munmap(mapped_, kGuardBytes + kStackBytes);
}

void Fiber::start(Body body, void* argument) {
  body_ = body;
  argument_ = argument;
  inside_ = nullptr;
  // make_fcontext() leaves the registers that the first switch loads as they are in memory.
  constexpr std::size_t kFirstFrame = 256;
  std::memset(top() - kFirstFrame, 0, kFirstFrame);
  run(make_fcontext(top(), kStackBytes, &Entry::enter));
}

void Fiber::resume() { run(inside_); }

void Fiber::run(void* where) {
  auto* const low = static_cast<std::byte*>(where);
  const std::size_t dead = std::min(scrubbed_, static_cast<std::size_t>(low - stack_));
  std::memset(low - dead, 0, dead);
  leave_for(stack_, kStackBytes);
  const transfer_t back = jump_fcontext(where, this);
  arrived(nullptr, nullptr);
  unpoison(stack_, kStackBytes);
  // The code gives itself away where it suspends; at its end it gives nothing.
  inside_ = back.data == nullptr ? nullptr : back.fctx;
}

void Fiber::suspend() {
  leave_for(outside_stack_, outside_stack_bytes_);
  const transfer_t from = jump_fcontext(outside_, this);
  arrived(&outside_stack_, &outside_stack_bytes_);
  outside_ = from.fctx;
}

std::span<const std::byte> Fiber::image() const {
  const auto* low = static_cast<const std::byte*>(inside_);
  return {low, static_cast<std::size_t>(top() - low)};
}

void Fiber::restore(std::span<const std::byte> image) {
  std::byte* const low = top() - image.size();
  std::memcpy(low, image.data(), image.size());
  inside_ = low;
}

}  // namespace cowherd::check
