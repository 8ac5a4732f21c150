#include "check/world.hpp"

// Orders between operations that the tests' world brings about by itself: who is started, who is waited for, who works
// with a device one after the other. No memory of the machine carries them.

namespace cowherd::check {

namespace {

bool uses_device(const litmus::Operation& op, std::uint8_t device) {
  using litmus::OpCode;
  switch (op.code) {
    case OpCode::kPin:
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
    case OpCode::kDmaRead:
    case OpCode::kDmaWrite:
      return op.device == device;
    default:
      return false;
  }
}

/// Whether the snapshot that `op` restores is the one that `earlier` took.
bool restores(const litmus::Operation& op, const litmus::Operation& earlier) {
  return op.code == litmus::OpCode::kRestore && earlier.code == litmus::OpCode::kSnapshot &&
         op.snapshot == earlier.snapshot;
}

}  // namespace

void World::tell_before(std::uint8_t block) {
  using litmus::OpCode;
  const litmus::Operation& op = operation(block);
  const std::uint8_t pc = control.agents[block].pc;
  BlockSet before = 0;
  if (op.code == OpCode::kWait) {
    before =
        scene_->block(op.block).start == litmus::BlockStart::kThread ? bit_of(op.block) : scene_->threads_of(op.block);
  } else if (op.code == OpCode::kExec || op.code == OpCode::kExit) {
    before = scene_->threads_of(scene_->process_of(block));
  }
  if (pc != 0 && scene_->block(block).operations[pc - std::size_t{1}].code == OpCode::kVfork) {
    const std::uint8_t child = scene_->block(block).operations[pc - std::size_t{1}].block;
    before = static_cast<BlockSet>(before | scene_->threads_of(child));
  }
  for (std::uint8_t other = 0; other < scene_->blocks(); ++other) {
    if (other == block) continue;
    bool is_before = contains(before, other);
    for (std::size_t done = 0; done < control.agents[other].pc && !is_before; ++done) {
      const litmus::Operation& earlier = scene_->block(other).operations[done];
      is_before = (uses_device(op, op.device) && uses_device(earlier, op.device)) || restores(op, earlier);
    }
    if (is_before) watcher_->ordered(other, block);
  }
  if (op.target && *op.target != scene_->process_of(block)) watcher_->meets(block, *op.target);
}

void World::tell_after(std::uint8_t block, const litmus::Operation& ended) {
  if (litmus::starts_block(ended.code) && control.agents[ended.block].phase == Phase::kRunning) {
    watcher_->starts(block, ended.block);
  }
}

}  // namespace cowherd::check
