#include "check/call_of.hpp"
#include "check/world.hpp"

namespace cowherd::check {

bool World::waits_to_be_read(std::uint8_t block) const {
  if (!scene_->reads_events()) return false;
  // It is the run that asks, and not who is running.
  if (watcher_ != nullptr) watcher_->asks();
  const std::uint8_t process = scene_->process_of(block);
  return alive(process) &&
         mm::waits_to_be_read(*system_, control.processes[process].id, static_cast<std::uint8_t>(block + 1));
}

void World::claim_events(std::uint8_t block) {
  if (!scene_->reads_events()) return;
  if (watcher_ != nullptr) watcher_->asks();
  const std::uint8_t process = scene_->process_of(block);
  if (alive(process)) mm::claim_events(*system_, control.processes[process].id, static_cast<std::uint8_t>(block + 1));
}

BlockSet World::waiting() {
  const BlockSet all = unfinished();
  if (!scene_->uses_userfault()) return 0;
  bool any = false;
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    if (!contains(all, b)) continue;
    if (!inside(b) && waits_to_be_read(b)) {
      // So it is over for the reference, which has to know of the event too.
      if (!reference.may_wait(b, {.kind = Call::Kind::kUffdAwait, .process = scene_->process_of(b)})) return 0;
      any = true;
      continue;
    }
    if (at_end(b)) continue;
    if (!inside(b) && operation(b).code == litmus::OpCode::kUffdRead) {
      if (!reference.may_wait(b, call_of(*this, b))) return 0;
      any = true;
      continue;
    }
    // Who waits for another block waits for what that waits for.
    if (!inside(b) && (!may_proceed(b) || !may_overlap(b))) continue;
    if (!reference.may_wait(b, inside(b) ? Call{} : call_of(*this, b))) return 0;
    any = true;
  }
  return any ? all : BlockSet{0};
}

}  // namespace cowherd::check
