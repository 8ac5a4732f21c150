#include "litmus/resolve.hpp"

#include <fmt/format.h>

#include <array>

#include "litmus/spelling.hpp"

namespace cowherd::litmus {
namespace {

struct Start {
  std::uint8_t block = 0;
  std::size_t operation = 0;
};

/// What another part of the kernel does to a process's memory.
bool is_kernel_work(Arguments arguments) {
  return arguments == Arguments::kOtherPage || arguments == Arguments::kOtherPages ||
         arguments == Arguments::kTwoOtherPages || arguments == Arguments::kFile;
}

/// Whether a kernel block does it.
bool is_kernel_work(const Operation& op) {
  return is_kernel_work(statement_word(op).arguments) || op.code == OpCode::kCompact || op.code == OpCode::kOffline ||
         op.code == OpCode::kDeviceRead || op.code == OpCode::kDeviceWrite || op.code == OpCode::kDeviceAdd;
}

class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  std::vector<Problem> run() {
    if (!check_limits()) return std::move(problems_);
    find_starts();
    if (problems_.empty()) check_cycles();
    // What follows asks which process a block belongs to, which has no answer while starts are in doubt.
    if (!problems_.empty()) return std::move(problems_);
    for (std::size_t b = 0; b < program_.blocks.size(); ++b) check_block(static_cast<std::uint8_t>(b));
    return std::move(problems_);
  }

 private:
  void report(Position position, std::string message) { problems_.push_back({position, std::move(message)}); }

  bool limit(std::size_t count, std::size_t most, const char* what) {
    if (count > most) report({}, fmt::format("{} {}; the most is {}", count, what, most));
    return count <= most;
  }

  bool check_limits() {
    if (program_.blocks.empty()) report({}, "a test needs a block P0");
    limit(program_.blocks.size(), kMaxBlocks, "blocks");
    limit(program_.variables.size(), kMaxVariables, "variables");
    limit(program_.page_count(), kMaxPages, "pages");
    limit(program_.devices.size(), kMaxDevices, "devices");
    limit(program_.files.size(), kMaxFiles, "files");
    limit(program_.operation_count(), kMaxOperations, "statements");
    limit(program_.blocks.size() + program_.snapshot_count(), kMaxBlocks, "blocks and snapshots");
    for (const Block& block : program_.blocks) limit(block.registers.size(), kMaxRegisters, "registers");
    for (const Variable& variable : program_.variables) {
      if (!maps_file(variable.kind)) continue;
      const bool sound = variable.file < program_.files.size() &&
                         variable.file_page + variable.pages <= program_.files[variable.file].pages &&
                         is_hugetlb(variable.kind) == program_.files[variable.file].is_hugetlb();
      if (!sound) report({}, fmt::format("{} maps what is no file", variable.name));
    }
    return problems_.empty();
  }

  [[nodiscard]] const std::string& name(std::uint8_t block) const { return program_.blocks[block].name; }

  void find_starts() {
    for (Block& block : program_.blocks) {
      block.start = BlockStart::kAtTimeZero;
      block.starter = 0;
    }
    for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
      for (std::size_t i = 0; i < program_.blocks[b].operations.size(); ++i) {
        const Operation& op = program_.blocks[b].operations[i];
        if (op.block >= program_.blocks.size()) report(op.position, "no such block");
        if (!starts_block(op.code) || op.block >= program_.blocks.size()) continue;
        const std::string_view word = statement_word(op).name;
        Block& started = program_.blocks[op.block];
        if (op.block == b) {
          report(op.position, fmt::format("{} starts itself", name(op.block)));
        } else if (started.kind != BlockKind::kProcess) {
          report(op.position, fmt::format("{} takes a process block, not {}", word, started.name));
        } else if (started.start != BlockStart::kAtTimeZero) {
          report(op.position, fmt::format("{} is started a second time", started.name));
        } else {
          started.start = op.code == OpCode::kFork    ? BlockStart::kFork
                          : op.code == OpCode::kVfork ? BlockStart::kVfork
                                                      : BlockStart::kThread;
          started.starter = static_cast<std::uint8_t>(b);
          starts_[op.block] = {static_cast<std::uint8_t>(b), i};
        }
      }
    }
  }

