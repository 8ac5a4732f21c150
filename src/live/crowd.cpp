#include "live/crowd.hpp"

#include <bit>
#include <chrono>
#include <thread>
#include <vector>

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

/// Long enough for everybody to be awake, and the time within which they start.
constexpr std::chrono::microseconds kWakeUp{100};
constexpr unsigned kSpreadNanoseconds = 8000;
/// Of a block that can go on: that it takes part.
constexpr unsigned kTakesPartPercent = 80;

/// What is done by its own process or by us, and leaves every process where it is.
bool can_overlap(const Course& course, std::uint8_t block) {
  const Operation& op = course.operation(block);
  const std::uint8_t process = course.process_of(block);
  switch (op.code) {
    case OpCode::kRead:
    case OpCode::kWrite:
    case OpCode::kMmap:
    case OpCode::kMunmap:
    case OpCode::kMprotect:
    case OpCode::kMadvise:
    case OpCode::kMremap:
    case OpCode::kMlock:
    case OpCode::kMunlock:
    case OpCode::kFork:
    case OpCode::kMsync:
    case OpCode::kFileRead:
    case OpCode::kFileWrite:
    case OpCode::kTruncate:
    case OpCode::kPunch:
    case OpCode::kWriteback:
    case OpCode::kDropCache:
      return true;
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
    case OpCode::kClearRefs:
      return course.alive(op.target.value_or(process));
    // What a device refuses is refused before anybody is asked.
    case OpCode::kPin:
      return op.target.value_or(process) == process && course.pages_held(op.device) == 0 &&
             !has(op.pin_flags, PinFlags::kGet | PinFlags::kLongTerm);
    case OpCode::kDmaRead:
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
      return course.pages_held(op.device) > op.place.page;
    case OpCode::kDmaWrite:
      return course.pages_held(op.device) > op.place.page && course.writes(op.device);
    default:
      return false;
  }
}

std::optional<std::uint8_t> device_of(const Operation& op) {
  const bool uses = op.code == OpCode::kPin || op.code == OpCode::kUnpin || op.code == OpCode::kUnpinDirty ||
                    op.code == OpCode::kDmaRead || op.code == OpCode::kDmaWrite;
  return uses ? std::optional(op.device) : std::nullopt;
}

/// Whether a process of the test does it, and not we.
bool by_process(const Operation& op) {
  switch (op.code) {
    case OpCode::kPin:
      return true;
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
    case OpCode::kClearRefs:
    case OpCode::kWriteback:
    case OpCode::kDropCache:
      return false;
    default:
      return !device_of(op);
  }
}

std::int64_t value_of(const Course& course, std::uint8_t block) {
  const litmus::Operand& operand = course.operation(block).value;
  return operand.is_register ? course.reg(block, operand.reg) : operand.literal;
}

std::int64_t nanoseconds(std::chrono::steady_clock::time_point when) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
}

}  // namespace

Crowd::Round Crowd::round(Course& course, litmus::Random& random) {
  Round round;
  std::vector<std::uint8_t> able;
  unsigned devices = 0;
  const BlockSet runnable = course.runnable();
  std::vector<std::uint8_t> all;
  for (std::uint8_t b = 0; b < course.blocks(); ++b) {
    if ((runnable & bit_of(b)) == 0) continue;
    all.push_back(b);
    if (!can_overlap(course, b) || random.below(100) >= kTakesPartPercent) continue;
    // One thing at a time from each device.
    if (const auto device = device_of(course.operation(b)); device) {
      if ((devices >> *device & 1u) != 0) continue;
      devices |= 1u << *device;
    }
    able.push_back(b);
  }
  if (able.size() < 2) able = {all[random.below(static_cast<unsigned>(all.size()))]};
  for (const std::uint8_t b : able) round.blocks = static_cast<BlockSet>(round.blocks | bit_of(b));
  if (able.size() > 1) do_together(course, round.blocks, random);
  for (const std::uint8_t b : able) {
    round.answers[b] = course.step(b);
    if (!round.answers[b].lost.empty()) {
      round.lost = round.answers[b];
      break;
    }
  }
  done_.fill(std::nullopt);
  return round;
}

void Crowd::do_together(const Course& course, BlockSet blocks, litmus::Random& random) {
  const auto start = std::chrono::steady_clock::now() + kWakeUp;
  std::vector<std::thread> threads;
  for (std::uint8_t b = 0; b < course.blocks(); ++b) {
    if ((blocks & bit_of(b)) == 0) continue;
    const auto when = start + std::chrono::nanoseconds(random.below(kSpreadNanoseconds));
    const Operation& op = course.operation(b);
    const bool by_others = by_process(op);
    stage_->hold_back(b, by_others ? nanoseconds(when) : 0);
    threads.emplace_back([this, &course, &op, b, when, by_others] {
      while (!by_others && std::chrono::steady_clock::now() < when) {
      }
      done_[b] = stage_->perform(b, course.process_of(b), op, value_of(course, b));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint8_t b = 0; b < course.blocks(); ++b) stage_->hold_back(b, 0);
}

Answer Crowd::perform(std::uint8_t block, std::uint8_t process, const Operation& op, std::int64_t value) {
  if (done_[block]) return *done_[block];
  return stage_->perform(block, process, op, value);
}

}  // namespace cowherd::live
