#include "check/last_page.hpp"

#include <vector>

namespace cowherd::check {

namespace {

/// False where something that was left held keeps it from ending.
bool end_all(World& world) {
  mm::System<G>& system = world.system();
  Control& control = world.control;
  for (std::uint8_t i = 0; i < control.locks; ++i) mm::unlock_page(system, control.page_locks[i].frame);
  for (std::uint8_t process = 0; process < litmus::kMaxBlocks; ++process) {
    if (world.alive(process) && !mm::exit(system, control.processes[process].id).ok()) return false;
  }
  for (DeviceControl& device : control.devices) {
    if (device.pages != 0) mm::unpin(system, device.pin, has(device.flags, PinFlags::kWrite));
  }
  for (std::uint8_t file = 0; file < world.scene().files(); ++file) {
    if (!mm::writeback(system, world.file(file)).ok()) return false;
  }
  return true;
}

spec::Judgement compare(World& world) {
  const litmus::Program& program = world.scene().program();
  for (std::uint8_t file = 0; file < world.scene().files(); ++file) {
    if (program.files[file].kind != litmus::FileKind::kDisk) continue;
    const std::uint8_t pages = world.reference.file_size(file);
    for (std::uint8_t page = 0; page < pages; ++page) {
      for (std::uint8_t word = 0; word < litmus::kWordsPerPage; ++word) {
        std::int64_t value = 0;
        mm::read_disk<G>(world.system(), world.file(file),
                         ByteCount{page * Geometry<G>::kPageBytes + word * sizeof value},
                         std::as_writable_bytes(std::span(&value, 1)));
        const spec::Judgement judgement = world.reference.judge_disk(file, page, word, value);
        if (!judgement.ok()) return judgement;
      }
    }
  }
  return {};
}

}  // namespace

spec::Judgement judge_disks(World& world) {
  const std::span<const std::byte> packed = world.pack();
  const std::vector<std::byte> here(packed.begin(), packed.end());
  const spec::Judgement judgement = end_all(world) ? compare(world) : spec::Judgement{};
  world.restore(here);
  return judgement;
}

}  // namespace cowherd::check
