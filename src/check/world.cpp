#include "check/world.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <new>

namespace cowherd::check {

namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

void World::AlignedDelete::operator()(std::byte* memory) const { ::operator delete[](memory, kAlignment); }

std::string World::begin(const Scene& scene, const Rules& rules) {
  scene_ = &scene;
  const std::size_t bytes = mm::System<G>::footprint(scene.frames());
  if (bytes > memory_bytes_) {
    memory_.reset(static_cast<std::byte*>(::operator new[](bytes, kAlignment)));
    memory_bytes_ = bytes;
  }
  mm::System<G>::format(memory_.get(), scene.frames(), rules);
  system_ = std::make_unique<mm::System<G>>(memory_.get());
  reference.clear();
  std::memset(static_cast<void*>(&control), 0, sizeof control);
  registers_.assign(scene.registers(), 0);
  return build();
}

std::string World::build() {
  const litmus::Program& program = scene_->program();
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    const litmus::Block& block = scene_->block(b);
    if (block.start != litmus::BlockStart::kAtTimeZero) continue;
    control.agents[b].phase = Phase::kRunning;
    if (block.kind != litmus::BlockKind::kProcess) continue;
    auto process = mm::spawn(*system_);
    if (!process) return fmt::format("{}: no memory for the process", block.name);
    control.processes[b] = {*process, Life::kAlive, false, 0};
    reference.spawn(b);
    for (const litmus::Variable& variable : program.variables) {
      if (auto error = build_variable(b, variable); !error.empty()) return error;
    }
  }
  settle();
  return {};
}

std::string World::build_variable(std::uint8_t process, const litmus::Variable& variable) {
  using litmus::VariableKind;
  if (variable.kind == VariableKind::kUnmapped) return {};
  const ProcessControl& owner = control.processes[process];
  const auto first = static_cast<std::uint8_t>(variable.first_page);
  const auto count = static_cast<std::uint8_t>(variable.pages);
  const Vaddr address = scene_->address_of_page(first);
  const ByteCount length{count * Geometry<G>::kPageBytes};
  Call call{.kind = Call::Kind::kMmap, .process = process, .page = first, .count = count};
  call.protection = Protection::kReadWrite;
  call.map_flags = MapFlags::kFixed;
  const auto in_reference = [&](std::int64_t seen) { return reference.run(process, call, {.value = seen}).ok(); };

  bool right = mm::mmap(*system_, owner.id, address, length, call.protection, call.map_flags).ok() && in_reference(0);
  for (std::uint8_t page = first; right && page < first + count; ++page) {
    std::int64_t word = variable.value;
    const std::span bytes = std::as_writable_bytes(std::span(&word, 1));
    call = {.kind = Call::Kind::kWrite, .process = process, .page = page, .value = variable.value};
    if (variable.kind == VariableKind::kAnonValue) {
      right =
          mm::write<G>(*system_, owner.id, scene_->address_of_page(page), bytes).error == Errno{0} && in_reference(0);
    } else if (variable.kind == VariableKind::kZeroPage) {
      call.kind = Call::Kind::kRead;
      right =
          mm::read<G>(*system_, owner.id, scene_->address_of_page(page), bytes).error == Errno{0} && in_reference(word);
    }
  }
  if (right && variable.protection != Protection::kReadWrite) {
    call = {.kind = Call::Kind::kMprotect, .process = process, .page = first, .count = count};
    call.protection = variable.protection;
    right = mm::mprotect(*system_, owner.id, address, length, variable.protection).ok() && in_reference(0);
  }
  if (right) return {};
  return fmt::format("{}: the init block cannot be built: {}", scene_->block(process).name, variable.name);
}

std::span<const std::byte> World::pack() {
  const std::span<const std::byte> reference_bytes = reference.bytes();
  const std::size_t used = system_->frames().used_frames().value();
  control.used_frames = static_cast<std::uint32_t>(used);
  control.reference_bytes = static_cast<std::uint32_t>(reference_bytes.size());
  const std::size_t prefix = system_->descriptor_offset() + used * sizeof(FrameDescriptor);
  const std::size_t ram = used * Geometry<G>::kPageBytes;
  const std::size_t registers = registers_.size() * sizeof(std::int64_t);
  const std::size_t total = sizeof control + registers + reference_bytes.size() + prefix + ram;
  if (packed_.size() < total) packed_.resize(2 * total);
  std::byte* to = packed_.data();
  const auto put = [&to](const void* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
    to += bytes;
  };
  put(&control, sizeof control);
  if (registers != 0) put(registers_.data(), registers);
  put(system_->memory(), prefix);
  put(system_->memory() + system_->ram_offset(), ram);
  put(reference_bytes.data(), reference_bytes.size());
  packed_bytes_ = total;
  return std::span(packed_).first(total);
}

