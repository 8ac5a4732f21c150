#include "litmus/generator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "litmus/random.hpp"
#include "litmus/shrink.hpp"

namespace cowherd::litmus {
namespace {

/// Two overflow points of counters that kernels use: one page's biased pin count, and 32 bits of them.
constexpr std::array<std::uint32_t, 2> kManyTimes{1024, 1u << 21};

class Generator {
 public:
  Generator(std::uint64_t seed, const GeneratorOptions& options) : random_(seed), options_(options) {
    options_.max_operations = std::clamp(options_.max_operations, 1u, static_cast<std::uint32_t>(kMaxOperations));
    options_.min_operations = std::clamp(options_.min_operations, 1u, options_.max_operations);
    options_.max_pages = std::clamp(options_.max_pages, 1u, static_cast<std::uint32_t>(kMaxPages));
    options_.max_devices = std::min(options_.max_devices, static_cast<std::uint32_t>(kMaxDevices));
    options_.max_blocks = std::clamp(options_.max_blocks, 1u, static_cast<std::uint32_t>(kMaxBlocks) - 2);
  }

  Program run() {
    declare();
    add_block();
    const std::uint32_t total =
        options_.min_operations + random_.below(options_.max_operations - options_.min_operations + 1);
    const std::uint32_t reads = total < 3 ? total - total / 2 : 1 + random_.below(std::min(3u, total / 3));
    // Draws that make no sense where they fall are drawn anew; the bound only guards against weights of zero.
    for (std::uint32_t draws = 0; count_ + reads < total && draws < 400; ++draws) draw();
    for (std::uint32_t i = 0; i < reads; ++i) observe();
    for (Block* block : {&device_block_, &kernel_block_}) {
      if (!block->operations.empty()) program_.blocks.push_back(std::move(*block));
    }
    program_ = remove_unused(program_);
    number_values();
    program_.name = generated_name(program_);
    return std::move(program_);
  }

 private:
  struct BlockState {
    bool ended = false;
    /// After exec: an access would only fault.
    bool no_memory = false;
    std::uint8_t process = 0;
    /// Started in this block and not waited for.
    std::vector<std::uint8_t> children;
  };
  struct DeviceState {
    /// The block that pins to it and lets go again: nobody else, so that every unpin has its pin in any schedule.
    std::optional<std::uint8_t> owner;
    bool held = false;
    bool get = false;
    bool write = false;
    std::uint8_t pages = 1;
  };

  void declare() {
    // Mostly one page: what happens between two of them is seldom worth the states.
    std::uint32_t pages = random_.percent(55) ? 1 : 1 + random_.below(options_.max_pages);
    while (pages > 0 && program_.variables.size() < kMaxVariables) {
      Variable variable;
      variable.name = std::string(1, "xyzuvwst"[program_.variables.size()]);
      variable.first_page = program_.page_count();
      variable.pages = program_.variables.size() + 1 == kMaxVariables || random_.percent(40) ? pages : 1;
      const std::uint32_t kind = random_.below(10);
      variable.kind = kind < 7    ? VariableKind::kAnonValue
                      : kind == 7 ? VariableKind::kAnon
                      : kind == 8 ? VariableKind::kZeroPage
                                  : VariableKind::kUnmapped;
      // The first page is one that there is something to share of.
      if (program_.variables.empty()) variable.kind = VariableKind::kAnonValue;
      if (program_.variables.empty() && options_.max_pages > 1 && weight(OpCode::kSplit) && random_.percent(12)) {
        variable.kind = VariableKind::kThpValue;
        variable.pages = kHugePages;
        pages = std::max(pages, kHugePages);
      }
      if (variable.kind == VariableKind::kUnmapped && !weight(OpCode::kMmap)) variable.kind = VariableKind::kAnon;
      if (variable.kind == VariableKind::kAnonValue || variable.kind == VariableKind::kThpValue) variable.value = -1;
      pages -= variable.pages;
      program_.variables.push_back(std::move(variable));
    }
    const std::uint32_t devices = options_.max_devices == 0 ? 0 : 1 + random_.below(options_.max_devices);
    for (std::uint32_t d = 0; d < devices; ++d) program_.devices.emplace_back(1, "defghijk"[d]);
    devices_.resize(devices);
    device_block_.name = "D0";
    device_block_.kind = BlockKind::kDevice;
    kernel_block_.name = "K0";
    kernel_block_.kind = BlockKind::kKernel;
  }

  [[nodiscard]] std::uint32_t weight(OpCode code) const { return options_.weights[static_cast<std::size_t>(code)]; }

  /// For a process block or a snapshot, beside a device block and a kernel block.
  [[nodiscard]] bool room_for_one() const { return program_.blocks.size() + (has_snapshot_ ? 1 : 0) < kMaxBlocks - 2; }

