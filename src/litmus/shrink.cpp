#include "litmus/shrink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>

#include "litmus/resolve.hpp"
#include "litmus/spelling.hpp"

namespace cowherd::litmus {
namespace {

/// New numbers of things that had old ones; nothing for what went.
using Renumbering = std::vector<std::optional<std::uint8_t>>;

bool uses_device(Arguments arguments) {
  return arguments == Arguments::kDevicePagesFlags || arguments == Arguments::kDevice ||
         arguments == Arguments::kDeviceWord || arguments == Arguments::kDeviceWordValue;
}

bool is_of_file(Term::Kind kind) { return kind == Term::Kind::kFileWord || kind == Term::Kind::kDiskWord; }

bool has_place(Term::Kind kind) {
  return kind != Term::Kind::kLiteral && kind != Term::Kind::kRegister && kind != Term::Kind::kFaults &&
         kind != Term::Kind::kFinding && kind != Term::Kind::kRss && kind != Term::Kind::kWaiting &&
         kind != Term::Kind::kPool && !is_of_file(kind);
}

bool has_block(Term::Kind kind) {
  return kind != Term::Kind::kLiteral && kind != Term::Kind::kFinding && kind != Term::Kind::kPool && !is_of_file(kind);
}

template <class Visit>
void for_each_term(Condition& condition, const Visit& visit) {
  if (condition.kind == Condition::Kind::kCompare) {
    visit(condition.left);
    visit(condition.right);
  }
  for (Condition& child : condition.children) for_each_term(child, visit);
}

Renumbering number_anew(const std::vector<bool>& kept) {
  Renumbering numbers(kept.size());
  std::uint8_t next = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) numbers[i] = next++;
  }
  return numbers;
}

template <class T>
void keep_only(std::vector<T>& things, const std::vector<bool>& kept) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < things.size(); ++i) {
    if (!kept[i]) continue;
    if (next != i) things[next] = std::move(things[i]);
    ++next;
  }
  things.resize(next);
}

class Shrinker {
 public:
  Shrinker(const Program& program, const std::vector<bool>& keep) : out_(program) {
    std::size_t next = 0;
    for (Block& block : out_.blocks) {
      std::vector<bool> kept(block.operations.size());
      for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = keep[next++];
      original_sizes_.push_back(kept.size());
      keep_only(block.operations, kept);
    }
    block_kept_.assign(out_.blocks.size(), true);
    pinned_before_ = pinned_devices(program);
    variables_before_ = used_variables(program);
    devices_before_ = used_devices(program);
    files_before_ = used_files(program);
  }

  std::optional<Program> run() {
    while (drop_blocks() || drop_operations()) {
    }
    if (out_.operation_count() == 0) return std::nullopt;
    if (!renumber_registers()) return std::nullopt;
    const Renumbering blocks = number_anew(block_kept_);
    renumber_blocks(blocks);
    renumber_memory();
    if (!resolve(out_).empty()) return std::nullopt;
    return std::move(out_);
  }

  Program run_unused() {
    variables_before_.assign(out_.variables.size(), true);
    devices_before_.assign(out_.devices.size(), true);
    files_before_.assign(out_.files.size(), true);
    keep_first_ = true;
    renumber_memory();
    static_cast<void>(resolve(out_));
    return std::move(out_);
  }

