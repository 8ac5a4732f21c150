#include "check/handler_step.hpp"

#include <array>

#include "mm/sync.hpp"

namespace cowherd::check {

using litmus::OpCode;

namespace {

Result<void> act(World& world, std::uint8_t process, const litmus::Operation& op, std::int64_t value) {
  const Scene& scene = world.scene();
  mm::System<G>& system = world.system();
  const ProcessId id = world.control.processes[process].id;
  const Vaddr address = scene.address_of_page(scene.page_of(op.place));
  const ByteCount length{op.place.pages * Geometry<G>::kPageBytes};
  switch (op.code) {
    case OpCode::kUffdRegister:
      return mm::uffd_register(system, id, address, length, scene.uffd_of(op));
    case OpCode::kUffdUnregister:
      return mm::uffd_unregister(system, id, address, length);
    case OpCode::kUffdCopy: {
      std::array<std::int64_t, litmus::kWordsPerPage> page{};
      page[op.place.word] = value;
      const mm::Live live(system, "handlers-page", page);
      return mm::uffd_copy<G>(system, id, address, std::as_bytes(std::span(page)));
    }
    case OpCode::kUffdZeropage:
      return mm::uffd_zeropage(system, id, address);
    case OpCode::kUffdPoison:
      return mm::uffd_poison(system, id, address);
    case OpCode::kUffdContinue:
      return mm::uffd_continue(system, id, address);
    case OpCode::kUffdWp:
    case OpCode::kUffdUnwp:
      return mm::uffd_write_protect(system, id, address, length, op.code == OpCode::kUffdWp);
    default:
      return mm::uffd_move(system, id, address, scene.address_of_page(scene.page_of(op.to)));
  }
}

}  // namespace

Result<std::int64_t> act_as_handler(World& world, std::uint8_t process, const litmus::Operation& op,
                                    std::int64_t value) {
  if (op.code == OpCode::kUffdRead) {
    auto event = mm::uffd_read(world.system(), world.control.processes[process].id);
    return event ? Result<std::int64_t>(static_cast<std::int64_t>(*event)) : event.error();
  }
  const auto done = act(world, process, op, value);
  return done ? Result<std::int64_t>(0) : done.error();
}

}  // namespace cowherd::check
