#include "litmus/generator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "litmus/generator_impl.hpp"
#include "litmus/shrink.hpp"

namespace cowherd::litmus {

Generator::Generator(std::uint64_t seed, const GeneratorOptions& options) : random_(seed), options_(options) {
  options_.max_operations = std::clamp(options_.max_operations, 1u, static_cast<std::uint32_t>(kMaxOperations));
  options_.min_operations = std::clamp(options_.min_operations, 1u, options_.max_operations);
  options_.max_pages = std::clamp(options_.max_pages, 1u, static_cast<std::uint32_t>(kMaxPages));
  options_.max_devices = std::min(options_.max_devices, static_cast<std::uint32_t>(kMaxDevices));
  options_.max_blocks = std::clamp(options_.max_blocks, 1u, static_cast<std::uint32_t>(kMaxBlocks) - 2);
}

Program Generator::run() {
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

void Generator::declare() {
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
    if (program_.variables.empty() && options_.max_pages > 2 && options_.huge_percent != 0 &&
        random_.percent(options_.huge_percent)) {
      const bool of_pool = options_.hugetlb_percent != 0 && random_.percent(options_.hugetlb_percent);
      variable.kind = of_pool ? VariableKind::kHugetlbValue : VariableKind::kThpValue;
      if (of_pool) {
        declare_pool(variable);
      } else if (random_.percent(40)) {
        program_.folios = random_.percent(50) ? 2 : 4;
      }
      variable.pages = kHugePages;
      pages = std::max(pages, kHugePages);
    }
    if (variable.kind == VariableKind::kUnmapped && !weight(OpCode::kMmap)) variable.kind = VariableKind::kAnon;
    const bool of_hugetlbfs = !program_.files.empty() && program_.files[0].is_hugetlb();
    if (of_hugetlbfs && !program_.variables.empty() && random_.percent(40) && map_hugetlb_file(variable)) {
      pages = std::max(pages, kHugePages);
    }
    if (!is_huge(variable.kind) && !of_hugetlbfs && random_.percent(options_.file_percent)) map_file(variable);
    if (is_written(variable.kind)) variable.value = -1;
    // What the file has, and what is promised to who maps it.
    if (program_.hugepages && variable.kind == VariableKind::kHugetlbFile) ++*program_.hugepages;
    pages -= variable.pages;
    program_.variables.push_back(std::move(variable));
  }
  if (options_.movable_percent != 0 && random_.percent(options_.movable_percent)) {
    program_.movable = static_cast<std::uint8_t>(1 + random_.below(4));
  }
  const std::uint32_t devices = options_.max_devices == 0 ? 0 : 1 + random_.below(options_.max_devices);
  for (std::uint32_t d = 0; d < devices; ++d) program_.devices.emplace_back(1, "deghijkl"[d]);
  devices_.resize(devices);
  device_block_.name = "D0";
  device_block_.kind = BlockKind::kDevice;
  kernel_block_.name = "K0";
  kernel_block_.kind = BlockKind::kKernel;
}

void Generator::map_file(Variable& variable) {
  if (random_.percent(15)) {
    if (variable.kind == VariableKind::kZeroPage || variable.kind == VariableKind::kUnmapped) return;
    variable.shared = true;
    return;
  }
  if (program_.files.empty()) {
    FileVariable file;
    file.name = "f";
    file.kind = random_.percent(50) ? FileKind::kDisk : FileKind::kMemfd;
    file.value = -1;
    program_.files.push_back(std::move(file));
  }
  variable.kind = VariableKind::kFile;
  variable.value = 0;
  variable.file = 0;
  variable.shared = random_.percent(50);
  program_.files[0].pages = std::max(program_.files[0].pages, variable.pages);
}

std::uint8_t Generator::add_block() {
  const auto number = static_cast<std::uint8_t>(program_.blocks.size());
  Block block;
  block.name = fmt::format("P{}", number);
  program_.blocks.push_back(std::move(block));
  states_.emplace_back();
  states_.back().process = number;
  return number;
}

void Generator::emit(Block& block, Operation op, bool has_result) {
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

std::uint8_t Generator::pick_block() {
  std::uint8_t block = 0;
  if (random_.percent(50)) block = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(states_.size())));
  for (std::size_t tries = 0; states_[block].ended && tries < states_.size(); ++tries) {
    block = static_cast<std::uint8_t>((block + 1u) % states_.size());
  }
  return block;
}

