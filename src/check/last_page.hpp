#pragma once

#include "check/world.hpp"
#include "spec/promise.hpp"

namespace cowherd::check {

/// What is left on the disks when all is over: every process ends, every device lets go and says what it wrote, and
/// what is dirty is written back. The judgement of the first word that is not what the reference says. The world is as
/// it was before. Precondition: no block is left that could run.
spec::Judgement judge_disks(World& world);

}  // namespace cowherd::check
