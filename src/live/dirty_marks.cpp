#include "live/dirty_marks.hpp"

#include <algorithm>

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

template <class Predicate>
bool any_operation(const litmus::Program& program, Predicate&& predicate) {
  return std::any_of(program.blocks.begin(), program.blocks.end(), [&](const litmus::Block& block) {
    return std::any_of(block.operations.begin(), block.operations.end(), predicate);
  });
}

/// Whether a page that nobody wrote through its mapping may go without a copy.
bool may_go_clean(const Operation& op) {
  return op.code == OpCode::kSwapOut ||
         (op.code == OpCode::kMadvise && (op.advice == Advice::kPageOut || op.advice == Advice::kFree));
}

}  // namespace

std::string beyond_dirty_marks(const litmus::Program& program, std::uint8_t device, Way way) {
  if ((way != Way::kRing && way != Way::kRdma) || !any_operation(program, may_go_clean)) return {};
  const auto lets_go_by = [&](OpCode code) {
    return any_operation(program, [&](const Operation& op) { return op.code == code && op.device == device; });
  };
  if (way == Way::kRing) {
    return lets_go_by(OpCode::kUnpinDirty) ? "io_uring does not mark dirty what its fixed buffers let go"
                                           : std::string();
  }
  const bool registers_for_reading = any_operation(program, [device](const Operation& op) {
    return op.code == OpCode::kPin && op.device == device && !registers_for_writing(op.pin_flags);
  });
  if (!registers_for_reading && lets_go_by(OpCode::kUnpin)) {
    return "RDMA marks dirty what it held for writing when it lets go";
  }
  if (registers_for_reading && lets_go_by(OpCode::kUnpinDirty)) {
    return "RDMA does not mark dirty what it held for reading when it lets go";
  }
  return {};
}

}  // namespace cowherd::live
