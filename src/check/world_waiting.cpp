#include "check/call_of.hpp"
#include "check/world.hpp"

namespace cowherd::check {

BlockSet World::waiting() {
  const BlockSet all = unfinished();
  if (!scene_->uses_userfault()) return 0;
  bool any = false;
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    if (!contains(all, b)) continue;
    // Who waits for another block waits for what that waits for.
    if (!inside(b) && (!may_proceed(b) || !may_overlap(b))) continue;
    if (!reference.may_wait(b, inside(b) ? Call{} : call_of(*this, b))) return 0;
    any = true;
  }
  return any ? all : BlockSet{0};
}

}  // namespace cowherd::check
