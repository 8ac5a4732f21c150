#pragma once

#include <cstdint>

#include "check/world.hpp"
#include "mm/violation.hpp"
#include "spec/promise.hpp"

namespace cowherd::check {

/// What one operation did and how it was judged.
struct StepReport {
  /// The operation has to wait for another block. The world is then in no state at all: restore() one.
  bool blocked = false;
  /// What its register gets: a value, a count, 0, or the negative of an error.
  std::int64_t result = 0;
  spec::Judgement judgement;
  /// Violations that the run had not shown before, found by the operation itself or by verify_step().
  mm::Violations fresh;
};

/// What the next operation of `block` asks of the reference. Precondition: it has one.
Call call_of(World& world, std::uint8_t block);

/// Runs the next operation of `block` in the machine and in the reference, judges it and notes what broke in the
/// world's control block. Precondition: the block is runnable.
StepReport step(World& world, std::uint8_t block);

/// Recounts the whole machine and notes what is wrong with it. Returns the violations that the run had not shown
/// before.
mm::Violations verify_step(World& world);

}  // namespace cowherd::check