  std::uint8_t add_block() {
    const auto number = static_cast<std::uint8_t>(program_.blocks.size());
    Block block;
    block.name = fmt::format("P{}", number);
    program_.blocks.push_back(std::move(block));
    states_.emplace_back();
    states_.back().process = number;
    return number;
  }

  /// Appends to a block, if the operation leaves room for the reads.
  void emit(Block& block, Operation op, bool has_result) {
    if (has_result && block.registers.size() < kMaxRegisters) {
      op.result = static_cast<std::uint8_t>(block.registers.size());
      block.registers.push_back(fmt::format("r{}", block.registers.size()));
    }
    if (options_.fail_percent > 0 && random_.percent(options_.fail_percent)) {
      op.fail_any = random_.percent(25);
      if (!op.fail_any) op.fail_nth = 1 + random_.below(3);
    }
    block.operations.push_back(op);
    ++count_;
  }

  /// A block that still runs; P0 as often as all others together.
  std::uint8_t pick_block() {
    std::uint8_t block = 0;
    if (random_.percent(50))
      block = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
    for (std::size_t tries = 0; states_[block].ended && tries < states_.size(); ++tries) {
      block = static_cast<std::uint8_t>((block + 1u) % states_.size());
    }
    return block;
  }

  OpCode pick_code() {
    std::uint32_t sum = 0;
    for (const std::uint16_t w : options_.weights) sum += w;
    if (sum == 0) return OpCode::kRead;
    std::uint32_t at = random_.below(sum);
    for (std::size_t code = 0; code < kOpCodes; ++code) {
      if (at < options_.weights[code]) return static_cast<OpCode>(code);
      at -= options_.weights[code];
    }
    return OpCode::kRead;
  }

  /// 1, 2, 3, ... in the order of the text.
  void number_values() {
    std::int64_t next = 1;
    for (Variable& variable : program_.variables) {
      if (variable.kind == VariableKind::kAnonValue || variable.kind == VariableKind::kThpValue)
        variable.value = next++;
    }
    for (Block& block : program_.blocks) {
      for (Operation& op : block.operations) {
        if (op.value.literal != 0) op.value.literal = next++;
      }
    }
  }

  static bool needs_memory(OpCode code) {
    return code == OpCode::kRead || code == OpCode::kWrite || code == OpCode::kMunmap || code == OpCode::kMprotect ||
           code == OpCode::kMadvise || code == OpCode::kPin || code == OpCode::kExec || code == OpCode::kClearRefs ||
           code == OpCode::kMremap || code == OpCode::kNumaHint || code == OpCode::kMlock || code == OpCode::kMunlock ||
           code == OpCode::kSwapOut || code == OpCode::kSwapIn || code == OpCode::kCollapse || code == OpCode::kSplit;
  }

  Place pick_word() {
    Place place;
    if (random_.percent(60)) return place;
    place.variable = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(program_.variables.size())));
    place.page = static_cast<std::uint8_t>(random_.below(program_.variables[place.variable].pages));
    return place;
  }

  Place pick_pages() {
    Place place = pick_word();
    if (random_.percent(60)) {
      place.page = 0;
      place.pages = static_cast<std::uint8_t>(program_.variables[place.variable].pages);
    }
    return place;
  }

  /// Numbered when all are known.
  static Operand pick_value() {
    Operand value;
    value.literal = -1;
    return value;
  }

