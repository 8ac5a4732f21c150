#include "check/removing.hpp"

#include "check/call_of.hpp"

namespace cowherd::check {

bool removes_in_parts(const World& world, std::uint8_t block) {
  if (!world.scene().tells_of_removal()) return false;
  const litmus::Operation& op = world.operation(block);
  const bool removes = op.advice == Advice::kDontNeed || op.advice == Advice::kFree || op.advice == Advice::kRemove;
  return op.code == litmus::OpCode::kMadvise && removes;
}

Call next_call(World& world, std::uint8_t block) {
  Call call = call_of(world, block);
  if (!removes_in_parts(world, block)) return call;
  const Removing removing = Removing::of(world.removing(block));
  if (removing.until == 0) call.kind = Call::Kind::kUffdTell;
  call.page = static_cast<std::uint8_t>(call.page + removing.done);
  call.count = static_cast<std::uint8_t>((removing.until != 0 ? removing.until : call.count) - removing.done);
  return call;
}

}  // namespace cowherd::check
