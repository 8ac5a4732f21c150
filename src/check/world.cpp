#include "check/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "check/hash.hpp"
#include "mm/page.hpp"

namespace cowherd::check {

namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

void World::AlignedDelete::operator()(std::byte* memory) const { ::operator delete[](memory, kAlignment); }

std::string World::begin(const Scene& scene, const Rules& rules, const Setting& setting) {
  scene_ = &scene;
  setting_ = setting;
  fibers_ = setting.grain == litmus::Grain::kStep || scene.fails_by_choice();
  if (fibers_ && !kFibersWork) return "steps inside operations cannot be explored under ThreadSanitizer";
  if (fibers_) steps_.begin(scene.blocks(), scene.vpns(), setting.raw, scene.others_come_by_rmap());
  const bool pools = setting.grain == litmus::Grain::kStep && setting.reuse == FrameReuse::kPools;
  stripes_ = pools ? std::bit_ceil(static_cast<unsigned>(scene.blocks())) : 1;
  const mm::MachineSize size{.frames = scene.frames(),
                             .swap = scene.swap(),
                             .others_come_by_rmap = scene.others_come_by_rmap(),
                             .huge = scene.uses_huge(),
                             .folio_order = scene.folio_order(),
                             .pool = scene.hugetlb_pages(),
                             .movable = scene.movable()};
  const std::size_t bytes = mm::System<G>::footprint(size);
  if (bytes > memory_bytes_) {
    memory_.reset(static_cast<std::byte*>(::operator new[](bytes, kAlignment)));
    memory_bytes_ = bytes;
  }
  mm::System<G>::format(memory_.get(), size, rules);
  system_ = std::make_unique<mm::System<G>>(memory_.get());
  reference.clear();
  if (scene.uses_userfault()) reference.track_handlers(scene.uses_huge());
  std::memset(static_cast<void*>(&control), 0, sizeof control);
  // And one to each block for how far an madvise has come.
  registers_.assign(scene.registers() + (scene.tells_of_removal() ? std::size_t{scene.blocks()} : 0), 0);
  auto error = build();
  if (watcher_ != nullptr && error.empty()) watcher_->begin({memory_.get(), bytes}, scene.blocks());
  return error;
}

void World::assemble() {
  const std::span<const std::byte> reference_bytes = reference.bytes();
  const std::size_t used = system_->frames().used_frames().value();
  control.used_frames = static_cast<std::uint16_t>(used);
  control.reference_bytes = static_cast<std::uint32_t>(reference_bytes.size());
  const std::size_t swap = system_->has_swap() ? system_->swap().used_blocks().value() : 0;
  control.used_slots = static_cast<std::uint16_t>(swap);
  const std::size_t prefix = system_->descriptor_offset() + used * sizeof(FrameDescriptor);
  const std::size_t ram = used * Geometry<G>::kPageBytes;
  const std::size_t registers = registers_.size() * sizeof(std::int64_t);
  const std::size_t steps = fibers_ ? steps_.state_bytes() : 0;
  const std::size_t total =
      stacks_bytes() + sizeof control + registers + steps + reference_bytes.size() + prefix + behind_bytes() + ram;
  if (packed_.size() < total) packed_.resize(2 * total);
  std::byte* to = packed_.data() + stacks_bytes();
  const auto put = [&to](const void* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
    to += bytes;
  };
  put(&control, sizeof control);
  if (registers != 0) put(registers_.data(), registers);
  if (fibers_) {
    steps_.save_state(to);
    to += steps;
  }
  put(system_->memory(), prefix);
  if (system_->has_swap()) {
    BlockStore<G>& store = system_->swap();
    put(system_->memory() + system_->cold_offset(), used * sizeof(ColdDescriptor));
    put(store.memory(), store.index_bytes(PageCount{swap}));
    put(store.bytes(BlockNumber{0}), swap * Geometry<G>::kPageBytes);
  }
  put(system_->memory() + system_->ram_offset(), ram);
  put(reference_bytes.data(), reference_bytes.size());
  packed_bytes_ = total;
}

std::size_t World::behind_bytes() const {
  if (!system_->has_swap()) return 0;
  const std::size_t slots = control.used_slots;
  return control.used_frames * sizeof(ColdDescriptor) + BlockStore<G>::index_bytes(PageCount{slots}) +
         slots * Geometry<G>::kPageBytes;
}

std::span<const std::byte> World::pack() {
  assemble();
  if (fibers_) steps_.save_stacks(packed_.data());
  return std::span(packed_).first(packed_bytes_);
}

std::uint64_t World::hash() {
  assemble();
  return hash_of(std::span(packed_).first(packed_bytes_).subspan(stacks_bytes()));
}

StateParts World::packed_parts() {
  if (fibers_) steps_.save_stacks(packed_.data());
  const std::size_t ram = control.used_frames * Geometry<G>::kPageBytes;
  const std::size_t first = packed_bytes_ - control.reference_bytes - ram;
  const std::span all = std::span<const std::byte>(packed_).first(packed_bytes_);
  return {all.first(first), all.subspan(first, ram), all.subspan(first + ram)};
}

StateParts World::packed_parts_with_free_frames() {
  StateParts parts = packed_parts();
  const std::size_t frames = system_->frames().frame_count().value();
  parts[1] = {system_->memory() + system_->ram_offset(), frames * Geometry<G>::kPageBytes};
  return parts;
}

void World::restore(std::span<const std::byte> packed) {
  const std::size_t live = system_->frames().used_frames().value();
  const PageCount live_slots = system_->has_swap() ? system_->swap().used_blocks() : PageCount{0};
  const std::byte* from = packed.data() + stacks_bytes();
  const auto get = [&from](void* to, std::size_t bytes) {
    std::memcpy(to, from, bytes);
    from += bytes;
  };
  get(&control, sizeof control);
  if (!registers_.empty()) get(registers_.data(), registers_.size() * sizeof(std::int64_t));
  if (fibers_) {
    steps_.restore(from, packed.data());
    from += steps_.state_bytes();
  }
  const std::size_t used = control.used_frames;
  const std::size_t descriptors = system_->descriptor_offset();
  get(system_->memory(), descriptors + used * sizeof(FrameDescriptor));
  if (system_->has_swap()) {
    BlockStore<G>& store = system_->swap();
    const PageCount slots{control.used_slots};
    std::byte* cold = system_->memory() + system_->cold_offset();
    get(cold, used * sizeof(ColdDescriptor));
    get(store.memory(), store.index_bytes(slots));
    get(store.bytes(BlockNumber{0}), slots.value() * Geometry<G>::kPageBytes);
    store.forget(slots, live_slots);
    if (live > used) std::memset(cold + used * sizeof(ColdDescriptor), 0, (live - used) * sizeof(ColdDescriptor));
  }
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

StepScheduler::Stop World::advance(Move move, Fiber::Body body, void* argument) {
  const std::uint8_t block = block_of(move);
  StepScheduler::AgentState& agent = steps_.state(block);
  const bool begins = !agent.inside;
  if (begins) {
    agent.fail_in = operation(block).fail_nth;
    agent.may_fail = operation(block).fail_any;
    agent.short_of_memory = false;
  }
  Frames<G>& frames = system_->frames();
  FailureInjector& injector = frames.injector();
  if (agent.may_fail) {
    injector.arm(
        [](void* steps) {
          return static_cast<StepScheduler*>(steps)->suspend(
                     Point::kAllocate, [](const void*) { return 2u; }, nullptr) != 0;
        },
        &steps_);
  } else {
    injector.arm(agent.fail_in);
  }
  if (agent.short_of_memory) {
    frames.note_shortage();
  } else {
    frames.clear_shortage();
  }
  const bool steps = setting_.grain == litmus::Grain::kStep;
  if (steps) {
    system_->set_scheduler(&steps_);
  } else {
    system_->held_locks() = begins ? HeldLocks{} : steps_.held_locks(block);
  }
  frames.set_stripe(stripes_ == 1 ? 0 : block, stripes_);

  const litmus::Operation& running = operation(block);
  if (watcher_ != nullptr) {
    if (begins) tell_before(block);
    watcher_->runs(block, control.agents[block].pc);
    if (!begins) watcher_->passes(agent.point);
  }
  const auto stop = begins ? steps_.start(block, body, argument) : steps_.resume(block, way_of(move));
  if (watcher_ != nullptr) {
    if (watcher_->stops()) system_->report(mm::Violation::kDataRace);
    if (stop == StepScheduler::Stop::kCompleted) tell_after(block, running);
  }

  system_->set_scheduler(nullptr);
  frames.set_stripe(0, 1);
  if (stop == StepScheduler::Stop::kCompleted) {
    agent.fail_in = 0;
    agent.may_fail = false;
    agent.short_of_memory = false;
    for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
      const bool runs_on = control.agents[b].phase == Phase::kRunning;
      steps_.keep_translations(b, runs_on ? scene_->pages_accessed_from(b, control.agents[b].pc) : 0);
    }
  } else {
    agent.short_of_memory = frames.shortage();
    const bool chooses = agent.may_fail;
    agent.may_fail = chooses && !injector.fired();
    if (steps && chooses) {
      // Two allocations may be asked for in one state of the machine. Who goes round in circles is one state in the
      // end.
      constexpr std::uint32_t kMostCounted = 32;
      agent.fail_in = agent.may_fail ? std::min(agent.fail_in + injector.seen(), kMostCounted) : 0;
    } else if (steps) {
      agent.fail_in = injector.fired() || agent.fail_in == 0 ? 0 : agent.fail_in - injector.seen();
    } else {
      // Without a scheduler operations declare nothing; how many allocations it has asked for says where it is.
      agent.fail_in += injector.seen();
      steps_.held_locks(block) = system_->held_locks();
    }
  }
  injector.arm(0);
  return stop;
}

BlockSet World::unfinished() const {
  BlockSet set = 0;
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    if (control.agents[b].phase == Phase::kRunning) set = static_cast<BlockSet>(set | bit_of(b));
  }
  return set;
}