  std::optional<std::uint8_t> pick_device(bool held) {
    std::vector<std::uint8_t> fitting;
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      if (devices_[d].held == held) fitting.push_back(static_cast<std::uint8_t>(d));
    }
    if (fitting.empty()) return std::nullopt;
    return fitting[random_.below(static_cast<std::uint32_t>(fitting.size()))];
  }

  void draw() {
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
        return draw_ksm_merge();
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
      case OpCode::kSwapOut:
      case OpCode::kSwapIn:
      case OpCode::kCollapse:
      case OpCode::kSplit:
        return draw_swap(b, op);
    }
  }

  /// Mostly to another variable, as many pages as go; else some pages of one variable grow, shrink or move within it.
  void draw_mremap(std::uint8_t b, Operation op) {
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

  void draw_mapping(std::uint8_t b, Operation op) {
    op.place = pick_pages();
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
    }
    emit(program_.blocks[b], op, false);
  }

  void draw_start(std::uint8_t b, Operation op) {
    if (program_.blocks.size() >= options_.max_blocks || !room_for_one()) return;
    const bool fails_observably = options_.fail_percent > 0;
    const std::uint8_t child = add_block();
    op.block = child;
    if (op.code == OpCode::kThread) states_[child].process = states_[b].process;
    states_[b].children.push_back(child);
    emit(program_.blocks[b], op, fails_observably);
  }

  void draw_end(std::uint8_t b, Operation op) {
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

  void draw_pin(std::uint8_t b, Operation op) {
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

  void draw_unpin(std::uint8_t b, Operation op) {
    const std::optional<std::uint8_t> device = pick_device(true);
    if (!device.has_value() || devices_[*device].owner != b) return;
    op.device = *device;
    if (op.code == OpCode::kUnpin && devices_[*device].get) op.pin_flags = PinFlags::kGet;
    devices_[*device].held = false;
    emit(program_.blocks[b], op, false);
  }

  void draw_dma(std::uint8_t b, Operation op) {
    const std::optional<std::uint8_t> device = pick_device(true);
    if (!device.has_value()) return;
    if (op.code == OpCode::kDmaWrite && !devices_[*device].write) return;
    op.device = *device;
    op.place.page = static_cast<std::uint8_t>(random_.below(devices_[*device].pages));
    if (op.code == OpCode::kDmaWrite) op.value = pick_value();
    Block& block = random_.percent(options_.device_block_percent) ? device_block_ : program_.blocks[b];
    emit(block, op, op.code == OpCode::kDmaRead);
  }

  void draw_ptrace(std::uint8_t b, Operation op) {
    const auto target = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
    if (states_[target].process == states_[b].process) return;
    op.target = states_[target].process;
    op.place = pick_word();
    if (op.code == OpCode::kPtraceWrite) op.value = pick_value();
    emit(program_.blocks[b], op, op.code == OpCode::kPtraceRead);
  }

  /// Both at once and in a block of their own: a lock that nobody gives back would only hang the program.
  void draw_lock() {
    if (kernel_block_.operations.size() >= 2) return;
    Operation op;
    op.code = OpCode::kLockPage;
    op.target = 0;
    op.place = pick_word();
    emit(kernel_block_, op, false);
    op.code = OpCode::kUnlockPage;
    emit(kernel_block_, op, false);
  }

  /// Of the own memory, or by the kernel, at any time.
  void draw_swap(std::uint8_t b, Operation op) {
    op.place = pick_word();
    if (random_.percent(50)) return emit(program_.blocks[b], op, random_.percent(30));
    op.target = states_[b].process;
    emit(kernel_block_, op, random_.percent(30));
  }

  void draw_clear_refs(std::uint8_t b, Operation op) {
    op.place = pick_pages();
    if (random_.percent(50)) return emit(program_.blocks[b], op, false);
    op.target = 0;
    emit(kernel_block_, op, false);
  }

  /// KSM scans by itself: in a block of its own. The mapping has to allow it.
  void draw_ksm_merge() {
    Operation op;
    op.code = OpCode::kMadvise;
    op.advice = Advice::kMergeable;
    op.place = pick_pages();
    const auto block = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
    if (states_[block].ended || states_[block].no_memory) return;
    emit(program_.blocks[block], op, false);
    op.code = OpCode::kKsmMerge;
    op.advice = Advice::kDontNeed;
    op.place = pick_word();
    op.to = pick_word();
    op.target = 0;
    op.to_target = states_[block].process;
    emit(kernel_block_, op, random_.percent(30));
  }

  /// One snapshot at most; any process may go back to it, once it is taken in some schedule.
  void draw_snapshot(std::uint8_t b, Operation op) {
    if (has_snapshot_ != (op.code == OpCode::kRestore)) return;
    if (op.code == OpCode::kSnapshot && !room_for_one()) return;
    has_snapshot_ = true;
    if (op.code == OpCode::kRestore) states_[b].no_memory = false;
    emit(program_.blocks[b], op, op.code == OpCode::kRestore && random_.percent(30));
  }

  /// A read at the end: of what a device holds, or of memory by a process that has not ended.
  void observe() {
    if (count_ >= options_.max_operations) return;
    const std::optional<std::uint8_t> device = pick_device(true);
    const std::uint8_t b = pick_block();
    const bool blind = states_[b].ended || states_[b].no_memory;
    Operation op;
    if (device.has_value() && weight(OpCode::kDmaRead) > 0 && (blind || random_.percent(40))) {
      op.code = OpCode::kDmaRead;
      op.device = *device;
      op.place.page = static_cast<std::uint8_t>(random_.below(devices_[*device].pages));
      Block& block = states_[b].ended ? device_block_ : program_.blocks[b];
      return emit(block, op, true);
    }
    if (blind) return;
    op.code = OpCode::kRead;
    op.place = pick_word();
    emit(program_.blocks[b], op, true);
  }

  Random random_;
  GeneratorOptions options_;
  Program program_;
  Block device_block_;
  Block kernel_block_;
  std::vector<BlockState> states_;
  std::vector<DeviceState> devices_;
  bool has_snapshot_ = false;
  std::uint32_t count_ = 0;
};

}  // namespace

Program random_program(std::uint64_t seed, const GeneratorOptions& options) { return Generator(seed, options).run(); }

}  // namespace cowherd::litmus
