#pragma once

#include <cstdint>

#include "check/step_report.hpp"
#include "check/world.hpp"
#include "mm/violation.hpp"

namespace cowherd::check {

/// Takes one step: at the grain of operations the whole next operation of a block, else from where the block is
/// suspended to its next suspension or to the end of its operation. A completed operation is run in the reference too,
/// judged, and what broke is noted in the world's control block. Precondition: `move` is among the world's moves.
StepReport step(World& world, Move move);

/// Recounts the whole machine, in which no operation is under way, and notes what is wrong with it. Returns the
/// violations that the run had not shown before.
mm::Violations verify_step(World& world);

}  // namespace cowherd::check