MoveSet World::moves() {
  // Suspended operations are asked, and look at the machine with their own eyes.
  if (setting_.grain == litmus::Grain::kStep) system_->set_scheduler(&steps_);
  // At the grain of operations one may be inside only where it chooses which allocation fails; nobody else runs then.
  const bool one_at_a_time = setting_.grain == litmus::Grain::kOperation && !quiescent();
  unsigned set = 0;
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    if (control.agents[b].phase != Phase::kRunning) continue;
    if (inside(b)) {
      const unsigned ways = steps_.ways(b);
      for (unsigned way = 0; way < ways; ++way) set |= set_of(move_of(b, way));
    } else if (!one_at_a_time && may_proceed(b) && may_overlap(b)) {
      set |= set_of(move_of(b, 0));
    }
  }
  system_->set_scheduler(nullptr);
  return static_cast<MoveSet>(set);
}

namespace {

bool is_on_device(litmus::OpCode code) {
  using litmus::OpCode;
  return code == OpCode::kPin || code == OpCode::kUnpin || code == OpCode::kUnpinDirty || code == OpCode::kDmaRead ||
         code == OpCode::kDmaWrite;
}

bool is_on_snapshot(litmus::OpCode code) {
  return code == litmus::OpCode::kSnapshot || code == litmus::OpCode::kRestore;
}

bool changes_device(litmus::OpCode code) {
  using litmus::OpCode;
  return code == OpCode::kPin || code == OpCode::kUnpin || code == OpCode::kUnpinDirty;
}

}  // namespace

