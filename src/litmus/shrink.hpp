#pragma once

#include <optional>
#include <vector>

#include "litmus/program.hpp"

namespace cowherd::litmus {

/// The program without the operations whose `keep` is false. `keep` holds one flag for each operation, block by block.
///
/// What has lost its meaning goes as well: blocks that nobody starts any longer and their operations, waits for and
/// accesses to such blocks, unpins and DMA on a device to which nothing is pinned any longer, empty blocks that began
/// at time zero, and variables, devices and registers that are no longer used. Blocks are numbered anew. A condition or
/// filter that mentions something that went is dropped (Quantifier::kNone), such a location is taken off its list.
///
/// Nothing where no sound program is left: no operation at all, or a value that is still used has lost the operation
/// that produced it. Precondition: `program` is sound and keep.size() == program.operation_count().
std::optional<Program> remove_operations(const Program& program, const std::vector<bool>& keep);

/// The program without the variables and devices that neither an operation nor a condition mentions. Its first variable
/// stays where it would be left with none.
Program remove_unused(const Program& program);

/// The same program with one operation made simpler (times 1, no fail_nth, one flag less), each way of doing so.
std::vector<Program> simpler_programs(const Program& program);

}  // namespace cowherd::litmus