StateParts World::packed_parts() const {
  const std::size_t ram = control.used_frames * Geometry<G>::kPageBytes;
  const std::size_t first = packed_bytes_ - control.reference_bytes - ram;
  const std::span all = std::span<const std::byte>(packed_).first(packed_bytes_);
  return {all.first(first), all.subspan(first, ram), all.subspan(first + ram)};
}

void World::restore(std::span<const std::byte> packed) {
  const std::size_t live = system_->frames().used_frames().value();
  const std::byte* from = packed.data();
  const auto get = [&from](void* to, std::size_t bytes) {
    std::memcpy(to, from, bytes);
    from += bytes;
  };
  get(&control, sizeof control);
  if (!registers_.empty()) get(registers_.data(), registers_.size() * sizeof(std::int64_t));
  const std::size_t used = control.used_frames;
  const std::size_t descriptors = system_->descriptor_offset();
  get(system_->memory(), descriptors + used * sizeof(FrameDescriptor));
  std::byte* ram = system_->memory() + system_->ram_offset();
  get(ram, used * Geometry<G>::kPageBytes);
  reference.assign({from, control.reference_bytes});
  if (live > used) {
    // A snapshot holds no frame above the last one in use; there they are as format() and free() leave them.
    std::memset(system_->memory() + descriptors + used * sizeof(FrameDescriptor), 0,
                (live - used) * sizeof(FrameDescriptor));
    std::memset(ram + used * Geometry<G>::kPageBytes, Frames<G>::kScrubByte, (live - used) * Geometry<G>::kPageBytes);
  }
  system_->held_locks().clear();
  (void)system_->take_violations();
}

BlockSet World::unfinished() const {
  BlockSet set = 0;
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    if (control.agents[b].phase == Phase::kRunning) set = static_cast<BlockSet>(set | bit_of(b));
  }
  return set;
}

BlockSet World::runnable() const {
  BlockSet set = 0;
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    if (control.agents[b].phase == Phase::kRunning && may_proceed(b)) set = static_cast<BlockSet>(set | bit_of(b));
  }
  return set;
}

bool World::may_proceed(std::uint8_t b) const {
  const litmus::Block& block = scene_->block(b);
  for (std::uint8_t child = 0; child < scene_->blocks(); ++child) {
    const bool suspends = scene_->block(child).start == litmus::BlockStart::kVfork &&
                          scene_->block(child).starter == b && control.processes[child].borrows;
    if (suspends) return false;
  }
  const litmus::Operation& op = block.operations[control.agents[b].pc];
  if (op.code != litmus::OpCode::kWait) return true;
  const Phase phase = control.agents[op.block].phase;
  if (phase == Phase::kNever) return true;
  if (phase == Phase::kUnborn) return false;
  if (scene_->block(op.block).start == litmus::BlockStart::kThread) return phase == Phase::kDone;
  return control.processes[op.block].life != Life::kAlive || (scene_->threads_of(op.block) & unfinished()) == 0;
}

void World::settle() {
  const std::uint8_t blocks = scene_->blocks();
  for (std::uint8_t b = 0; b < blocks; ++b) {
    AgentControl& agent = control.agents[b];
    if (agent.phase == Phase::kRunning && agent.pc >= scene_->block(b).operations.size()) agent.phase = Phase::kDone;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint8_t b = 0; b < blocks; ++b) {
      if (control.agents[b].phase != Phase::kUnborn) continue;
      const Phase starter = control.agents[scene_->block(b).starter].phase;
      if (starter != Phase::kDone && starter != Phase::kNever) continue;
      control.agents[b].phase = Phase::kNever;
      changed = true;
    }
  }
  for (std::uint8_t b = 0; b < blocks; ++b) {
    const bool at_end = alive(b) && control.processes[b].borrows && (scene_->threads_of(b) & unfinished()) == 0;
    // Its parent still lives in that memory, so nothing has to be torn down that a lock could forbid.
    if (!at_end || !exit_process(b)) continue;
    (void)reference.run(b, {.kind = Call::Kind::kExit, .process = b}, {});
  }
}

Result<void> World::exit_process(std::uint8_t process) {
  ProcessControl& state = control.processes[process];
  if (auto gone = mm::exit(*system_, state.id); !gone) return gone;
  state.life = Life::kExited;
  state.borrows = false;
  return {};
}

}  // namespace cowherd::check