 private:
  static std::vector<bool> pinned_devices(const Program& program) {
    std::vector<bool> pinned(program.devices.size());
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        if (op.code == OpCode::kPin) pinned[op.device] = true;
      }
    }
    return pinned;
  }

  static std::vector<bool> used_variables(const Program& program) {
    std::vector<bool> used(program.variables.size());
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        if (names_variable(op)) used[op.place.variable] = true;
        if (names_second_place(op)) used[op.to.variable] = true;
      }
    }
    return used;
  }

  /// By operations alone.
  static std::vector<bool> used_files(const Program& program) {
    std::vector<bool> used(program.files.size());
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        if (names_file(op)) used[op.file] = true;
      }
    }
    return used;
  }

  static std::vector<bool> used_devices(const Program& program) {
    std::vector<bool> used(program.devices.size());
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        if (uses_device(statement_word(op).arguments)) used[op.device] = true;
      }
    }
    return used;
  }

  bool drop_blocks() {
    std::vector<bool> started(out_.blocks.size());
    for (const Block& block : out_.blocks) {
      for (const Operation& op : block.operations) {
        if (starts_block(op.code)) started[op.block] = true;
      }
    }
    bool changed = false;
    for (std::size_t b = 0; b < out_.blocks.size(); ++b) {
      Block& block = out_.blocks[b];
      if (!block_kept_[b]) continue;
      const bool at_time_zero = block.start == BlockStart::kAtTimeZero;
      const bool emptied = block.operations.empty() && original_sizes_[b] > 0;
      if (at_time_zero ? !emptied : started[b]) continue;
      block_kept_[b] = false;
      block.operations.clear();
      changed = true;
    }
    return changed;
  }

  static std::bitset<kMaxBlocks> taken_snapshots(const Program& program) {
    std::bitset<kMaxBlocks> taken;
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        if (op.code == OpCode::kSnapshot) taken.set(op.snapshot);
      }
    }
    return taken;
  }

  /// Operations that name a block, a device or a snapshot that has gone.
  bool drop_operations() {
    const std::vector<bool> pinned = pinned_devices(out_);
    const std::bitset<kMaxBlocks> taken = taken_snapshots(out_);
    bool changed = false;
    for (Block& block : out_.blocks) {
      const auto lost = [&](const Operation& op) {
        const Arguments arguments = statement_word(op).arguments;
        if (arguments == Arguments::kBlock && !block_kept_[op.block]) return true;
        if (op.target.has_value() && !block_kept_[*op.target]) return true;
        if (op.to_target.has_value() && !block_kept_[*op.to_target]) return true;
        if (op.code == OpCode::kRestore && !taken[op.snapshot]) return true;
        return uses_device(arguments) && pinned_before_[op.device] && !pinned[op.device];
      };
      changed = std::erase_if(block.operations, lost) > 0 || changed;
    }
    return changed;
  }

  /// False where a register is read that nothing assigns before.
  bool renumber_registers() {
    registers_.resize(out_.blocks.size());
    for (std::size_t b = 0; b < out_.blocks.size(); ++b) {
      Block& block = out_.blocks[b];
      std::vector<std::string> names;
      registers_[b].assign(block.registers.size(), std::nullopt);
      for (Operation& op : block.operations) {
        if (op.value.is_register) {
          if (!registers_[b][op.value.reg].has_value()) return false;
          op.value.reg = *registers_[b][op.value.reg];
        }
        if (!op.result.has_value()) continue;
        std::optional<std::uint8_t>& number = registers_[b][*op.result];
        if (!number.has_value()) {
          number = static_cast<std::uint8_t>(names.size());
          names.push_back(block.registers[*op.result]);
        }
        op.result = *number;
      }
      block.registers = std::move(names);
    }
    return true;
  }

  void renumber_blocks(const Renumbering& blocks) {
    visit_terms([&](Term& term) {
      if (!has_block(term.kind)) return true;
      if (!blocks[term.block].has_value()) return false;
      if (term.kind == Term::Kind::kRegister) {
        const std::optional<std::uint8_t> reg = registers_[term.block][term.reg];
        if (!reg.has_value()) return false;
        term.reg = *reg;
      }
      term.block = *blocks[term.block];
      return true;
    });
    keep_only(out_.blocks, block_kept_);
    std::array<std::size_t, 3> next{};
    for (Block& block : out_.blocks) {
      const auto kind = static_cast<std::size_t>(block.kind);
      block.name = fmt::format("{}{}", "PDK"[kind], next[kind]++);
      for (Operation& op : block.operations) {
        if (statement_word(op).arguments == Arguments::kBlock) op.block = *blocks[op.block];
        if (op.target.has_value()) op.target = blocks[*op.target];
        if (op.to_target.has_value()) op.to_target = blocks[*op.to_target];
      }
    }
  }

  /// Drops the variables and devices that only removed operations used.
  void renumber_memory() {
    std::vector<bool> variables = used_variables(out_);
    std::vector<bool> devices = used_devices(out_);
    for (std::size_t v = 0; v < variables.size(); ++v) variables[v] = variables[v] || !variables_before_[v];
    for (std::size_t d = 0; d < devices.size(); ++d) devices[d] = devices[d] || !devices_before_[d];
    visit_terms([&](Term& term) {
      if (has_place(term.kind)) variables[term.place.variable] = true;
      return true;
    });
    if (keep_first_ && !variables.empty() && std::find(variables.begin(), variables.end(), true) == variables.end()) {
      variables[0] = true;
    }
    const Renumbering new_variables = number_anew(variables);
    const Renumbering new_devices = number_anew(devices);
    for (Block& block : out_.blocks) {
      for (Operation& op : block.operations) {
        const Arguments arguments = statement_word(op).arguments;
        if (names_variable(op)) op.place.variable = *new_variables[op.place.variable];
        if (names_second_place(op)) op.to.variable = *new_variables[op.to.variable];
        if (uses_device(arguments)) op.device = *new_devices[op.device];
      }
    }
    visit_terms([&](Term& term) {
      if (has_place(term.kind)) term.place.variable = *new_variables[term.place.variable];
      return true;
    });
    renumber_files(variables);
    keep_only(out_.variables, variables);
    keep_only(out_.devices, devices);
    std::uint32_t first_page = 0;
    for (Variable& variable : out_.variables) {
      variable.first_page = first_page;
      first_page += variable.pages;
    }
  }

  /// Drops the files that only removed operations used, and no variable that is kept maps.
  void renumber_files(const std::vector<bool>& variables) {
    std::vector<bool> files = used_files(out_);
    for (std::size_t f = 0; f < files.size(); ++f) files[f] = files[f] || !files_before_[f];
    for (std::size_t v = 0; v < variables.size(); ++v) {
      if (variables[v] && maps_file(out_.variables[v].kind)) files[out_.variables[v].file] = true;
    }
    visit_terms([&](Term& term) {
      if (is_of_file(term.kind)) files[term.file] = true;
      return true;
    });
    const Renumbering numbers = number_anew(files);
    for (Variable& variable : out_.variables) {
      if (maps_file(variable.kind)) variable.file = numbers[variable.file].value_or(0);
    }
    for (Block& block : out_.blocks) {
      for (Operation& op : block.operations) {
        if (names_file(op)) op.file = *numbers[op.file];
      }
    }
    visit_terms([&](Term& term) {
      if (is_of_file(term.kind)) term.file = *numbers[term.file];
      return true;
    });
    keep_only(out_.files, files);
  }

  /// Hands every term to `visit`; what holds a term for which it says false is dropped.
  template <class Visit>
  void visit_terms(const Visit& visit) {
    bool sound = true;
    const auto check = [&](Term& term) { sound = visit(term) && sound; };
    for_each_term(out_.condition, check);
    if (!sound) {
      out_.condition = {};
      out_.quantifier = Quantifier::kNone;
    }
    if (out_.filter.has_value()) {
      sound = true;
      for_each_term(*out_.filter, check);
      if (!sound) out_.filter.reset();
    }
    std::erase_if(out_.locations, [&](Term& term) { return !visit(term); });
  }

  Program out_;
  std::vector<std::size_t> original_sizes_;
  std::vector<bool> block_kept_;
  std::vector<bool> pinned_before_;
  std::vector<bool> variables_before_;
  std::vector<bool> devices_before_;
  std::vector<bool> files_before_;
  bool keep_first_ = false;
  std::vector<Renumbering> registers_;
};

}  // namespace