/// Whether the next operation of `b` may begin while others are inside theirs.
bool World::may_overlap(std::uint8_t b) const {
  if (quiescent()) return true;
  const litmus::Operation& op = operation(b);
  for (std::uint8_t other = 0; other < scene_->blocks(); ++other) {
    if (!inside(other)) continue;
    const litmus::Operation& running = operation(other);
    // exec ends the other threads before it touches anything, and none is ended in the middle.
    const bool execs = op.code == litmus::OpCode::kExec || running.code == litmus::OpCode::kExec;
    if (execs && scene_->process_of(other) == scene_->process_of(b)) return false;
    // Nobody has a snapshot to restore while it is being taken.
    const bool same_snapshot =
        is_on_snapshot(op.code) && is_on_snapshot(running.code) && op.snapshot == running.snapshot;
    if (same_snapshot && (op.code == litmus::OpCode::kSnapshot || running.code == litmus::OpCode::kSnapshot)) {
      return false;
    }
    // Who reads events holds a lock of their queue.
    if (op.code == litmus::OpCode::kUffdRead && running.code == op.code) return false;
    // A driver takes and gives back a pin while it has no transfer under way.
    const bool same_device = is_on_device(op.code) && is_on_device(running.code) && op.device == running.device;
    if (same_device && (changes_device(op.code) || changes_device(running.code))) return false;
  }
  return true;
}

