#include "check/removing.hpp"

#include "check/call_of.hpp"
#include "check/handler_calls.hpp"

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

RemovedPart remove_next(World& world, std::uint8_t block) {
  const Removing removing = Removing::of(world.removing(block));
  const litmus::Operation& op = world.operation(block);
  const Scene& scene = world.scene();
  mm::System<G>& system = world.system();
  const ProcessId id = world.control.processes[scene.process_of(block)].id;
  const Vaddr at = scene.address_of_page(static_cast<std::uint8_t>(scene.page_of(op.place) + removing.done));
  const auto bytes_to = [&](unsigned end) { return ByteCount{(end - removing.done) * Geometry<G>::kPageBytes}; };
  if (removing.until != 0) {
    const auto done = mm::madvise(system, id, at, bytes_to(removing.until), op.advice);
    return {{done ? Errno{0} : done.error(), 0, system.frames().shortage()}, false};
  }
  const auto said = mm::tell_of_removal(system, id, at, bytes_to(op.place.pages), op.advice);
  const std::int64_t value = said ? said_of(said->pages.value(), said->told) : 0;
  return {{said ? Errno{0} : said.error(), value, system.frames().shortage()}, true};
}

Errno settle_removal(World& world, std::uint8_t block, const RemovedPart& part, bool& goes_on) {
  Removing removing = Removing::of(world.removing(block));
  const std::uint8_t pages = world.operation(block).place.pages;
  Errno error = part.seen.error;
  if (part.said) {
    removing.until = static_cast<std::uint8_t>(removing.done + (part.seen.value & 0xFF));
    goes_on = error == Errno{0};
  } else {
    error = removing.take(part.seen);
    goes_on = error == Errno{0} && removing.done < pages;
    if (!goes_on && error == Errno{0} && removing.hole) error = Errno::kNoMemory;
  }
  world.removing(block) = goes_on ? removing.value() : 0;
  return goes_on ? Errno{0} : error;
}

}  // namespace cowherd::check
