#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "check/watcher.hpp"

namespace cowherd::check {

inline constexpr Point kFromStart{0xff};

/// One access to the machine's memory, as a report names it.
struct RacingAccess {
  std::uint8_t agent;
  /// Which operation of its block, and the point that it had passed last: kFromStart before the first.
  std::uint8_t operation;
  Point point;
  bool write;
  bool atomic;
  /// Where in the program.
  const void* site;

  bool operator==(const RacingAccess&) const = default;
};

/// Two accesses to the same bytes, at least one of them a write and at least one not atomic, that nothing orders: on
/// threads of the host they could happen at the same time.
struct Race {
  /// From the start of the machine's memory.
  std::size_t offset;
  std::uint32_t size;
  RacingAccess first;
  RacingAccess second;
};

/// Finds data races along one path of steps by vector clocks, as the C++ memory model defines them: agents run one at a
/// time here, but only releases and acquires order what they do, with the orders that the code itself asks for.
///
/// It hears of every access of the running agent. Clocks belong to a path, so they are no part of a state: a search
/// that goes back takes the detector back by rewind(), which undoes what is in a log. Not thread-safe.
class RaceDetector final : public Watcher {
 public:
  static constexpr std::size_t kMaxAgents = 8;

  // Watcher:
  void begin(std::span<const std::byte> machine, std::size_t agents) override;
  void runs(std::size_t agent, std::uint8_t operation) override;
  void asks() override { asked_ = true; }
  void passes(Point point) override;
  bool stops() override;
  void flushed() override;
  void ordered(std::size_t before, std::size_t after) override;
  void starts(std::size_t starter, std::size_t started) override;
  void meets(std::size_t agent, std::size_t other) override { join(clocks_[agent], born_[other]); }
  [[nodiscard]] std::size_t mark() const override { return log_.size(); }
  void rewind(std::size_t mark) override;

  /// Whether somebody runs, so that accesses count.
  [[nodiscard]] bool watches() const { return running_ != kNobody && !asked_; }
  /// Whether `address` lies in the machine.
  [[nodiscard]] bool covers(const void* address) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(address) - machine_.data()) < machine_.size();
  }

  // Accesses of the running agent to what covers(). Precondition: watches().

  void plain(const void* address, std::size_t size, bool write, const void* site);
  /// A read-modify-write is a load and then a store, with its order for both.
  void atomic_load(const void* address, std::size_t size, std::memory_order order, const void* site);
  void atomic_store(const void* address, std::size_t size, std::memory_order order, const void* site);
  void atomic_change(const void* address, std::size_t size, std::memory_order order, const void* site);

  /// Each pair of places in the program once, in the order of discovery; kept until forget().
  [[nodiscard]] const std::vector<Race>& races() const { return races_; }
  void forget() {
    races_.clear();
    known_.clear();
  }

 private:
  using Clock = std::array<std::uint32_t, kMaxAgents>;
  static constexpr std::size_t kNobody = kMaxAgents;

  /// The last access of one agent of one kind to a byte; clock 0: none.
  struct Last {
    const void* site;
    std::uint32_t clock;
    std::uint8_t operation;
    Point point;
    std::uint16_t unused;
  };
  enum Kind : std::size_t { kRead, kWrite, kAtomicRead, kAtomicWrite, kKinds };

  struct Undo {
    void* place;
    std::array<std::byte, sizeof(Clock)> bytes;
    std::uint32_t size;
  };
  template <class T>
  void change(T& place, const T& value);
  void join(Clock& into, const Clock& from);
  /// What the agent does from now on is not covered by what it gave away so far.
  void tick(std::size_t agent);

  void access(const void* address, std::size_t size, Kind kind, const void* site);
  [[nodiscard]] Last& last(std::size_t offset, std::size_t agent, Kind kind) {
    return last_[(offset * agents_ + agent) * kKinds + kind];
  }
  void found(std::size_t offset, std::size_t size, std::size_t other, Kind others, Kind kind, const void* site);
  /// What whoever reads the atomic at `address` and acquires learns.
  Clock& released(const void* address);

  std::span<const std::byte> machine_;
  std::size_t agents_ = 0;
  std::size_t running_ = kNobody;
  std::uint8_t operation_ = 0;
  Point point_ = kFromStart;
  bool asked_ = false;
  bool accesses_ = false;
  bool raced_ = false;

  std::array<Clock, kMaxAgents> clocks_{};
  /// What each agent had done when its last access through page tables was over.
  std::array<Clock, kMaxAgents> accessed_{};
  /// What the starter of each had done when it started it.
  std::array<Clock, kMaxAgents> born_{};
  std::vector<Last> last_;
  /// By place; a node stays where it is.
  std::map<std::size_t, Clock> released_;
  std::vector<Undo> log_;

  std::vector<Race> races_;
  std::set<std::pair<const void*, const void*>> known_;
};

}  // namespace cowherd::check
