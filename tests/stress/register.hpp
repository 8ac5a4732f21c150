#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "stress/record.hpp"

namespace cowherd::stress {

/// What is known of one word, or of one page's protection, in one life of an address space during one round: the value
/// that it began with and the writes since, some of which may have been in flight at the same time.
///
/// A read may return a value unless that was certainly overwritten before the read began:
///
///   write 1   |-----|
///   write 2            |-----|
///   read                         |---|      2
///   read                   |---|            1 or 2
class Register {
 public:
  struct Write {
    std::uint64_t value;
    Interval when;
    /// False: it may have gone to a page that is no longer the owner's. It may be seen, and overwrites nothing.
    bool certain;
  };

  Register() = default;
  explicit Register(std::uint64_t base) : base_(base) {}

  void add(std::uint64_t value, Interval when, bool certain = true) {
    writes_.push_back({value, when, certain});
    sorted_ = false;
    indexed_ = false;
  }

  /// A read that ended at `end` saw `value`, which nobody writes twice: so that write has happened by then, whenever
  /// its call returns.
  void seen(std::uint64_t value, Tick end);

  /// Whether some write since the beginning explains a read of `value`.
  [[nodiscard]] bool written(std::uint64_t value, Interval read) const;
  /// Whether the value from the beginning can still have been there.
  [[nodiscard]] bool keeps_base(Interval read) const;
  /// Nothing: what the parent's register held during the fork.
  [[nodiscard]] std::optional<std::uint64_t> base() const { return base_; }
  void set_base(std::uint64_t base) { base_ = base; }

  /// The last write that must have been over before `read` began: what a wrong read misses. Null if there is none.
  [[nodiscard]] const Write* last_before(Interval read) const;

  /// A new round begins with `value`.
  void settle(std::uint64_t value) {
    base_ = value;
    writes_.clear();
    indexed_ = false;
  }

 private:
  using Writes = std::vector<Write>;

  /// Those of one value.
  [[nodiscard]] std::pair<Writes::iterator, Writes::iterator> of_value(std::uint64_t value) const;
  /// The beginning of the last certain write that was over before `read` began; 0: there was none.
  [[nodiscard]] Tick overwritten_at(Interval read) const;

  std::optional<std::uint64_t> base_;
  // All writes come first, then all questions: sorted for them at the first one.
  mutable Writes writes_;
  mutable bool sorted_ = false;
  /// Of the certain writes in the order of their ends: when each ended, and the latest beginning up to it.
  mutable std::vector<Interval> ends_;
  mutable bool indexed_ = false;
};

}  // namespace cowherd::stress
