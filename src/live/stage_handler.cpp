#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "litmus/resolve.hpp"
#include "live/agent.hpp"
#include "live/host.hpp"
#include "live/stage.hpp"
#include "live/userfault.hpp"

// Userfaultfd. The controller is the handler of all processes of a test: it holds the far end of each userfaultfd,
// hears who waits, and acts where the test says so. Nothing it does wakes anybody by itself, but for an end of
// registration: whoever waits looks again when it is his turn.

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

constexpr std::size_t kNoHandler = ~std::size_t{0};
constexpr useconds_t kOutsideMicroseconds = 200;
constexpr UffdFlags kEvents = UffdFlags::kEventFork | UffdFlags::kEventRemap | UffdFlags::kEventUnmap |
                              UffdFlags::kEventRemove | UffdFlags::kWpAsync | UffdFlags::kWpUnpopulated;

UffdFlags events_in(UffdFlags flags) {
  return static_cast<UffdFlags>(static_cast<unsigned>(flags) & static_cast<unsigned>(kEvents));
}

}  // namespace

/// Precondition: the processes of the test are gone.
void Stage::end_handlers() {
  for (const Handler& handler : handlers_) ::close(handler.file);
  for (const Handler& child : children_) ::close(child.file);
  handlers_.clear();
  children_.clear();
  // Who waited outside has been let go by that.
  for (auto& outside : outside_) outside.reset();
  parked_.fill(std::nullopt);
  under_way_.fill(std::nullopt);
  ended_.clear();
}

std::uint8_t Stage::memory_of(std::uint8_t process) const {
  for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
    if (suspended_by_[b] == process) return memory_of(litmus::process_of(*program_, b));
  }
  return process;
}

std::size_t Stage::handler_of(std::uint8_t process, std::optional<UffdFlags> events, Answer& answer) {
  const std::uint8_t memory = memory_of(process);
  for (std::size_t h = 0; h < handlers_.size(); ++h) {
    if (handlers_[h].process == memory && (!events || handlers_[h].events == *events)) return h;
  }
  Request request;
  request.ask = Ask::kUserfault;
  request.value = static_cast<std::int64_t>(userfault_features(events.value_or(UffdFlags::kNone)));
  answer = ask(server_of(process), request);
  if (!answer.lost.empty()) return kNoHandler;
  const int file = answer.error == Errno{0} ? take_file(pid_of(process), static_cast<int>(answer.value)) : -1;
  if (file < 0) {
    answer.lost = "no userfaultfd: " + in_words(answer.error == Errno{0} ? errno : static_cast<int>(answer.error));
    return kNoHandler;
  }
  handlers_.push_back(
      {file, memory, events.value_or(UffdFlags::kNone), static_cast<int>(answer.value), pid_of(process)});
  answer = {};
  return handlers_.size() - 1;
}

Answer Stage::as_handler(std::uint8_t block, std::uint8_t process, const Operation& op, std::int64_t value) {
  Answer answer;
  const std::uint8_t whose = op.target.value_or(process);
  const bool registers = op.code == OpCode::kUffdRegister;
  const std::size_t number = handler_of(whose, registers ? std::optional(events_in(op.uffd)) : std::nullopt, answer);
  if (number == kNoHandler) return answer;
  const int file = handlers_[number].file;
  const std::uint64_t address = address_of(op.place);
  const std::uint64_t length = op.place.pages * layout_.page_bytes();
  switch (op.code) {
    case OpCode::kUffdRegister:
      answer = answer_of(register_memory(file, address, length, op.uffd));
      if (answer.error == Errno::kBusy)
        return unfit("memory does not go from one userfaultfd to one with other events");
      return answer;
    case OpCode::kUffdUnregister: {
      answer = answer_of(unregister_memory(file, address, length));
      // The kernel wakes some of those who wait there; so all are.
      std::vector<std::uint8_t> woken;
      for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
        const std::optional<Parked>& parked = under_way_[b] ? parked_[under_way_[b]->by] : std::nullopt;
        if (!parked || handlers_[parked->handler].process != memory_of(whose)) continue;
        if (parked->page >= address && parked->page < address + length) woken.push_back(b);
      }
      wake_waiters(file, address, length);
      for (const std::uint8_t b : woken) parked_[under_way_[b]->by].reset();
      for (const std::uint8_t b : woken) {
        Answer ended = go_on(b);
        if (!ended.waits) ended_.push_back({b, std::move(ended)});
      }
      return answer;
    }
    case OpCode::kUffdCopy:
      return answer_of(fill_with_value(file, address, length, value));
    case OpCode::kUffdZeropage:
      return answer_of(fill_with_zeros(file, address, length));
    case OpCode::kUffdPoison:
      return answer_of(forbid(file, address, length));
    case OpCode::kUffdContinue:
      return answer_of(map_from_file(file, address, length));
    case OpCode::kUffdWp:
    case OpCode::kUffdUnwp:
      return answer_of(write_protect(file, address, length, op.code == OpCode::kUffdWp));
    default:
      break;
  }
  // The kernel wants the one that the memory is registered with, and says EINVAL to any other.
  for (std::size_t h = 0; h < handlers_.size(); ++h) {
    if (handlers_[h].process != handlers_[number].process) continue;
    answer = move_pages(block, h, op);
    if (!answer.lost.empty() || answer.error != Errno::kInvalid) break;
  }
  return answer;
}

