#include "live/course.hpp"

#include <bit>
#include <utility>

#include "litmus/condition.hpp"
#include "litmus/resolve.hpp"

namespace cowherd::live {
namespace {

using litmus::BlockStart;
using litmus::OpCode;
using litmus::Operation;

Answer refused(Errno error) { return {error, 0, {}}; }

}  // namespace

Course::Course(const litmus::Program& program, Executor& executor) : program_(&program), executor_(&executor) {
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    process_of_[b] = litmus::process_of(program, b);
    threads_of_[process_of_[b]] = static_cast<BlockSet>(threads_of_[process_of_[b]] | bit_of(b));
  }
}

std::string Course::begin() {
  phase_.fill(Phase::kUnborn);
  pc_.fill(0);
  faults_.fill(0);
  life_.fill(Life::kUnborn);
  borrows_.fill(false);
  held_.fill({});
  for (auto& registers : registers_) registers.fill(0);
  waits_ = 0;
  may_look_again_ = 0;
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    const litmus::Block& block = program_->blocks[b];
    if (block.start != BlockStart::kAtTimeZero) continue;
    phase_[b] = Phase::kRunning;
    if (block.kind == litmus::BlockKind::kProcess) life_[b] = Life::kAlive;
  }
  const Answer begun = executor_->begin(*program_);
  if (!begun.lost.empty()) return begun.lost;
  return settle();
}

BlockSet Course::unfinished() const {
  unsigned set = 0;
  for (std::uint8_t b = 0; b < blocks(); ++b) set |= phase_[b] == Phase::kRunning ? bit_of(b) : 0u;
  return static_cast<BlockSet>(set);
}

BlockSet Course::runnable() const {
  unsigned set = 0;
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    const bool idle = waits(b) && (may_look_again_ & bit_of(b)) == 0;
    if (phase_[b] == Phase::kRunning && !idle && may_proceed(b)) set |= bit_of(b);
  }
  return static_cast<BlockSet>(set);
}

bool Course::may_proceed(std::uint8_t block) const {
  for (std::uint8_t child = 0; child < blocks(); ++child) {
    if (borrows_[child] && program_->blocks[child].starter == block) return false;
  }
  const Operation& op = operation(block);
  if (op.code == OpCode::kExit) {
    const std::uint8_t process = process_of_[block];
    const bool last = ((threads_of_[process] & ~bit_of(block)) & unfinished()) == 0;
    return !last || !suspended(process);
  }
  if (op.code != OpCode::kWait) return true;
  const Phase phase = phase_[op.block];
  if (phase == Phase::kNever) return true;
  if (phase == Phase::kUnborn) return false;
  if (program_->blocks[op.block].start == BlockStart::kThread) return phase == Phase::kDone;
  return life_[op.block] != Life::kAlive || ((threads_of_[op.block] & unfinished()) == 0 && !suspended(op.block));
}

bool Course::suspended(std::uint8_t process) const {
  for (std::uint8_t child = 0; child < blocks(); ++child) {
    if (borrows_[child] && process_of_[program_->blocks[child].starter] == process) return true;
  }
  return false;
}

Answer Course::step(std::uint8_t block) {
  const Operation& op = operation(block);
  ended_.clear();
  may_look_again_ = static_cast<BlockSet>(may_look_again_ & ~bit_of(block));
  Answer answer = waits(block) ? executor_->resume(block) : perform(block, op);
  went_on_ = executor_->take_ended();
  if (!answer.lost.empty()) return answer;
  if (answer.waits) {
    waits_ = static_cast<BlockSet>(waits_ | bit_of(block));
  } else {
    look_again_after(block, op);
    conclude(block, op, answer);
  }
  for (const Ended& other : went_on_) {
    if (!other.answer.lost.empty()) return other.answer;
    look_again_after(other.block, operation(other.block));
    conclude(other.block, operation(other.block), other.answer);
  }
  if (std::string lost = settle(); !lost.empty()) answer.lost = std::move(lost);
  return answer;
}

void Course::conclude(std::uint8_t block, const Operation& op, const Answer& answer) {
  waits_ = static_cast<BlockSet>(waits_ & ~bit_of(block));
  const bool faulted = answer.error == Errno::kSigSegv || answer.error == Errno::kSigBus;
  if ((op.code == OpCode::kRead || op.code == OpCode::kWrite) && faulted) ++faults_[block];
  if (op.code == OpCode::kPin && answer.error == Errno{0}) {
    held_[op.device] = {static_cast<std::uint8_t>(answer.value), has(op.pin_flags, PinFlags::kWrite)};
  }
  if (op.result) registers_[block][*op.result] = answer.result();
  ++pc_[block];
}