  void check_cycles() {
    for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
      std::uint8_t at = static_cast<std::uint8_t>(b);
      std::size_t steps = 0;
      while (program_.blocks[at].start != BlockStart::kAtTimeZero && steps <= program_.blocks.size()) {
        at = program_.blocks[at].starter;
        ++steps;
        if (at == b) break;
      }
      if (program_.blocks[at].start != BlockStart::kAtTimeZero && at == b) {
        const Start& start = starts_[b];
        report(program_.blocks[start.block].operations[start.operation].position,
               fmt::format("{} never runs: it waits to be started by a block that it starts itself",
                           program_.blocks[b].name));
        return;
      }
    }
  }

  void check_block(std::uint8_t b) {
    Block& block = program_.blocks[b];
    std::array<bool, kMaxRegisters> assigned{};
    bool ended = false;
    for (std::size_t i = 0; i < block.operations.size(); ++i) {
      Operation& op = block.operations[i];
      if (ended) {
        report(op.position, "nothing runs after exit()");
        return;
      }
      check_kind(block, op);
      check_ranges(op);
      check_target(b, op);
      check_second_target(b, op);
      if (op.code == OpCode::kWait) check_wait(b, i, op);
      if (op.value.is_register && (op.value.reg >= kMaxRegisters || !assigned[op.value.reg])) {
        report(op.position, "a register is read before it has a value");
      }
      if (op.result.has_value()) {
        if (*op.result >= block.registers.size()) {
          report(op.position, "a result without a register");
        } else {
          assigned[*op.result] = true;
        }
      }
      ended = op.code == OpCode::kExit;
    }
    for (std::size_t r = 0; r < block.registers.size(); ++r) {
      if (!assigned[r]) report({}, fmt::format("{} never assigns {}", block.name, block.registers[r]));
    }
  }

  void check_kind(const Block& block, const Operation& op) {
    const Arguments arguments = statement_word(op).arguments;
    if (block.kind == BlockKind::kDevice && arguments != Arguments::kDeviceWord &&
        arguments != Arguments::kDeviceWordValue) {
      report(op.position, fmt::format("a device only does dma_read and dma_write, not {}", statement_word(op).name));
    }
    if (block.kind == BlockKind::kKernel && !is_kernel_work(op)) {
      report(op.position,
             fmt::format(
                 "a kernel block only does lock_page, unlock_page, clear_refs, numa_hint, ksm_merge, "
                 "ksm_zero, ksm_unmerge, try_share, writeback, drop_cache, swapout, swapin, migrate, collapse, split, "
                 "poison, compact, offline, make_exclusive and device_*, not {}",
                 statement_word(op).name));
    }
    if (block.kind == BlockKind::kProcess && op.code == OpCode::kTryShare) {
      report(op.position, "try_share is for a kernel block");
    }
    if (op.code == OpCode::kExit && op.result.has_value()) report(op.position, "exit() does not return");
  }

  void check_ranges(const Operation& op) {
    const Arguments arguments = statement_word(op).arguments;
    switch (arguments) {
      case Arguments::kNone:
      case Arguments::kBlock:
      case Arguments::kSnapshot:
        return;
      case Arguments::kDevice:
      case Arguments::kDeviceWord:
      case Arguments::kDeviceWordValue:
        if (op.device >= program_.devices.size()) report(op.position, "no such device");
        if (op.place.page >= kMaxPages || op.place.word >= kWordsPerPage) report(op.position, "no such word");
        return;
      case Arguments::kFileWord:
      case Arguments::kFileWordValue:
      case Arguments::kFilePages:
      case Arguments::kFileSize:
      case Arguments::kFile:
        check_file_range(op);
        return;
      case Arguments::kDevicePagesFlags:
        if (op.device >= program_.devices.size()) report(op.position, "no such device");
        if (op.times == 0 || op.times > kMaxTimes) report(op.position, "times out of range");
        break;
      default:
        break;
    }
    const bool sound = check_place(op, op.place);
    if (names_second_place(op) && sound && check_place(op, op.to) && op.code == OpCode::kMremap) check_mremap(op);
  }

  bool check_place(const Operation& op, const Place& place) {
    if (place.variable >= program_.variables.size()) {
      report(op.position, "no such variable");
      return false;
    }
    const Variable& variable = program_.variables[place.variable];
    if (place.pages == 0 || place.page + place.pages > variable.pages || place.word >= kWordsPerPage) {
      report(op.position, fmt::format("outside {}", variable.name));
      return false;
    }
    return true;
  }

  /// A test says where pages are: it leaves the kernel no choice.
  void check_mremap(const Operation& op) {
    if (has(op.remap_flags, RemapFlags::kFixed)) return;
    const bool in_place = op.place.variable == op.to.variable && op.place.page == op.to.page;
    if (!in_place) {
      report(op.position, "mremap to another place needs MREMAP_FIXED");
    } else if (op.remap_flags != RemapFlags::kNone) {
      report(op.position, "mremap in place takes no flags: the kernel would choose another place");
    }
  }

  void check_file_range(const Operation& op) {
    if (op.file >= program_.files.size()) return report(op.position, "no such file");
    const std::uint32_t pages = program_.files[op.file].pages;
    const bool is_size = op.code == OpCode::kTruncate;
    if (is_size ? op.place.page > pages : op.place.page + op.place.pages > pages || op.place.word >= kWordsPerPage) {
      report(op.position, fmt::format("outside {}", program_.files[op.file].name));
    }
  }

  void check_second_target(std::uint8_t b, Operation& op) {
    const bool kernel = program_.blocks[b].kind == BlockKind::kKernel;
    if (op.code != OpCode::kKsmMerge) return;
    if (!op.to_target.has_value()) {
      if (kernel) report(op.position, "ksm_merge must say whose memory: ksm_merge(P0:x, P1:y)");
      return;
    }
    if (*op.to_target >= program_.blocks.size() || program_.blocks[*op.to_target].kind != BlockKind::kProcess) {
      report(op.position, "only a process block has memory");
      return;
    }
    op.to_target = process_of(program_, *op.to_target);
    if (!kernel && *op.to_target == process_of(program_, b)) op.to_target.reset();
  }

  void check_target(std::uint8_t b, Operation& op) {
    const Arguments arguments = statement_word(op).arguments;
    const bool ptrace = arguments == Arguments::kOtherWord || arguments == Arguments::kOtherWordValue;
    const bool reads_events = arguments == Arguments::kHandler;
    if (!op.target.has_value()) {
      if (ptrace || reads_events ||
          (is_kernel_work(op) && names_variable(op) && program_.blocks[b].kind == BlockKind::kKernel)) {
        report(op.position, fmt::format("{} must say whose memory: {}{}", statement_word(op).name,
                                        statement_word(op).name, describe(arguments)));
      }
      return;
    }
    if (*op.target >= program_.blocks.size() || program_.blocks[*op.target].kind != BlockKind::kProcess) {
      report(op.position, "only a process block has memory");
      return;
    }
    op.target = process_of(program_, *op.target);
    const bool own = program_.blocks[b].kind == BlockKind::kProcess && *op.target == process_of(program_, b);
    if (!own && has(op.pin_flags, PinFlags::kFast)) {
      report(op.position, "FOLL_FAST is for the own memory: it looks at the tables that the CPU uses");
    }
    if (!own || reads_events) return;
    if (ptrace) {
      report(op.position, fmt::format("{} is for the memory of another process", statement_word(op).name));
    } else {
      op.target.reset();
    }
  }

  void check_wait(std::uint8_t b, std::size_t i, const Operation& op) {
    const Block& awaited = program_.blocks[op.block];
    if (awaited.start == BlockStart::kAtTimeZero || op.block == b ||
        process_of(program_, awaited.starter) != process_of(program_, b)) {
      report(op.position, fmt::format("{} cannot wait for {}, which its process did not start", program_.blocks[b].name,
                                      awaited.name));
    } else if (awaited.starter == b && starts_[op.block].operation > i) {
      report(op.position, fmt::format("{} is waited for before it is started", awaited.name));
    }
  }

  Program& program_;
  std::array<Start, kMaxBlocks> starts_{};
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> resolve(Program& program) { return Resolver(program).run(); }

std::uint8_t process_of(const Program& program, std::uint8_t block) {
  while (program.blocks[block].start == BlockStart::kThread) block = program.blocks[block].starter;
  return block;
}

}  // namespace cowherd::litmus
