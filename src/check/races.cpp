#include "check/races.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace cowherd::check {

namespace {

bool acquires(std::memory_order order) {
  return order != std::memory_order_relaxed && order != std::memory_order_release;
}

bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

}  // namespace

template <class T>
void RaceDetector::change(T& place, const T& value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(Clock));
  Undo undo{&place, {}, sizeof(T)};
  std::memcpy(undo.bytes.data(), &place, sizeof(T));
  log_.push_back(undo);
  place = value;
}

void RaceDetector::rewind(std::size_t mark) {
  for (; log_.size() > mark; log_.pop_back()) {
    std::memcpy(log_.back().place, log_.back().bytes.data(), log_.back().size);
  }
}

void RaceDetector::join(Clock& into, const Clock& from) {
  Clock joined = into;
  for (std::size_t agent = 0; agent < kMaxAgents; ++agent) joined[agent] = std::max(joined[agent], from[agent]);
  if (joined != into) change(into, joined);
}

void RaceDetector::tick(std::size_t agent) {
  Clock clock = clocks_[agent];
  ++clock[agent];
  change(clocks_[agent], clock);
}

void RaceDetector::begin(std::span<const std::byte> machine, std::size_t agents) {
  machine_ = machine;
  agents_ = agents;
  running_ = kNobody;
  log_.clear();
  released_.clear();
  accessed_ = {};
  born_ = {};
  clocks_ = {};
  for (std::size_t agent = 0; agent < agents; ++agent) clocks_[agent][agent] = 1;
  last_.assign(machine.size() * agents * kKinds, Last{});
}

void RaceDetector::runs(std::size_t agent, std::uint8_t operation) {
  running_ = agent;
  operation_ = operation;
  point_ = kFromStart;
  asked_ = false;
  accesses_ = false;
  raced_ = false;
}

void RaceDetector::passes(Point point) {
  if (running_ == kNobody) return;
  asked_ = false;
  point_ = point;
  accesses_ = accesses_ || point == Point::kAccess;
  // Whoever frees a table has waited for every walker, those that load and store too.
  if (point == Point::kFreeTable) flushed();
}

bool RaceDetector::stops() {
  if (accesses_) {
    change(accessed_[running_], clocks_[running_]);
    tick(running_);
  }
  running_ = kNobody;
  return raced_;
}

void RaceDetector::ordered(std::size_t before, std::size_t after) {
  join(clocks_[after], clocks_[before]);
  tick(before);
}

void RaceDetector::starts(std::size_t starter, std::size_t started) {
  change(born_[started], clocks_[starter]);
  ordered(starter, started);
}

void RaceDetector::flushed() {
  for (std::size_t agent = 0; agent < agents_; ++agent) join(clocks_[running_], accessed_[agent]);
}

RaceDetector::Clock& RaceDetector::released(const void* address) {
  return released_[static_cast<std::size_t>(static_cast<const std::byte*>(address) - machine_.data())];
}

void RaceDetector::plain(const void* address, std::size_t size, bool write, const void* site) {
  access(address, size, write ? kWrite : kRead, site);
}

void RaceDetector::atomic_load(const void* address, std::size_t size, std::memory_order order, const void* site) {
  access(address, size, kAtomicRead, site);
  if (acquires(order)) join(clocks_[running_], released(address));
}

void RaceDetector::atomic_store(const void* address, std::size_t size, std::memory_order order, const void* site) {
  access(address, size, kAtomicWrite, site);
  // What was released here before cannot be learnt from the new value.
  change(released(address), releases(order) ? clocks_[running_] : Clock{});
  if (releases(order)) tick(running_);
}

void RaceDetector::atomic_change(const void* address, std::size_t size, std::memory_order order, const void* site) {
  access(address, size, kAtomicRead, site);
  access(address, size, kAtomicWrite, site);
  if (acquires(order)) join(clocks_[running_], released(address));
  // It carries on what was released before, whatever its own order is.
  if (releases(order)) {
    join(released(address), clocks_[running_]);
    tick(running_);
  }
}

void RaceDetector::access(const void* address, std::size_t size, Kind kind, const void* site) {
  const auto first = static_cast<std::size_t>(static_cast<const std::byte*>(address) - machine_.data());
  const std::uint32_t now = clocks_[running_][running_];
  for (std::size_t offset = first; offset < std::min(first + size, machine_.size()); ++offset) {
    Last& own = last(offset, running_, kind);
    if (own.clock == now) continue;
    for (std::size_t other = 0; other < agents_; ++other) {
      if (other == running_) continue;
      for (const Kind others : {kRead, kWrite, kAtomicRead, kAtomicWrite}) {
        const bool writes = kind == kWrite || kind == kAtomicWrite || others == kWrite || others == kAtomicWrite;
        const bool is_plain = kind == kRead || kind == kWrite || others == kRead || others == kWrite;
        if (writes && is_plain && last(offset, other, others).clock > clocks_[running_][other]) {
          found(offset, size, other, others, kind, site);
        }
      }
    }
    change(own, Last{site, now, operation_, point_, 0});
  }
}

void RaceDetector::found(std::size_t offset, std::size_t size, std::size_t other, Kind others, Kind kind,
                         const void* site) {
  raced_ = true;
  const Last& before = last(offset, other, others);
  if (!known_.insert({std::min(before.site, site), std::max(before.site, site)}).second) return;
  races_.push_back(
      {offset, static_cast<std::uint32_t>(size),
       RacingAccess{static_cast<std::uint8_t>(other), before.operation, before.point,
                    others == kWrite || others == kAtomicWrite, others == kAtomicRead || others == kAtomicWrite,
                    before.site},
       RacingAccess{static_cast<std::uint8_t>(running_), operation_, point_, kind == kWrite || kind == kAtomicWrite,
                    kind == kAtomicRead || kind == kAtomicWrite, site}});
}

}  // namespace cowherd::check