bool World::may_proceed(std::uint8_t b) const {
  // Whoever was waited for at the end may be inside of his reading still.
  if (at_end(b) || waits_to_be_read(b)) return false;
  for (std::uint8_t child = 0; child < scene_->blocks(); ++child) {
    const bool suspends = scene_->block(child).start == litmus::BlockStart::kVfork &&
                          scene_->block(child).starter == b && control.processes[child].borrows;
    if (suspends) return false;
  }
  const litmus::Operation& op = operation(b);
  if (op.code == litmus::OpCode::kUffdRead) {
    return !alive(*op.target) || mm::has_unread_event(*system_, control.processes[*op.target].id);
  }
  if (op.code == litmus::OpCode::kExit) {
    const std::uint8_t process = scene_->process_of(b);
    const bool last = ((scene_->threads_of(process) & ~bit_of(b)) & unfinished()) == 0;
    return !last || !suspended(process);
  }
  if (op.code != litmus::OpCode::kWait) return true;
  const Phase phase = control.agents[op.block].phase;
  if (phase == Phase::kNever) return true;
  if (phase == Phase::kUnborn) return false;
  if (scene_->block(op.block).start == litmus::BlockStart::kThread) return phase == Phase::kDone;
  const Life life = control.processes[op.block].life;
  // Somebody else's wait is about to end it.
  if (life == Life::kExiting) return false;
  return life != Life::kAlive || ((scene_->threads_of(op.block) & unfinished()) == 0 && !suspended(op.block));
}

bool World::suspended(std::uint8_t process) const {
  for (std::uint8_t child = 0; child < scene_->blocks(); ++child) {
    const bool suspends = scene_->block(child).start == litmus::BlockStart::kVfork && control.processes[child].borrows;
    if (suspends && scene_->process_of(scene_->block(child).starter) == process) return true;
  }
  return false;
}

void World::settle() {
  const std::uint8_t blocks = scene_->blocks();
  for (std::uint8_t b = 0; b < blocks; ++b) {
    AgentControl& agent = control.agents[b];
    const bool over = at_end(b) && !waits_to_be_read(b);
    if (agent.phase == Phase::kRunning && over) agent.phase = Phase::kDone;
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
  // One that ends may be what its parent, a child of vfork itself, was suspended for.
  while (end_borrower()) {
  }
}

bool World::end_borrower() {
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    const bool over = alive(b) && control.processes[b].borrows && (scene_->threads_of(b) & unfinished()) == 0;
    if (!over || suspended(b)) continue;
    // Its parent still lives in that memory, so nothing has to be torn down that others could look at.
    Scheduler* const scheduler = system_->scheduler();
    system_->set_scheduler(nullptr);
    const bool gone = exit_process(b).ok();
    system_->set_scheduler(scheduler);
    if (gone) (void)reference.run(b, {.kind = Call::Kind::kExit, .process = b}, {});
    return true;
  }
  return false;
}

void World::note_new_space(std::uint8_t process) {
  // Under directed rules one process's fault changes the page tables of others, and so does who comes by a file.
  const bool may_be_alone = setting_.grain == litmus::Grain::kStep && !setting_.raw &&
                            system_->rules().reuse != Reuse::kDirected && !scene_->has_files();
  const std::uint8_t only_user = scene_->only_user_of(process);
  // Where there are others, reclaim may be at it already.
  if (may_be_alone && only_user != 0) mm::mm_of(*system_, control.processes[process].id).sole_agent = only_user;
}

Result<void> World::exit_process(std::uint8_t process) {
  ProcessControl& state = control.processes[process];
  state.life = Life::kExiting;
  // Whoever waits for a process that ran off its end ends it; nobody of its own is left then.
  if (mm::Mm& mm = mm::mm_of(*system_, state.id); mm.sole_agent != 0) {
    mm.sole_agent = static_cast<std::uint8_t>(running() + 1);
  }
  if (auto gone = mm::exit(*system_, state.id); !gone) return gone;
  state.life = Life::kExited;
  state.borrows = false;
  return {};
}

}  // namespace cowherd::check
