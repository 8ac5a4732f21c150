#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace cowherd::measure {

/// What one side of a row came to in one round: a number, or the reason why there is none.
class Figure {
 public:
  enum class State : std::uint8_t {
    kMeasured,
    /// Cannot be measured here; text() says why.
    kUnavailable,
    /// The work that was timed is not the work that was asked for; text() says what was wrong. Nothing is said of time.
    kWrong,
  };

  /// In the unit of the row.
  static Figure measured(double value) { return {State::kMeasured, value, {}}; }
  static Figure unavailable(std::string reason) { return {State::kUnavailable, 0, std::move(reason)}; }
  static Figure wrong(std::string what) { return {State::kWrong, 0, std::move(what)}; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool ok() const { return state_ == State::kMeasured; }
  /// Precondition: ok().
  [[nodiscard]] double value() const { return value_; }
  [[nodiscard]] const std::string& text() const { return text_; }

  /// The number by `divisor`, where there is one.
  [[nodiscard]] Figure over(double divisor) const { return ok() ? measured(value_ / divisor) : *this; }

 private:
  Figure(State state, double value, std::string text) : state_(state), value_(value), text_(std::move(text)) {}

  State state_;
  double value_;
  std::string text_;
};

}  // namespace cowherd::measure
