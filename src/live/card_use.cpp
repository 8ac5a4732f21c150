#include "live/card_use.hpp"

#include <algorithm>
#include <vector>

#include "litmus/resolve.hpp"

namespace cowherd::live {
namespace {

using litmus::BlockStart;
using litmus::OpCode;
using litmus::Operation;

/// A pin and the process whose memory it takes.
struct Hold {
  const Operation* pin = nullptr;
  std::uint8_t process = 0;
};

std::vector<Hold> pins_of(const litmus::Program& program) {
  std::vector<Hold> pins;
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    for (const Operation& op : program.blocks[b].operations) {
      if (op.code != OpCode::kPin || has(op.pin_flags, PinFlags::kGet)) continue;
      pins.push_back({&op, op.target.value_or(litmus::process_of(program, b))});
    }
  }
  return pins;
}

bool ends_before_the_test(const litmus::Program& program, std::uint8_t process) {
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    const bool own = litmus::process_of(program, b) == process;
    for (const Operation& op : program.blocks[b].operations) {
      if (own && (op.code == OpCode::kExec || op.code == OpCode::kExit)) return true;
      if (op.code == OpCode::kWait && op.block == process) return true;
    }
  }
  return false;
}

bool descends_from(const litmus::Program& program, std::uint8_t process, std::uint8_t ancestor) {
  while (program.blocks[process].start != BlockStart::kAtTimeZero) {
    process = litmus::process_of(program, program.blocks[process].starter);
    if (process == ancestor) return true;
  }
  return false;
}

}  // namespace

std::string beyond_a_card(const litmus::Program& program, std::uint8_t device) {
  const std::vector<Hold> pins = pins_of(program);
  for (const Hold& mine : pins) {
    if (mine.pin->device != device) continue;
    if (mine.pin->times != 1) return "a card holds memory once";
    if (program.blocks[mine.process].start == BlockStart::kVfork) return "a card is not a borrowed address space's";
    if (ends_before_the_test(program, mine.process)) return "a card lets go of what a process has when that one ends";
    for (const Hold& other : pins) {
      if (other.pin->device != device && other.process == mine.process &&
          other.pin->place.variable == mine.pin->place.variable) {
        return "a card holds memory once";
      }
      if (other.process != mine.process && (descends_from(program, mine.process, other.process) ||
                                            descends_from(program, other.process, mine.process))) {
        return "a card is not for a process and its child";
      }
    }
  }
  const auto is_secret = [](const litmus::Variable& v) { return v.kind == litmus::VariableKind::kSecret; };
  // Its driver has one answer for pages that nobody may hold and pages that it has no room for.
  return std::any_of(program.variables.begin(), program.variables.end(), is_secret)
             ? "a card's driver does not say why it refuses a page"
             : std::string();
}

}  // namespace cowherd::live