std::optional<Program> remove_operations(const Program& program, const std::vector<bool>& keep) {
  return Shrinker(program, keep).run();
}

Program remove_unused(const Program& program) {
  return Shrinker(program, std::vector<bool>(program.operation_count(), true)).run_unused();
}

std::vector<Program> simpler_programs(const Program& program) {
  std::vector<Program> simpler;
  const auto try_change = [&](std::size_t b, std::size_t i, const auto& change) {
    Program candidate = program;
    change(candidate.blocks[b].operations[i]);
    if (resolve(candidate).empty()) simpler.push_back(std::move(candidate));
  };
  const auto without = [](auto flags, auto flag) {
    return static_cast<decltype(flags)>(static_cast<unsigned>(flags) & ~static_cast<unsigned>(flag));
  };
  for (std::size_t b = 0; b < program.blocks.size(); ++b) {
    for (std::size_t i = 0; i < program.blocks[b].operations.size(); ++i) {
      const Operation& op = program.blocks[b].operations[i];
      if (op.times != 1) try_change(b, i, [](Operation& changed) { changed.times = 1; });
      if (op.fail_any) try_change(b, i, [](Operation& changed) { changed.fail_any = false; });
      if (op.fail_nth != 0) try_change(b, i, [](Operation& changed) { changed.fail_nth = 0; });
      if (op.code == OpCode::kPin) {
        for (const FlagWord<PinFlags>& word : pin_flag_words()) {
          if (!has(op.pin_flags, word.flag)) continue;
          try_change(b, i, [&](Operation& changed) { changed.pin_flags = without(changed.pin_flags, word.flag); });
        }
      }
      if (has(op.remap_flags, RemapFlags::kDontUnmap)) {
        try_change(b, i, [&](Operation& changed) {
          changed.remap_flags = without(changed.remap_flags, RemapFlags::kDontUnmap);
        });
      }
      if (op.code == OpCode::kUffdRegister) {
        for (const FlagWord<UffdFlags>& word : uffd_flag_words()) {
          if (!has(op.uffd, word.flag) || op.uffd == word.flag) continue;
          try_change(b, i, [&](Operation& changed) { changed.uffd = without(changed.uffd, word.flag); });
        }
      }
      if (op.code == OpCode::kMmap && has(op.map_flags, MapFlags::kPopulate)) {
        try_change(b, i,
                   [&](Operation& changed) { changed.map_flags = without(changed.map_flags, MapFlags::kPopulate); });
      }
    }
  }
  return simpler;
}

}  // namespace cowherd::litmus
