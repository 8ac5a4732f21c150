#include <fmt/format.h>

#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "litmus/resolve.hpp"
#include "live/emit_c.hpp"
#include "live/known.hpp"

namespace cowherd::live {
namespace {

/// Registrations that a device of the C text keeps.
constexpr std::uint32_t kMostInC = 16;

using litmus::OpCode;
using litmus::Operation;

/// Blocks of the same process.
std::size_t threads_of(const litmus::Program& program, std::uint8_t block) {
  std::size_t count = 0;
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    count += litmus::process_of(program, b) == litmus::process_of(program, block) ? 1u : 0u;
  }
  return count;
}

}  // namespace

std::string problem_in_c(const litmus::Program& program, PinBy pin_by) {
  const auto of_disk = [&program](const litmus::Place& place) {
    const litmus::Variable& variable = program.variables[place.variable];
    return variable.kind == litmus::VariableKind::kFile && variable.shared &&
           program.files[variable.file].kind == litmus::FileKind::kDisk;
  };
  for (const litmus::Variable& variable : program.variables) {
    if (litmus::is_hugetlb(variable.kind)) return variable.name + ": hugetlb pages are not written in C";
  }
  for (const litmus::FileVariable& file : program.files) {
    if (file.is_hugetlb()) return file.name + ": hugetlb pages are not written in C";
  }
  for (const litmus::Term& term : litmus::observed_terms(program)) {
    if (litmus::is_internal(term) && term.kind != litmus::Term::Kind::kHuge)
      return fmt::format("{}: not written in C", litmus::print_term(program, term));
  }
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    const litmus::Block& block = program.blocks[b];
    if (block.kind != litmus::BlockKind::kProcess)
      return fmt::format("{}: device and kernel blocks are not written in C", block.name);
    for (const Operation& op : block.operations) {
      const std::string text = litmus::print_operation(program, b, op);
      if (!written_in_c(op.code)) return fmt::format("{}: not written in C", text);
      const bool ends = op.code == OpCode::kExit || op.code == OpCode::kExec;
      if (ends && threads_of(program, b) > 1) return fmt::format("{}: in a process with threads", text);
      const bool of_kernel = op.code == OpCode::kSwapOut || op.code == OpCode::kSwapIn ||
                             op.code == OpCode::kKsmMerge || op.code == OpCode::kKsmUnmerge ||
                             op.code == OpCode::kCollapse || op.code == OpCode::kSplit;
      const bool pins = op.code == OpCode::kPin && !has(op.pin_flags, PinFlags::kGet);
      if (pins && (pin_by == PinBy::kCard || pin_by == PinBy::kCopy)) {
        return fmt::format("{}: pins by {} are not written in C", text, name_of(pin_by));
      }
      if (pins && pin_by == PinBy::kRdma && op.times > kMostInC) return fmt::format("{}: so often, in C", text);
      if (op.code == OpCode::kPin && has(op.pin_flags, PinFlags::kWrite) && of_disk(op.place)) {
        return fmt::format("{}: fixed buffers take no page of a disk", text);
      }
      if ((op.code == OpCode::kSwapOut || op.code == OpCode::kSwapIn) &&
          is_shared(program.variables[op.place.variable])) {
        return fmt::format("{}: swap of memory that is shared is not written in C", text);
      }
      const bool elsewhere = op.target || op.to_target;
      if ((op.code == OpCode::kPin || of_kernel) && elsewhere) {
        return fmt::format("{}: another process's memory", text);
      }
    }
  }
  return {};
}

}  // namespace cowherd::live
