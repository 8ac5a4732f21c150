#include "check/step_scheduler.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "check/hash.hpp"

namespace cowherd::check {

void StepScheduler::begin(std::size_t agents, std::span<const Vpn> pages, bool raw, bool mmap_lock_is_looked_at) {
  assert(agents <= kMaxAgents);
  agents_ = agents;
  pages_ = pages.size();
  raw_ = raw;
  mmap_lock_is_looked_at_ = mmap_lock_is_looked_at;
  states_ = {};
  contexts_ = {};
  loaded_.fill(StackImages::kNone);
  wanted_.fill(StackImages::kNone);
  images_.clear();
  translations_.assign(agents * pages.size(), Translation{});
  slot_of_.fill(kNoSlot);
  for (std::size_t slot = 0; slot < pages.size(); ++slot) {
    slot_of_[pages[slot].value()] = static_cast<std::uint8_t>(slot);
  }
  for (std::size_t agent = 0; agent < agents; ++agent) {
    if (fibers_[agent] == nullptr) fibers_[agent] = std::make_unique<Fiber>();
    fibers_[agent]->set_scrubbed(raw ? kRawScrub : kScrub);
    contexts_[agent].number = static_cast<std::uint8_t>(agent + 1);
  }
}

StepScheduler::Stop StepScheduler::start(std::size_t agent, Fiber::Body body, void* argument) {
  running_ = agent;
  untouched_ = true;
  only_locked_ = false;
  has_to_wait_ = false;
  contexts_[agent].live = nullptr;
  contexts_[agent].held.clear();
  fibers_[agent]->start(body, argument);
  return stopped();
}

StepScheduler::Stop StepScheduler::resume(std::size_t agent, unsigned choice) {
  load(agent);
  running_ = agent;
  untouched_ = false;
  only_locked_ = takes_lock_unseen(states_[agent].point);
  held_before_ = contexts_[agent].held;
  has_to_wait_ = false;
  choice_ = choice;
  fibers_[agent]->resume();
  return stopped();
}

StepScheduler::Stop StepScheduler::stopped() {
  loaded_[running_] = wanted_[running_] = StackImages::kNone;
  AgentState& state = states_[running_];
  state.inside = fibers_[running_]->suspended();
  if (!state.inside) {
    state.live = 0;
    state.point = Point{};
    return Stop::kCompleted;
  }
  if (has_to_wait_) return Stop::kHasToWait;
  state.live = hash_of_live(running_);
  return Stop::kSuspended;
}

unsigned StepScheduler::suspend(Point point, Moves moves, const void* what) {
  unsigned choice = 0;
  if (watcher_ != nullptr) watcher_->asks();
  if (!may_pass(point, moves, what)) {
    waiting_[running_] = {moves, what};
    states_[running_].point = point;
    fibers_[running_]->suspend();
    choice = choice_;
  }
  if (watcher_ != nullptr) watcher_->passes(point);
  return choice;
}

/// Whether at `point` a lock is taken of which others learn only by waiting for it: what they do until its holder does
/// something more they may as well do before.
bool StepScheduler::takes_lock_unseen(Point point) const {
  const bool looked_at = point == Point::kPageLock || (point == Point::kMmapLock && mmap_lock_is_looked_at_);
  return takes_lock(point) && !looked_at;
}

/// Whether the running agent goes on without a choice.
bool StepScheduler::may_pass(Point point, Moves moves, const void* what) {
  const bool begins = std::exchange(untouched_, false);
  const bool locked = std::exchange(only_locked_, false);
  if (raw_ || (!begins && !locked)) return false;
  const unsigned count = moves(what);
  if (begins) {
    has_to_wait_ = count == 0;
    only_locked_ = count == 1 && takes_lock_unseen(point);
    held_before_ = contexts_[running_].held;
    return count == 1;
  }
  // Who has let go of the lock already has done what it was for.
  const bool holds_it = std::memcmp(&held_before_, &contexts_[running_].held, sizeof held_before_) != 0;
  return holds_it && count == 1 && !takes_lock(point);
}

std::uint64_t StepScheduler::hash_of_live(std::size_t agent) {
  if (raw_) return hash_of(fibers_[agent]->image());
  std::size_t used = 0;
  const auto put = [&](const void* from, std::size_t bytes) {
    if (scratch_.size() < used + bytes) scratch_.resize(2 * (used + bytes));
    std::memcpy(scratch_.data() + used, from, bytes);
    used += bytes;
  };
  put(&contexts_[agent].held, sizeof contexts_[agent].held);
  for (const LiveScope* scope = contexts_[agent].live; scope != nullptr; scope = scope->outer) {
    put(&scope->hash, sizeof scope->hash);
    for (std::uint32_t i = 0; i < scope->count; ++i) {
      put(&scope->locals[i].size, sizeof scope->locals[i].size);
      put(scope->locals[i].bytes, scope->locals[i].size);
    }
  }
  return hash_of(std::span(scratch_).first(used));
}

bool StepScheduler::any_inside() const {
  return std::any_of(states_.begin(), states_.begin() + static_cast<std::ptrdiff_t>(agents_),
                     [](const AgentState& state) { return state.inside; });
}

std::size_t StepScheduler::state_bytes() const {
  return agents_ * sizeof(AgentState) + translations_.size() * sizeof(Translation);
}

void StepScheduler::save_state(std::byte* to) const {
  std::memcpy(to, states_.data(), agents_ * sizeof(AgentState));
  if (translations_.empty()) return;
  std::memcpy(to + agents_ * sizeof(AgentState), translations_.data(), translations_.size() * sizeof(Translation));
}

void StepScheduler::save_stacks(std::byte* to) {
  std::memset(to, 0, stack_numbers_bytes());
  for (std::size_t agent = 0; agent < agents_; ++agent, to += sizeof(StackImages::Number)) {
    if (!states_[agent].inside) continue;
    const StackImages::Number number = image_of(agent);
    std::memcpy(to, &number, sizeof number);
  }
}

void StepScheduler::restore(const std::byte* state, const std::byte* stacks) {
  std::memcpy(states_.data(), state, agents_ * sizeof(AgentState));
  if (!translations_.empty()) {
    std::memcpy(translations_.data(), state + agents_ * sizeof(AgentState), translations_.size() * sizeof(Translation));
  }
  for (std::size_t agent = 0; agent < agents_; ++agent, stacks += sizeof(StackImages::Number)) {
    if (!states_[agent].inside) continue;
    StackImages::Number number = 0;
    std::memcpy(&number, stacks, sizeof number);
    wanted_[agent] = number;
  }
}

StackImages::Number StepScheduler::image_of(std::size_t agent) {
  if (wanted_[agent] != StackImages::kNone) return wanted_[agent];
  ImageHead head{};
  head.waiting = waiting_[agent];
  head.live = contexts_[agent].live;
  head.held = contexts_[agent].held;
  const auto stack = fibers_[agent]->image();
  const std::size_t bytes = sizeof head + stack.size();
  if (scratch_.size() < bytes) scratch_.resize(2 * bytes);
  std::memcpy(scratch_.data(), &head, sizeof head);
  std::memcpy(scratch_.data() + sizeof head, stack.data(), stack.size());
  loaded_[agent] = wanted_[agent] = images_.intern(std::span(scratch_).first(bytes));
  return wanted_[agent];
}

void StepScheduler::load(std::size_t agent) {
  if (loaded_[agent] == wanted_[agent]) return;
  loaded_[agent] = wanted_[agent];
  const std::span<const std::byte> image = images_[wanted_[agent]];
  ImageHead head;
  std::memcpy(&head, image.data(), sizeof head);
  waiting_[agent] = head.waiting;
  contexts_[agent].live = head.live;
  contexts_[agent].held = head.held;
  fibers_[agent]->restore(image.subspan(sizeof head));
}

unsigned StepScheduler::ways(std::size_t agent) {
  load(agent);
  running_ = agent;
  return waiting_[agent].moves(waiting_[agent].what);
}

std::uint8_t StepScheduler::slot_of(Vpn page) const {
  return page.value() < slot_of_.size() ? slot_of_[page.value()] : kNoSlot;
}

StepScheduler::Translation* StepScheduler::translation(std::size_t agent, Vpn page) {
  const std::uint8_t slot = slot_of(page);
  return slot == kNoSlot ? nullptr : &translations_[agent * pages_ + slot];
}

std::uint64_t StepScheduler::remembered(std::size_t agent, std::uint32_t mm, Vpn page) const {
  const std::uint8_t slot = slot_of(page);
  if (slot == kNoSlot) return 0;
  const Translation& cached = translations_[agent * pages_ + slot];
  return cached.mm == mm ? cached.entry : 0;
}

std::uint64_t StepScheduler::cached_translation(std::uint32_t mm, Vpn page) const {
  return remembered(running_, mm, page);
}

void StepScheduler::cache_translation(std::uint32_t mm, Vpn page, std::uint64_t entry) {
  // One address space to a page is enough: an agent that has left one does not come back to it.
  if (Translation* cached = translation(running_, page); cached != nullptr) *cached = {entry, mm, 0};
}

void StepScheduler::forget_translations(std::uint32_t mm, PageRange pages) {
  if (watcher_ != nullptr) watcher_->flushed();
  for (std::size_t page = pages.begin.value(); page < pages.end.value() && page < slot_of_.size(); ++page) {
    for (std::size_t agent = 0; agent < agents_; ++agent) {
      Translation* cached = translation(agent, Vpn{page});
      if (cached != nullptr && cached->mm == mm) *cached = {};
    }
  }
}

void StepScheduler::forget_own_translation(std::uint32_t mm, Vpn page) {
  Translation* cached = translation(running_, page);
  if (cached != nullptr && cached->mm == mm) *cached = {};
}

void StepScheduler::keep_translations(std::size_t agent, std::uint32_t pages) {
  for (std::size_t slot = 0; slot < pages_; ++slot) {
    if ((pages >> slot & 1u) == 0) translations_[agent * pages_ + slot] = {};
  }
}

}  // namespace cowherd::check
