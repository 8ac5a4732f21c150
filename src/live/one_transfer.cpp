#include "live/one_transfer.hpp"

#include <vector>

#include "litmus/condition.hpp"
#include "litmus/resolve.hpp"

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

/// Whether the kernel leaves a page where it is because it is held.
bool asks_whether_it_is_held(const Operation& op) {
  switch (op.code) {
    case OpCode::kSwapOut:
    case OpCode::kMigrate:
    case OpCode::kKsmMerge:
    case OpCode::kKsmZero:
    case OpCode::kCollapse:
      return true;
    case OpCode::kMadvise:
      return op.advice == Advice::kPageOut || op.advice == Advice::kCollapse;
    default:
      return false;
  }
}

/// What a program does with one device, block by block.
class Use {
 public:
  Use(const litmus::Program& program, std::uint8_t device, AtExec at_exec) : program_(program), at_exec_(at_exec) {
    for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
      std::size_t since_pin = 0;
      bool named = false;
      bool has_written = false;
      for (const Operation& op : program.blocks[b].operations) {
        const bool moves = op.code == OpCode::kDmaRead || op.code == OpCode::kDmaWrite;
        outlived_ = outlived_ || (has_written && asks_whether_it_is_held(op));
        const bool lets_go = op.code == OpCode::kUnpin || op.code == OpCode::kUnpinDirty;
        if ((moves || lets_go) && op.device == device) has_written = op.code == OpCode::kDmaWrite;
        if ((op.code != OpCode::kPin && !moves) || op.device != device) continue;
        named = true;
        if (moves) {
          reads_ = reads_ || op.code == OpCode::kDmaRead;
          writes_ = writes_ || op.code == OpCode::kDmaWrite;
          ++moves_;
          repeats_ = repeats_ || ++since_pin > 1;
        } else {
          since_pin = 0;
          pins_.push_back(&op);
          holders_.push_back(op.target.value_or(litmus::process_of(program, b)));
        }
      }
      blocks_ += named ? 1u : 0u;
    }
  }

  [[nodiscard]] std::string beyond() const {
    if (names_other_words()) return "a transfer moves all words of a page";
    for (std::size_t i = 0; i < pins_.size(); ++i) {
      const Operation& pin = *pins_[i];
      if (pin.times != 1) return "a transfer holds a page once";
      // What is not named of several pages would be overwritten with it.
      if (pin.place.pages != 1 && writes_) return "a transfer fills all of its pages";
      if (has(pin.pin_flags, PinFlags::kLongTerm)) return "a transfer is no long-term reference";
      if (has(pin.pin_flags, PinFlags::kWrite) != has(pins_[0]->pin_flags, PinFlags::kWrite)) {
        return "a transfer goes one way";
      }
      // The kernel ends a process's transfers before its memory, and exec() ends its memory.
      if (at_exec_ == AtExec::kWaits && execs(holders_[i])) return "exec() waits for O_DIRECT transfers";
      if (has(pin.pin_flags, PinFlags::kWrite) && reads_) return "a transfer into memory only writes it";
    }
    if (outlived_) return "a transfer lets go once its data is there";
    const bool in_order = blocks_ == 1 ? !repeats_ : pins_.size() <= 1 && moves_ <= 1;
    return in_order ? std::string() : "a transfer moves its data once";
  }

 private:
  [[nodiscard]] bool names_other_words() const {
    for (const litmus::Block& block : program_.blocks) {
      for (const Operation& op : block.operations) {
        if (op.place.word != 0) return true;
      }
    }
    for (const litmus::Term& term : litmus::observed_terms(program_)) {
      if (term.place.word != 0) return true;
    }
    return false;
  }

  [[nodiscard]] bool execs(std::uint8_t process) const {
    for (std::uint8_t b = 0; b < program_.blocks.size(); ++b) {
      if (litmus::process_of(program_, b) != process) continue;
      for (const Operation& op : program_.blocks[b].operations) {
        if (op.code == OpCode::kExec) return true;
      }
    }
    return false;
  }

  const litmus::Program& program_;
  AtExec at_exec_;
  std::vector<const Operation*> pins_;
  std::vector<std::uint8_t> holders_;
  std::size_t blocks_ = 0;
  std::size_t moves_ = 0;
  bool reads_ = false;
  bool writes_ = false;
  bool repeats_ = false;
  /// A page is taken to be held after its data is there.
  bool outlived_ = false;
};

}  // namespace

std::string beyond_one_transfer(const litmus::Program& program, std::uint8_t device, AtExec at_exec) {
  return Use(program, device, at_exec).beyond();
}

}  // namespace cowherd::live
