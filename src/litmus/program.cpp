#include "litmus/program.hpp"

#include <algorithm>

namespace cowherd::litmus {

bool Operation::operator==(const Operation& other) const {
  return code == other.code && result == other.result && block == other.block && target == other.target &&
         to_target == other.to_target && device == other.device && snapshot == other.snapshot && file == other.file &&
         place == other.place && to == other.to && value == other.value && protection == other.protection &&
         map_flags == other.map_flags && remap_flags == other.remap_flags && advice == other.advice &&
         pin_flags == other.pin_flags && uffd == other.uffd && times == other.times && fail_nth == other.fail_nth &&
         fail_any == other.fail_any;
}

std::uint32_t Program::page_count() const {
  std::uint32_t count = 0;
  for (const Variable& variable : variables) count += variable.pages;
  return count;
}

std::size_t Program::snapshot_count() const {
  std::size_t count = 0;
  for (const Block& block : blocks) {
    for (const Operation& op : block.operations) {
      const bool names_one = op.code == OpCode::kSnapshot || op.code == OpCode::kRestore;
      if (names_one) count = std::max(count, op.snapshot + std::size_t{1});
    }
  }
  return count;
}

std::size_t Program::operation_count() const {
  std::size_t count = 0;
  for (const Block& block : blocks) count += block.operations.size();
  return count;
}

}  // namespace cowherd::litmus