OpCode Generator::pick_code() {
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

void Generator::declare_pool(Variable& variable) {
  // A small pool is what makes it another kind of memory.
  if (random_.percent(70)) program_.hugepages = static_cast<std::uint8_t>(1 + random_.below(3));
  variable.noreserve = random_.percent(20);
  variable.shared = random_.percent(20);
  if (!random_.percent(40)) return;
  FileVariable file{.name = "f", .kind = FileKind::kHugetlb, .pages = kHugePages};
  if (random_.percent(60)) file.value = -1;
  program_.files.push_back(std::move(file));
  variable.kind = VariableKind::kHugetlbFile;
  variable.value = 0;
}

bool Generator::map_hugetlb_file(Variable& variable) {
  if (program_.page_count() + kHugePages > kMaxPages) return false;
  variable.kind = VariableKind::kHugetlbFile;
  variable.value = 0;
  variable.pages = kHugePages;
  variable.shared = random_.percent(60);
  variable.noreserve = random_.percent(10);
  return true;
}

void Generator::number_values() {
  std::int64_t next = 1;
  for (FileVariable& file : program_.files) {
    if (file.value != 0) file.value = next++;
  }
  for (Variable& variable : program_.variables) {
    if (is_written(variable.kind)) variable.value = next++;
  }
  for (Block& block : program_.blocks) {
    for (Operation& op : block.operations) {
      if (op.value.literal != 0) op.value.literal = next++;
    }
  }
}

bool Generator::needs_memory(OpCode code) {
  return code == OpCode::kRead || code == OpCode::kWrite || code == OpCode::kMunmap || code == OpCode::kMprotect ||
         code == OpCode::kMadvise || code == OpCode::kPin || code == OpCode::kExec || code == OpCode::kClearRefs ||
         code == OpCode::kMremap || code == OpCode::kNumaHint || code == OpCode::kMlock || code == OpCode::kMsync ||
         code == OpCode::kMunlock || code == OpCode::kSwapOut || code == OpCode::kSwapIn || code == OpCode::kMigrate ||
         code == OpCode::kCollapse || code == OpCode::kSplit || code == OpCode::kPoison ||
         code == OpCode::kUffdRegister || code == OpCode::kUffdUnregister || code == OpCode::kUffdMove;
}

Place Generator::pick_word() {
  Place place;
  if (random_.percent(60)) return place;
  place.variable = static_cast<std::uint8_t>(random_.below(static_cast<std::uint32_t>(program_.variables.size())));
  place.page = static_cast<std::uint8_t>(random_.below(program_.variables[place.variable].pages));
  return place;
}

Place Generator::pick_pages() {
  Place place = pick_word();
  if (random_.percent(60)) {
    place.page = 0;
    place.pages = static_cast<std::uint8_t>(program_.variables[place.variable].pages);
  }
  return place;
}

Operand Generator::pick_value() {
  Operand value;
  value.literal = -1;
  return value;
}

std::optional<std::uint8_t> Generator::pick_device(bool held) {
  std::vector<std::uint8_t> fitting;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    if (devices_[d].held == held) fitting.push_back(static_cast<std::uint8_t>(d));
  }
  if (fitting.empty()) return std::nullopt;
  return fitting[random_.below(static_cast<std::uint32_t>(fitting.size()))];
}

void Generator::observe() {
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

Program random_program(std::uint64_t seed, const GeneratorOptions& options) { return Generator(seed, options).run(); }

}  // namespace cowherd::litmus