/// Whoever waits looks again when somebody has done what may change who decides, or what is there.
void Course::look_again_after(std::uint8_t block, const Operation& op) {
  switch (op.code) {
    case OpCode::kRead:
    case OpCode::kWrite:
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
    case OpCode::kPin:
      // It may have brought a file's page, or made a copy of its own.
      if (program_->files.empty() && process_of_[block] == op.target.value_or(process_of_[block])) return;
      break;
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
    case OpCode::kDmaRead:
    case OpCode::kDmaWrite:
    case OpCode::kThread:
    case OpCode::kFileRead:
      return;
    default:
      break;
  }
  may_look_again_ = static_cast<BlockSet>(waits_ & ~bit_of(block));
}

std::string Course::settle() {
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    if (phase_[b] == Phase::kRunning && pc_[b] >= program_->blocks[b].operations.size()) phase_[b] = Phase::kDone;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint8_t b = 0; b < blocks(); ++b) {
      if (phase_[b] != Phase::kUnborn) continue;
      const Phase starter = phase_[program_->blocks[b].starter];
      if (starter != Phase::kDone && starter != Phase::kNever) continue;
      phase_[b] = Phase::kNever;
      changed = true;
    }
  }
  // One that ends may be what its parent, a child of vfork itself, was suspended for.
  for (std::optional<std::uint8_t> ending = borrower_at_end(); ending; ending = borrower_at_end()) {
    if (Answer gone = end_process(*ending); !gone.lost.empty()) return gone.lost;
    ended_.push_back(*ending);
  }
  return {};
}

std::optional<std::uint8_t> Course::borrower_at_end() const {
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    if (alive(b) && borrows_[b] && (threads_of_[b] & unfinished()) == 0 && !suspended(b)) return b;
  }
  return std::nullopt;
}

Answer Course::end_process(std::uint8_t process) {
  Answer gone = executor_->exit(process);
  if (!gone.lost.empty()) return gone;
  life_[process] = Life::kExited;
  borrows_[process] = false;
  return gone;
}

Answer Course::ask(std::uint8_t block, const Operation& op) {
  const std::int64_t value = op.value.is_register ? reg(block, op.value.reg) : op.value.literal;
  return executor_->perform(block, process_of_[block], op, value);
}

Answer Course::perform(std::uint8_t block, const Operation& op) {
  switch (op.code) {
    case OpCode::kFork:
    case OpCode::kVfork:
    case OpCode::kThread:
      return start(block, op);
    case OpCode::kExec:
      return exec(block, op);
    case OpCode::kExit:
      return exit(block, op);
    case OpCode::kWait:
      return wait(block, op);
    case OpCode::kPin:
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
    case OpCode::kDmaRead:
    case OpCode::kDmaWrite:
      return on_device(block, op);
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
    case OpCode::kClearRefs:
    case OpCode::kSwapOut:
    case OpCode::kSwapIn:
    case OpCode::kKsmZero:
    case OpCode::kKsmUnmerge:
    case OpCode::kCollapse:
    case OpCode::kSplit:
    case OpCode::kMigrate:
    case OpCode::kPoison:
    case OpCode::kUffdCopy:
    case OpCode::kUffdZeropage:
    case OpCode::kUffdPoison:
    case OpCode::kUffdContinue:
    case OpCode::kUffdWp:
    case OpCode::kUffdUnwp:
      return alive(op.target.value_or(process_of_[block])) ? ask(block, op) : refused(Errno::kNoProcess);
    case OpCode::kKsmMerge: {
      const bool both =
          alive(op.target.value_or(process_of_[block])) && alive(op.to_target.value_or(process_of_[block]));
      return both ? ask(block, op) : refused(Errno::kNoProcess);
    }
    default:
      return ask(block, op);
  }
}

/// What a driver refuses before it comes to memory is refused here.
Answer Course::on_device(std::uint8_t block, const Operation& op) {
  Held& held = held_[op.device];
  if (op.code == OpCode::kPin) {
    if (!alive(op.target.value_or(process_of_[block]))) return refused(Errno::kNoProcess);
    if (held.pages != 0) return refused(Errno::kBusy);
    if (has(op.pin_flags, PinFlags::kGet | PinFlags::kLongTerm)) return refused(Errno::kInvalid);
    return ask(block, op);
  }
  if (held.pages == 0) return refused(Errno::kNoDevice);
  if (op.code == OpCode::kDmaRead || op.code == OpCode::kDmaWrite) {
    if (op.place.page >= held.pages) return refused(Errno::kNoDevice);
    if (op.code == OpCode::kDmaWrite && !held.writes) return refused(Errno::kPerm);
    return ask(block, op);
  }
  Answer answer = ask(block, op);
  held = {};
  return answer;
}

Answer Course::start(std::uint8_t block, const Operation& op) {
  Answer answer = ask(block, op);
  if (!answer.lost.empty()) return answer;
  if (answer.error != Errno{0}) {
    phase_[op.block] = Phase::kNever;
    return answer;
  }
  phase_[op.block] = Phase::kRunning;
  if (op.code == OpCode::kThread) return answer;
  life_[op.block] = Life::kAlive;
  borrows_[op.block] = op.code == OpCode::kVfork;
  return answer;
}