Answer Stage::move_pages(std::uint8_t block, std::size_t number, const Operation& op) {
  Handler& handler = handlers_[number];
  const pid_t mover = region_->channels[block].process.load();
  if (handler.inside_of != mover) {
    // One that we were told of when a child was forked, or that a child of vfork has made.
    Request request;
    request.ask = Ask::kTakeFile;
    request.first = handler.file;
    request.second = ::getpid();
    Answer taken = ask(block, request);
    if (!taken.lost.empty() || taken.error != Errno{0}) return taken;
    handler.inside = static_cast<int>(taken.value);
    handler.inside_of = mover;
  }
  Request request = on_pages(Ask::kMovePages, op.place);
  request.first = handler.inside;
  request.value = static_cast<std::int64_t>(address_of(op.to));
  return ask(block, request);
}

void Stage::hear() {
  for (std::size_t h = 0; h < handlers_.size(); ++h) {
    while (const std::optional<HandlerMessage> told = next_message(handlers_[h].file)) {
      if (told->child >= 0) {
        children_.push_back({told->child, handlers_[h].process, handlers_[h].events});
        continue;
      }
      if (!told->fault) continue;
      std::size_t who = asked_now_;
      for (std::size_t c = 0; c < kChannels; ++c) {
        if (region_->channels[c].thread.load() == told->thread) who = c;
      }
      for (std::size_t b = 0; b < litmus::kMaxBlocks; ++b) {
        if (outside_[b] && outside_[b]->number() == told->thread) who = kChannels + b;
      }
      parked_[who] = Parked{h, told->address / kPageBytes * kPageBytes};
    }
  }
}

void Stage::adopt(std::uint8_t child) {
  for (Handler& heard : children_) {
    heard.process = child;
    handlers_.push_back(heard);
  }
  children_.clear();
}

void Stage::forget_memory(std::uint8_t process) {
  // Numbers of handlers stand in what is parked: so they stay, and are nobody's.
  for (Handler& handler : handlers_) {
    if (handler.process == process) handler.process = litmus::kMaxBlocks;
  }
  for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
    if (!under_way_[b] || litmus::process_of(*program_, b) != process || under_way_[b]->by >= kChannels) continue;
    parked_[under_way_[b]->by].reset();
    under_way_[b].reset();
  }
}

Answer Stage::ask_or_wait(std::uint8_t block, const Request& request) {
  post(block, request);
  Answer answer = await(block);
  if (answer.waits) under_way_[block] = UnderWay{block, nullptr, 0};
  return answer;
}

Answer Stage::debug_aside(std::uint8_t block, const Operation& op, std::int64_t value) {
  if (!has_handler_) return debug(op, value);
  outside_[block] = std::make_unique<Outside>([this, &op, value] { return debug(op, value); });
  under_way_[block] = UnderWay{kChannels + block, nullptr, 0};
  return await_outside(block);
}

Answer Stage::await_outside(std::uint8_t block) {
  const std::size_t by = kChannels + block;
  const auto until = std::chrono::steady_clock::now() + patience_;
  asked_now_ = by;
  while (!outside_[block]->done()) {
    hear();
    Answer waits;
    waits.waits = true;
    if (parked_[by]) return waits;
    if (std::chrono::steady_clock::now() > until) return lost(block, "hangs in an operation: it did not end in time");
    ::usleep(kOutsideMicroseconds);
  }
  Answer answer = outside_[block]->answer();
  outside_[block].reset();
  under_way_[block].reset();
  return answer;
}

Answer Stage::go_on(std::uint8_t block) {
  const UnderWay now = *under_way_[block];
  if (now.by >= kChannels) return await_outside(block);
  const auto channel = static_cast<std::uint8_t>(now.by);
  Answer answer = await(channel);
  if (answer.waits) return answer;
  under_way_[block].reset();
  return now.operation == nullptr ? answer : take_from(block, channel, *now.operation, now.pages, answer);
}

Answer Stage::resume(std::uint8_t block) {
  const Parked parked = *parked_[under_way_[block]->by];
  std::vector<std::uint8_t> woken{block};
  for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
    const std::optional<Parked>& other = under_way_[b] ? parked_[under_way_[b]->by] : std::nullopt;
    if (b != block && other && other->handler == parked.handler && other->page == parked.page) woken.push_back(b);
  }
  for (const std::uint8_t b : woken) parked_[under_way_[b]->by].reset();
  wake_waiters(handlers_[parked.handler].file, parked.page, kPageBytes);
  Answer answer;
  for (const std::uint8_t b : woken) {
    Answer one = go_on(b);
    if (b == block) {
      answer = std::move(one);
    } else if (!one.waits) {
      ended_.push_back({b, std::move(one)});
    }
  }
  return answer;
}

Answer Stage::look_by_second(std::uint8_t process, const Request& request) {
  const std::uint8_t second = channel_of_second(memory_of(process));
  post(second, request);
  Answer answer = await(second);
  if (!answer.waits) return answer;
  // It is only a look: nobody goes on with it.
  parked_[second].reset();
  Channel& channel = region_->channels[second];
  ::syscall(SYS_tgkill, channel.process.load(), channel.thread.load(), kCallOff);
  return await(second);
}

}  // namespace cowherd::live
