#include "check/step.hpp"

#include "check/last_page.hpp"
#include "check/removing.hpp"
#include "check/stepper.hpp"

namespace cowherd::check {

namespace {

StepReport run_at_once(World& world, std::uint8_t block) {
  Frames<G>& frames = world.system().frames();
  frames.clear_shortage();
  const std::uint32_t fail_nth = world.operation(block).fail_nth;
  if (fail_nth != 0) frames.injector().arm(fail_nth);
  const StepReport report = Stepper(world, block).run();
  if (fail_nth != 0) frames.injector().arm(0);
  return report;
}

StepReport run_on(World& world, Move move) {
  const auto body = [](void* argument) {
    World& here = *static_cast<World*>(argument);
    here.report = Stepper(here, here.running()).run();
  };
  const std::uint8_t block = block_of(move);
  const bool begins = !world.inside(block);
  const Call call = begins ? next_call(world, block) : Call{};
  const auto stop = world.advance(move, body, &world);
  // What ends in its first step overlaps nothing.
  if (begins && stop == StepScheduler::Stop::kSuspended && call.kind != Call::Kind::kNothing) {
    world.reference.begin(block, call);
  }
  StepReport report;
  if (stop == StepScheduler::Stop::kCompleted) report = world.report;
  report.blocked = report.blocked || stop == StepScheduler::Stop::kHasToWait;
  return report;
}

}  // namespace

StepReport step(World& world, Move move) {
  StepReport report = world.fibers() ? run_on(world, move) : run_at_once(world, block_of(move));
  if (report.blocked) return report;
  const mm::Violations reported = world.system().take_violations();
  report.fresh.bits = reported.bits & ~world.control.violations;
  world.control.violations |= reported.bits;
  // The last operation of a run answers for what is left on the disks.
  if (report.completed && world.scene().has_disk() && report.judgement.ok() && world.unfinished() == 0) {
    report.judgement = judge_disks(world);
    note_breach(world.control, report.judgement);
  }
  return report;
}

mm::Violations verify_step(World& world) {
  const mm::Violations found = mm::verify(world.system());
  const mm::Violations fresh{found.bits & ~world.control.violations};
  world.control.violations |= found.bits;
  return fresh;
}

}  // namespace cowherd::check
