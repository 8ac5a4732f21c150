#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "live/plan.hpp"
#include "live/program_test.hpp"
#include "live/stage.hpp"

namespace cowherd::live {

inline constexpr const char* kMemory = "x = anon(1); y = anon[2]; u = unmapped; z = zeropage PROT_READ; d = device;";

/// One for all tests of a program: a second one would wait for the first.
inline KernelWork& shared_work() {
  static KernelWork work;
  return work;
}

/// What is here, asked before shared_work() has any of it.
inline const Offers& shared_offers() {
  static const Offers offers = probe();
  return offers;
}

/// Registers of all blocks after a run in the order of the blocks, as far as one can go before the next.
class Play {
 public:
  explicit Play(const std::string& blocks, const char* memory = kMemory, PinBy pin_by = PinBy::kClosest)
      : test_(program(blocks, memory)), stage_(shared_work()), course_(test_, stage_) {
    const Plan plan = live::plan(test_, shared_offers(), pin_by);
    reason_ = plan.skip;
    if (reason_.empty()) reason_ = stage_.open(test_, plan.devices, plan.uses);
    if (!reason_.empty()) return;
    reason_ = course_.begin();
    Choices choices;
    while (reason_.empty()) {
      const BlockSet runnable = course_.runnable();
      if (runnable == 0) break;
      reason_ = course_.step(choices.choose(runnable)).lost;
    }
  }

  /// Why nothing was played.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  /// What a condition sees at the end: a term of the test's `locations`, by its number.
  [[nodiscard]] std::int64_t term(std::size_t number) { return course_.value_of(test_.locations[number]); }
  [[nodiscard]] std::int64_t reg(std::uint8_t block, std::uint8_t number) const { return course_.reg(block, number); }
  [[nodiscard]] Stage& stage() { return stage_; }
  [[nodiscard]] Course& course() { return course_; }

 private:
  litmus::Program test_;
  Stage stage_;
  Course course_;
  std::string reason_;
};

#define SKIP_UNLESS_PLAYED(play) \
  if (!(play).reason().empty()) GTEST_SKIP() << (play).reason()

}  // namespace cowherd::live