Answer Course::exec(std::uint8_t block, const Operation& op) {
  Answer answer = ask(block, op);
  if (!answer.lost.empty() || answer.error != Errno{0}) return answer;
  const std::uint8_t process = process_of_[block];
  borrows_[process] = false;
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    if (b == block || process_of_[b] != process || phase_[b] != Phase::kRunning) continue;
    phase_[b] = Phase::kDone;
    waits_ = static_cast<BlockSet>(waits_ & ~bit_of(b));
  }
  return answer;
}

Answer Course::exit(std::uint8_t block, const Operation&) {
  const std::uint8_t process = process_of_[block];
  const auto others = static_cast<BlockSet>(threads_of_[process] & ~bit_of(block));
  Answer answer;
  if ((others & unfinished()) == 0) answer = end_process(process);
  phase_[block] = Phase::kDone;
  return answer;
}

Answer Course::wait(std::uint8_t block, const Operation& op) {
  const Phase phase = phase_[op.block];
  if (program_->blocks[op.block].start == BlockStart::kThread) {
    return phase == Phase::kNever ? refused(Errno::kNoChild) : Answer{};
  }
  if (phase == Phase::kNever || life_[op.block] == Life::kReaped) return refused(Errno::kNoChild);
  if (alive(op.block)) {
    if (Answer gone = end_process(op.block); !gone.lost.empty()) return gone;
  }
  Answer answer = ask(block, op);
  if (answer.lost.empty() && answer.error == Errno{0}) life_[op.block] = Life::kReaped;
  return answer;
}

std::vector<std::int64_t> Course::values_of(const std::vector<litmus::Term>& terms) {
  std::vector<std::int64_t> values(terms.size());
  for (const bool internal : {true, false}) {
    for (std::size_t i = 0; i < terms.size(); ++i) {
      if (litmus::is_internal(terms[i]) == internal) values[i] = value_of(terms[i]);
    }
  }
  return values;
}

std::int64_t Course::value_of(const litmus::Term& term) {
  switch (term.kind) {
    case litmus::Term::Kind::kLiteral:
      return term.literal;
    case litmus::Term::Kind::kRegister:
      return reg(term.block, term.reg);
    case litmus::Term::Kind::kMemory: {
      const std::uint8_t process = process_of_[term.block];
      return alive(process) ? executor_->look(process, term.place).result()
                            : -static_cast<std::int64_t>(Errno::kSigSegv);
    }
    case litmus::Term::Kind::kFaults:
      return faults_[term.block];
    case litmus::Term::Kind::kWaiting:
      // At the end: a run that ends otherwise with somebody unfinished is none of these.
      return phase_[term.block] == Phase::kRunning ? 1 : 0;
    case litmus::Term::Kind::kFinding:
      // Who judges knows.
      return 0;
    case litmus::Term::Kind::kFileWord:
    case litmus::Term::Kind::kDiskWord:
    case litmus::Term::Kind::kPool:
      return executor_->inspect(0, term).result();
    default: {
      const std::uint8_t process = process_of_[term.block];
      if (alive(process)) return executor_->inspect(process, term).result();
      return term.kind == litmus::Term::Kind::kRss ? 0 : -1;
    }
  }
}

namespace {

std::uint8_t lowest(BlockSet set) { return static_cast<std::uint8_t>(std::countr_zero(set)); }

}  // namespace

std::uint8_t Choices::choose(BlockSet runnable) {
  if (depth_ < path_.size()) return path_[depth_++].taken;
  std::uint8_t taken = lowest(runnable);
  if (random_) {
    auto skip = random_->below(static_cast<unsigned>(std::popcount(runnable)));
    for (BlockSet left = runnable; skip-- > 0;) {
      left = static_cast<BlockSet>(left & ~bit_of(lowest(left)));
      taken = lowest(left);
    }
    runnable = 0;
  } else if (!path_.empty() && (runnable & bit_of(path_.back().taken)) != 0) {
    taken = path_.back().taken;
  }
  path_.push_back({static_cast<BlockSet>(runnable & ~bit_of(taken)), taken});
  ++depth_;
  return taken;
}

bool Choices::next() {
  depth_ = 0;
  if (random_) {
    path_.clear();
    return true;
  }
  while (!path_.empty() && path_.back().left == 0) path_.pop_back();
  if (path_.empty()) return false;
  Choice& last = path_.back();
  last.taken = lowest(last.left);
  last.left = static_cast<BlockSet>(last.left & ~bit_of(last.taken));
  return true;
}

std::vector<std::uint8_t> Choices::taken() const {
  std::vector<std::uint8_t> blocks;
  for (const Choice& choice : path_) blocks.push_back(choice.taken);
  return blocks;
}

}  // namespace cowherd::live
