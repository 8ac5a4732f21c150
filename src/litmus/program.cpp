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

std::uint32_t Program::pool_pages() const {
  std::uint64_t pages = 0;
  for (const Variable& variable : variables) {
    if (is_hugetlb(variable.kind)) pages += variable.pages / kHugePages;
  }
  for (const FileVariable& file : files) {
    if (file.is_hugetlb()) pages += file.pages / kHugePages;
  }
  if (pages == 0) return 0;
  if (hugepages) return *hugepages;
  std::uint64_t processes = snapshot_count();
  for (const Block& block : blocks) {
    if (block.kind == BlockKind::kProcess && block.start != BlockStart::kThread) ++processes;
    // The process that it makes on the way; one at a time to each block.
    const bool restores = std::any_of(block.operations.begin(), block.operations.end(),
                                      [](const Operation& op) { return op.code == OpCode::kRestore; });
    if (restores) ++processes;
  }
  // To each process its own, and to those who hold pages that are no longer; some on their way.
  return static_cast<std::uint32_t>(pages * (processes + devices.size()) + blocks.size());
}

}  // namespace cowherd::litmus
