#include <algorithm>
#include <array>

#include "litmus/generator_impl.hpp"

namespace cowherd::litmus {
namespace {

/// Two overflow points of counters that kernels use: one page's biased pin count, and 32 bits of them.
constexpr std::array<std::uint32_t, 2> kManyTimes{1024, 1u << 21};

}  // namespace

void Generator::draw() {
  const std::uint8_t b = pick_block();
  if (states_[b].ended) return;
  Operation op;
  op.code = pick_code();
  if (states_[b].no_memory && needs_memory(op.code)) return;
  switch (op.code) {
    case OpCode::kRead:
      op.place = pick_word();
      return emit(program_.blocks[b], op, true);
    case OpCode::kWrite:
      op.place = pick_word();
      op.value = pick_value();
      return emit(program_.blocks[b], op, false);
    case OpCode::kMmap:
    case OpCode::kMunmap:
    case OpCode::kMprotect:
    case OpCode::kMadvise:
    case OpCode::kMsync:
    case OpCode::kMlock:
    case OpCode::kMunlock:
      return draw_mapping(b, op);
    case OpCode::kFork:
    case OpCode::kVfork:
    case OpCode::kThread:
      return draw_start(b, op);
    case OpCode::kExec:
    case OpCode::kExit:
    case OpCode::kWait:
      return draw_end(b, op);
    case OpCode::kPin:
      return draw_pin(b, op);
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
      return draw_unpin(b, op);
    case OpCode::kDmaRead:
    case OpCode::kDmaWrite:
      return draw_dma(b, op);
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
      return draw_ptrace(b, op);
    case OpCode::kLockPage:
    case OpCode::kUnlockPage:
      return draw_lock();
    case OpCode::kKsmMerge:
    case OpCode::kKsmZero:
      return draw_ksm_merge(op.code);
    case OpCode::kClearRefs:
    case OpCode::kNumaHint:
    case OpCode::kKsmUnmerge:
      return draw_clear_refs(b, op);
    case OpCode::kTryShare:
      op.target = 0;
      op.place = pick_word();
      return emit(kernel_block_, op, random_.percent(50));
    case OpCode::kSnapshot:
    case OpCode::kRestore:
      return draw_snapshot(b, op);
    case OpCode::kMremap:
      return draw_mremap(b, op);
    case OpCode::kFileRead:
    case OpCode::kFileWrite:
    case OpCode::kTruncate:
    case OpCode::kPunch:
    case OpCode::kWriteback:
    case OpCode::kDropCache:
      return draw_file(b, op);
    case OpCode::kSwapOut:
    case OpCode::kSwapIn:
    case OpCode::kMigrate:
    case OpCode::kCollapse:
    case OpCode::kSplit:
    case OpCode::kPoison:
      return draw_swap(b, op);
    case OpCode::kMakeExclusive:
    case OpCode::kDeviceRead:
    case OpCode::kDeviceWrite:
    case OpCode::kDeviceAdd:
      if (op.code == OpCode::kDeviceWrite || op.code == OpCode::kDeviceAdd) op.value = pick_value();
      has_exclusive_ = has_exclusive_ || op.code == OpCode::kMakeExclusive;
      // Without such a page there is nothing to access.
      if (!has_exclusive_) return;
      return draw_swap(b, op);
    case OpCode::kCompact:
    case OpCode::kOffline:
      // Without such memory there is nothing to take out.
      if (op.code == OpCode::kOffline && !program_.movable) return;
      return emit(random_.percent(50) ? kernel_block_ : program_.blocks[b], op, random_.percent(50));
    case OpCode::kUffdRegister:
    case OpCode::kUffdUnregister:
    case OpCode::kUffdCopy:
    case OpCode::kUffdZeropage:
    case OpCode::kUffdContinue:
    case OpCode::kUffdWp:
    case OpCode::kUffdUnwp:
    case OpCode::kUffdMove:
    case OpCode::kUffdPoison:
    case OpCode::kUffdRead:
      return draw_uffd(b, op);
  }
}

void Generator::draw_mremap(std::uint8_t b, Operation op) {
  op.place = pick_pages();
  op.to = pick_pages();
  if (op.to.variable == op.place.variable && random_.percent(50)) {
    op.to.page = op.place.page;
  } else {
    op.remap_flags = RemapFlags::kMayMove | RemapFlags::kFixed;
    if (random_.percent(20)) op.remap_flags = op.remap_flags | RemapFlags::kDontUnmap;
    const std::uint32_t room = program_.variables[op.to.variable].pages - op.to.page;
    if (random_.percent(80)) op.to.pages = static_cast<std::uint8_t>(std::min<std::uint32_t>(op.place.pages, room));
  }
  const std::uint32_t most = program_.variables[op.to.variable].pages - op.to.page;
  op.to.pages = static_cast<std::uint8_t>(std::min<std::uint32_t>(op.to.pages, most));
  emit(program_.blocks[b], op, random_.percent(20));
}

void Generator::draw_mapping(std::uint8_t b, Operation op) {
  op.place = pick_pages();
  if (is_hugetlb(program_.variables[op.place.variable].kind) && random_.percent(80)) {
    // Of a part of one nothing is unmapped, protected or advised.
    op.place.page = 0;
    op.place.pages = static_cast<std::uint8_t>(program_.variables[op.place.variable].pages);
  }
  if (op.code == OpCode::kMmap) {
    op.map_flags = random_.percent(20) ? MapFlags::kFixedNoReplace : MapFlags::kFixed;
    if (random_.percent(30)) op.map_flags = op.map_flags | MapFlags::kPopulate;
    states_[b].no_memory = false;
  }
  if (op.code == OpCode::kMprotect) {
    static constexpr std::array kChoices{Protection::kRead, Protection::kRead, Protection::kReadWrite,
                                         Protection::kNone};
    op.protection = kChoices[random_.below(kChoices.size())];
  }
  if (op.code == OpCode::kMadvise) {
    static constexpr std::array kChoices{
        Advice::kDontNeed,   Advice::kDontNeed,   Advice::kDontNeed,     Advice::kDontFork,      Advice::kDoFork,
        Advice::kWipeOnFork, Advice::kKeepOnFork, Advice::kPopulateRead, Advice::kPopulateWrite, Advice::kPageOut,
        Advice::kFree,       Advice::kFree,       Advice::kCold,         Advice::kMergeable,     Advice::kUnmergeable,
        Advice::kHugePage,   Advice::kCollapse};
    op.advice = kChoices[random_.below(kChoices.size())];
    const bool shows_file = program_.variables[op.place.variable].shared;
    if (op.advice == Advice::kDontNeed && shows_file && random_.percent(50)) op.advice = Advice::kRemove;
  }
  emit(program_.blocks[b], op, false);
}

void Generator::draw_start(std::uint8_t b, Operation op) {
  if (program_.blocks.size() >= options_.max_blocks || !room_for_one()) return;
  const bool fails_observably = options_.fail_percent > 0;
  const std::uint8_t child = add_block();
  op.block = child;
  if (op.code == OpCode::kThread) states_[child].process = states_[b].process;
  states_[b].children.push_back(child);
  emit(program_.blocks[b], op, fails_observably);
}

void Generator::draw_end(std::uint8_t b, Operation op) {
  if (op.code == OpCode::kWait) {
    std::vector<std::uint8_t>& children = states_[b].children;
    if (children.empty()) return;
    op.block = children.back();
    children.pop_back();
  } else if (states_.size() == 1) {
    // Alone, there is nobody who could notice.
    return;
  }
  if (op.code == OpCode::kExit) states_[b].ended = true;
  if (op.code == OpCode::kExec) states_[b].no_memory = true;
  emit(program_.blocks[b], op, false);
}

void Generator::draw_pin(std::uint8_t b, Operation op) {
  const std::optional<std::uint8_t> device = pick_device(false);
  if (!device.has_value()) return;
  DeviceState& state = devices_[*device];
  if (state.owner.has_value() && *state.owner != b) return;
  op.device = *device;
  op.place = pick_pages();
  state = {b, true, random_.percent(options_.get_percent), random_.percent(75), op.place.pages};
  if (state.write) op.pin_flags = op.pin_flags | PinFlags::kWrite;
  if (state.get) {
    op.pin_flags = op.pin_flags | PinFlags::kGet;
  } else if (random_.percent(60)) {
    op.pin_flags = op.pin_flags | PinFlags::kLongTerm;
  }
  if (random_.percent(options_.rare_flags_percent)) {
    op.pin_flags = op.pin_flags | (random_.percent(50) ? PinFlags::kForce : PinFlags::kNoFault);
  }
  if (random_.percent(options_.fast_percent)) op.pin_flags = op.pin_flags | PinFlags::kFast;
  if (random_.percent(options_.times_percent)) op.times = kManyTimes[random_.below(kManyTimes.size())];
  emit(program_.blocks[b], op, random_.percent(30));
}

void Generator::draw_unpin(std::uint8_t b, Operation op) {
  const std::optional<std::uint8_t> device = pick_device(true);
  if (!device.has_value() || devices_[*device].owner != b) return;
  op.device = *device;
  if (op.code == OpCode::kUnpin && devices_[*device].get) op.pin_flags = PinFlags::kGet;
  devices_[*device].held = false;
  emit(program_.blocks[b], op, false);
}

void Generator::draw_dma(std::uint8_t b, Operation op) {
  const std::optional<std::uint8_t> device = pick_device(true);
  if (!device.has_value()) return;
  if (op.code == OpCode::kDmaWrite && !devices_[*device].write) return;
  op.device = *device;
  op.place.page = static_cast<std::uint8_t>(random_.below(devices_[*device].pages));
  if (op.code == OpCode::kDmaWrite) op.value = pick_value();
  Block& block = random_.percent(options_.device_block_percent) ? device_block_ : program_.blocks[b];
  emit(block, op, op.code == OpCode::kDmaRead);
}

void Generator::draw_ptrace(std::uint8_t b, Operation op) {
  const auto target = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
  if (states_[target].process == states_[b].process) return;
  op.target = states_[target].process;
  op.place = pick_word();
  if (op.code == OpCode::kPtraceWrite) op.value = pick_value();
  emit(program_.blocks[b], op, op.code == OpCode::kPtraceRead);
}

void Generator::draw_lock() {
  if (kernel_block_.operations.size() >= 2) return;
  Operation op;
  op.code = OpCode::kLockPage;
  op.target = 0;
  op.place = pick_word();
  emit(kernel_block_, op, false);
  op.code = OpCode::kUnlockPage;
  emit(kernel_block_, op, false);
}

void Generator::draw_swap(std::uint8_t b, Operation op) {
  op.place = pick_word();
  if (random_.percent(50)) return emit(program_.blocks[b], op, random_.percent(30));
  op.target = states_[b].process;
  emit(kernel_block_, op, random_.percent(30));
}

void Generator::draw_uffd(std::uint8_t b, Operation op) {
  if (op.code == OpCode::kUffdRegister || op.code == OpCode::kUffdUnregister) {
    op.place = pick_pages();
    if (op.code == OpCode::kUffdRegister) {
      static constexpr std::array kModes{UffdFlags::kMissing, UffdFlags::kWriteProtect, UffdFlags::kMinor,
                                         UffdFlags::kMissing | UffdFlags::kWriteProtect};
      op.uffd = kModes[random_.below(kModes.size())];
      if (random_.percent(40)) op.uffd = op.uffd | UffdFlags::kEventFork;
      if (random_.percent(40)) op.uffd = op.uffd | UffdFlags::kEventRemap;
      if (random_.percent(20)) op.uffd = op.uffd | UffdFlags::kEventUnmap;
      if (random_.percent(15)) op.uffd = op.uffd | UffdFlags::kWpAsync;
      if (random_.percent(15)) op.uffd = op.uffd | UffdFlags::kEventRemove;
      if (random_.percent(15)) op.uffd = op.uffd | UffdFlags::kWpUnpopulated;
    }
    has_handler_ = true;
    return emit(program_.blocks[b], op, random_.percent(20));
  }
  // Without one there is nothing to decide.
  if (!has_handler_) return;
  if (op.code == OpCode::kUffdRead) {
    op.target = states_[random_.below(static_cast<std::uint32_t>(states_.size()))].process;
    return emit(program_.blocks[b], op, random_.percent(50));
  }
  if (op.code == OpCode::kUffdMove) {
    op.place = pick_word();
    op.to = pick_word();
    return emit(program_.blocks[b], op, random_.percent(50));
  }
  const bool marks = op.code == OpCode::kUffdWp || op.code == OpCode::kUffdUnwp;
  op.place = marks ? pick_pages() : pick_word();
  if (op.code == OpCode::kUffdCopy) op.value = pick_value();
  const auto target = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
  if (states_[target].process != states_[b].process) op.target = states_[target].process;
  emit(program_.blocks[b], op, random_.percent(30));
}

void Generator::draw_clear_refs(std::uint8_t b, Operation op) {
  op.place = pick_pages();
  if (random_.percent(50)) return emit(program_.blocks[b], op, false);
  op.target = 0;
  emit(kernel_block_, op, false);
}

void Generator::draw_file(std::uint8_t b, Operation op) {
  if (program_.files.empty()) return;
  op.file = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(program_.files.size())));
  const bool whole = op.code == OpCode::kWriteback || op.code == OpCode::kDropCache;
  if (whole) return emit(random_.percent(60) ? kernel_block_ : program_.blocks[b], op, false);
  const std::uint32_t pages = program_.files[op.file].pages;
  op.place.page = static_cast<std::uint8_t>(random_.below(pages + (op.code == OpCode::kTruncate ? 1 : 0)));
  if (program_.files[op.file].is_hugetlb() && random_.percent(80)) {
    op.place.page = op.code == OpCode::kTruncate && random_.percent(40) ? static_cast<std::uint8_t>(kHugePages) : 0;
    if (op.code == OpCode::kPunch) op.place.pages = static_cast<std::uint8_t>(kHugePages);
  }
  if (op.code == OpCode::kFileWrite) op.value = pick_value();
  emit(program_.blocks[b], op, op.code == OpCode::kFileRead);
}

void Generator::draw_ksm_merge(OpCode code) {
  Operation op;
  op.code = OpCode::kMadvise;
  op.advice = Advice::kMergeable;
  op.place = pick_pages();
  const auto block = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
  if (states_[block].ended || states_[block].no_memory) return;
  emit(program_.blocks[block], op, false);
  op.code = code;
  op.advice = Advice::kDontNeed;
  op.place = pick_word();
  op.target = 0;
  if (code == OpCode::kKsmMerge) {
    op.to = pick_word();
    op.to_target = states_[block].process;
  }
  emit(kernel_block_, op, random_.percent(30));
}

void Generator::draw_snapshot(std::uint8_t b, Operation op) {
  if (has_snapshot_ != (op.code == OpCode::kRestore)) return;
  if (op.code == OpCode::kSnapshot && !room_for_one()) return;
  has_snapshot_ = true;
  if (op.code == OpCode::kRestore) states_[b].no_memory = false;
  emit(program_.blocks[b], op, op.code == OpCode::kRestore && random_.percent(30));
}

}  // namespace cowherd::litmus
