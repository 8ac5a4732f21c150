#include "litmus/enumerate.hpp"

#include <optional>

#include "litmus/resolve.hpp"

namespace cowherd::litmus {
namespace {

/// What one of the two processes has done so far, as far as it bears on what it may do next.
struct Progress {
  bool held = false;
  bool writable = false;
  bool no_memory = false;
  bool ended = false;
  bool forked = false;
};

/// The progress after `letter`, or nothing where the letter is left out there.
std::optional<Progress> step(Progress progress, char letter, bool may_fork) {
  if (progress.ended) return std::nullopt;
  switch (letter) {
    case 'W':
    case 'R':
    case 'M':
    case 'C':
      if (progress.no_memory) return std::nullopt;
      return progress;
    case 'P':
    case 'G':
    case 'p':
      if (progress.no_memory || progress.held) return std::nullopt;
      progress.held = true;
      progress.writable = letter != 'p';
      return progress;
    case 'U':
      if (!progress.held) return std::nullopt;
      progress.held = false;
      return progress;
    case 'D':
      if (!progress.held || !progress.writable) return std::nullopt;
      return progress;
    case 'd':
      if (!progress.held) return std::nullopt;
      return progress;
    case 'F':
      if (!may_fork || progress.forked || progress.no_memory) return std::nullopt;
      progress.forked = true;
      return progress;
    case 'X':
      progress.ended = true;
      return progress;
    case 'E':
      if (progress.no_memory) return std::nullopt;
      progress.no_memory = true;
      return progress;
    default:
      return std::nullopt;
  }
}

class Enumerator {
 public:
  explicit Enumerator(const std::function<bool(const Program&)>& callback) : callback_(callback) {}

  std::uint64_t run(std::size_t max_operations) {
    for (std::size_t length = 1; length <= max_operations && !stopped_; ++length) extend_parent({}, length);
    return count_;
  }

 private:
  void extend_parent(const Progress& progress, std::size_t left) {
    if (stopped_) return;
    if (progress.forked) {
      letters_ += '+';
      extend_child({}, left);
      letters_.pop_back();
    } else if (left == 0) {
      hand_out();
    }
    if (left == 0) return;
    for (const char letter : kEnumeratedAlphabet) {
      const std::optional<Progress> next = step(progress, letter, true);
      if (!next.has_value()) continue;
      letters_ += letter;
      extend_parent(*next, left - 1);
      letters_.pop_back();
    }
  }

  void extend_child(const Progress& progress, std::size_t left) {
    if (stopped_) return;
    if (left == 0) return hand_out();
    for (const char letter : kEnumeratedAlphabet) {
      const std::optional<Progress> next = step(progress, letter, false);
      if (!next.has_value()) continue;
      letters_ += letter;
      extend_child(*next, left - 1);
      letters_.pop_back();
    }
  }

  void hand_out() {
    ++count_;
    stopped_ = !callback_(spell_program(letters_));
  }

  const std::function<bool(const Program&)>& callback_;
  std::string letters_;
  std::uint64_t count_ = 0;
  bool stopped_ = false;
};

Operation spell(char letter, std::uint8_t device, bool& holds_get, std::int64_t& next_value) {
  Operation op;
  switch (letter) {
    case 'W':
    case 'D':
      op.code = letter == 'W' ? OpCode::kWrite : OpCode::kDmaWrite;
      op.value.literal = next_value++;
      break;
    case 'R':
      op.code = OpCode::kRead;
      break;
    case 'd':
      op.code = OpCode::kDmaRead;
      break;
    case 'P':
    case 'p':
      op.code = OpCode::kPin;
      op.pin_flags = letter == 'P' ? PinFlags::kWrite | PinFlags::kLongTerm : PinFlags::kLongTerm;
      holds_get = false;
      break;
    case 'G':
      op.code = OpCode::kPin;
      op.pin_flags = PinFlags::kWrite | PinFlags::kGet;
      holds_get = true;
      break;
    case 'U':
      op.code = OpCode::kUnpin;
      op.pin_flags = holds_get ? PinFlags::kGet : PinFlags::kNone;
      break;
    case 'F':
      op.code = OpCode::kFork;
      op.block = 1;
      break;
    case 'X':
      op.code = OpCode::kExit;
      break;
    case 'E':
      op.code = OpCode::kExec;
      break;
    case 'C':
      op.code = OpCode::kClearRefs;
      break;
    default:
      op.code = OpCode::kMadvise;
      op.advice = Advice::kDontNeed;
      break;
  }
  if (op.code == OpCode::kPin || op.code == OpCode::kUnpin || op.code == OpCode::kDmaRead ||
      op.code == OpCode::kDmaWrite) {
    op.device = device;
  }
  return op;
}

}  // namespace

std::uint64_t enumerate_programs(std::size_t max_operations, const std::function<bool(const Program&)>& callback) {
  return Enumerator(callback).run(max_operations);
}

Program spell_program(std::string_view letters) {
  Program program;
  program.name = std::string(letters);
  Variable x;
  x.name = "x";
  x.kind = VariableKind::kAnonValue;
  x.value = 1;
  program.variables.push_back(std::move(x));

  std::int64_t next_value = 2;
  for (std::size_t begin = 0; begin <= letters.size();) {
    const std::size_t end = std::min(letters.find('+', begin), letters.size());
    const std::size_t number = program.blocks.size();
    // A process that takes no reference has no device; the child's is then the only one.
    const std::string_view own = letters.substr(begin, end - begin);
    const auto device = static_cast<std::uint8_t>(program.devices.size());
    if (own.find_first_of("PGp") != std::string_view::npos) program.devices.emplace_back(number == 0 ? "d" : "e");
    Block block;
    block.name = number == 0 ? "P0" : "P1";
    bool holds_get = false;
    for (const char letter : own) {
      Operation op = spell(letter, device, holds_get, next_value);
      if (op.code == OpCode::kRead || op.code == OpCode::kDmaRead) {
        op.result = static_cast<std::uint8_t>(block.registers.size());
        block.registers.push_back("r" + std::to_string(block.registers.size()));
      }
      block.operations.push_back(op);
    }
    Term memory;
    memory.kind = Term::Kind::kMemory;
    memory.block = static_cast<std::uint8_t>(number);
    program.blocks.push_back(std::move(block));
    for (std::size_t r = 0; r < program.blocks.back().registers.size(); ++r) {
      Term term = memory;
      term.kind = Term::Kind::kRegister;
      term.reg = static_cast<std::uint8_t>(r);
      program.locations.push_back(term);
    }
    program.locations.push_back(memory);
    begin = end + 1;
  }
  static_cast<void>(resolve(program));
  return program;
}

}  // namespace cowherd::litmus
