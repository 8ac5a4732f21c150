#pragma once

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "check/call_of.hpp"
#include "check/handler_step.hpp"
#include "check/removing.hpp"
#include "check/step_report.hpp"
#include "check/world.hpp"
#include "mm/sync.hpp"

namespace cowherd::check {

using litmus::OpCode;

/// Carries out the next operation of a block, in the machine and in the reference.
class Stepper {
 public:
  Stepper(World& world, std::uint8_t block)
      : world_(world),
        system_(world.system()),
        block_(block),
        process_(world.scene().process_of(block)),
        op_(world.operation(block)) {}

  StepReport run() {
    execute();
    // What ended before it came to where memory is concerned.
    if (!report_.blocked && world_.reference.under_way(block_)) world_.reference.abandon(block_);
    if (report_.blocked) return report_;
    report_.completed = true;
    if (!goes_on_ && op_.result) world_.reg(block_, *op_.result) = report_.result;
    if (!goes_on_) ++world_.control.agents[block_].pc;
    world_.claim_events(block_);
    note_breach(world_.control, report_.judgement);
    world_.settle();
    return report_;
  }

 private:
  [[nodiscard]] ProcessControl& own() { return world_.control.processes[process_]; }
  [[nodiscard]] DeviceControl& device() { return world_.control.devices[op_.device]; }
  [[nodiscard]] std::uint8_t page() const { return world_.scene().page_of(op_.place); }
  [[nodiscard]] Vaddr address() const { return world_.scene().address_of(op_.place); }
  [[nodiscard]] ByteCount length() const { return ByteCount{op_.place.pages * Geometry<G>::kPageBytes}; }
  [[nodiscard]] std::uint8_t target() const { return op_.target.value_or(process_); }
  [[nodiscard]] std::int64_t value() {
    return op_.value.is_register ? world_.reg(block_, op_.value.reg) : op_.value.literal;
  }

  spec::Observation seen(Errno error, std::int64_t observed = 0) {
    report_.result = error == Errno{0} ? observed : -static_cast<std::int64_t>(error);
    report_.blocked = error == Errno::kWouldBlock;
    return {error, observed, system_.frames().shortage()};
  }
  template <class T>
  static Errno error_of(const Result<T>& result) {
    return result.ok() ? Errno{0} : result.error();
  }
  /// Ends the operation in the reference, where it has begun if others may overlap it.
  void judge(const spec::Observation& observed) { judge(next_call(world_, block_), observed); }
  void judge(const Call& call, const spec::Observation& observed) {
    Reference& reference = world_.reference;
    report_.judgement =
        reference.under_way(block_) ? reference.complete(block_, observed) : reference.run(block_, call, observed);
  }
  /// For what the reference has no opinion about but that it may not fail for nothing.
  void judge_success(const spec::Observation& observed) {
    const bool for_lack = observed.short_of_memory && observed.error == Errno::kNoMemory;
    if (observed.error == Errno{0} || for_lack) return;
    report_.judgement.broken = spec::Clause::kAccess;
    report_.judgement.harm = spec::Harm::kWrongResult;
  }
  void refuse(Errno error) { report_.result = -static_cast<std::int64_t>(error); }

  void execute() {
    switch (op_.code) {
      case OpCode::kRead:
      case OpCode::kWrite:
        return access();
      case OpCode::kMmap:
      case OpCode::kMunmap:
      case OpCode::kMprotect:
      case OpCode::kMremap:
      case OpCode::kMsync:
      case OpCode::kMlock:
      case OpCode::kMunlock:
        return change_mapping();
      case OpCode::kMadvise:
        if (removes_in_parts(world_, block_)) return remove_part();
        return op_.advice == Advice::kCollapse ? collapse_range() : change_mapping();
      case OpCode::kFork:
      case OpCode::kVfork:
      case OpCode::kThread:
        return start();
      case OpCode::kExec:
        return exec();
      case OpCode::kExit:
        return exit();
      case OpCode::kWait:
        return wait();
      case OpCode::kPin:
        return pin();
      case OpCode::kUnpin:
      case OpCode::kUnpinDirty:
        return unpin();
      case OpCode::kDmaRead:
      case OpCode::kDmaWrite:
        return dma();
      case OpCode::kPtraceRead:
      case OpCode::kPtraceWrite:
        return ptrace();
      case OpCode::kLockPage:
        return lock_page();
      case OpCode::kUnlockPage:
        return unlock_page();
      case OpCode::kClearRefs:
      case OpCode::kNumaHint:
      case OpCode::kKsmUnmerge:
        return protect_entries();
      case OpCode::kKsmZero:
        return work_on_page(mm::ksm_zero<G>, {Errno::kBusy, Errno::kFault, Errno::kInvalid});
      case OpCode::kKsmMerge:
        return ksm_merge();
      case OpCode::kTryShare:
        return work_on_page(mm::try_share<G>, {Errno::kBusy, Errno::kFault});
      case OpCode::kSnapshot:
        return snapshot();
      case OpCode::kRestore:
        return restore();
      case OpCode::kFileRead:
      case OpCode::kFileWrite:
        return access_file();
      case OpCode::kTruncate:
      case OpCode::kPunch:
        return change_file();
      case OpCode::kWriteback:
      case OpCode::kDropCache:
        return sync_file();
      case OpCode::kSwapOut:
        return work_on_page(mm::swap_out<G>, {Errno::kBusy, Errno::kFault, Errno::kNoMemory});
      case OpCode::kSwapIn:
        return work_on_page(mm::swap_in<G>, {Errno::kBusy, Errno::kFault});
      case OpCode::kCollapse:
        return work_on_page(mm::collapse<G>, {Errno::kInvalid, Errno::kAgain, Errno::kBusy});
      case OpCode::kSplit:
        return work_on_page(mm::split<G>, {Errno::kBusy, Errno::kFault});
      case OpCode::kMigrate:
        return work_on_page(mm::migrate<G>, {Errno::kBusy, Errno::kFault});
      case OpCode::kPoison:
        return work_on_page(mm::poison<G>, {});
      case OpCode::kMakeExclusive:
        return work_on_page(mm::make_exclusive<G>, {});
      case OpCode::kDeviceRead:
      case OpCode::kDeviceWrite:
      case OpCode::kDeviceAdd:
        return access_as_device();
      case OpCode::kCompact:
        return make_room(mm::compact<G>, {});
      case OpCode::kOffline:
        return make_room(mm::offline<G>, {Errno::kBusy, Errno::kInvalid});
      case OpCode::kUffdRegister:
      case OpCode::kUffdUnregister:
      case OpCode::kUffdCopy:
      case OpCode::kUffdZeropage:
      case OpCode::kUffdContinue:
      case OpCode::kUffdWp:
      case OpCode::kUffdUnwp:
      case OpCode::kUffdMove:
      case OpCode::kUffdPoison:
      case OpCode::kUffdRead:
        return handle_faults();
    }
  }

  /// The reference knows neither: what is on the disk shows when all is over.
  void sync_file() {
    const mm::FileId file = world_.file(op_.file);
    const auto done = op_.code == OpCode::kWriteback ? mm::writeback(system_, file) : mm::drop_cache(system_, file);
    const auto observed = seen(error_of(done));
    if (!report_.blocked) judge_success(observed);
  }

  void access_file() {
    const bool writes = op_.code == OpCode::kFileWrite;
    const mm::FileId file = world_.file(op_.file);
    const ByteCount offset{op_.place.page * Geometry<G>::kPageBytes + op_.place.word * sizeof(std::int64_t)};
    const auto observed = word_access(
        writes, [&](auto to) { return mm::read_file<G>(system_, file, offset, to); },
        [&](auto from) { return mm::write_file<G>(system_, file, offset, from); });
    if (!report_.blocked) judge(observed);
  }

  void change_file() {
    const mm::FileId file = world_.file(op_.file);
    const PageCount first{op_.place.page};
    const auto done = op_.code == OpCode::kTruncate ? mm::truncate(system_, file, first)
                                                    : mm::punch(system_, file, first, PageCount{op_.place.pages});
    const auto observed = seen(error_of(done));
    if (!report_.blocked) judge(observed);
  }

  /// Calls read(bytes) or write(bytes) with the operation's word; returns what the reference is told.
  template <class Read, class Write>
  spec::Observation word_access(bool writes, Read&& read, Write&& write) {
    std::int64_t word = writes ? value() : 0;
    const mm::Live live(system_, "word", word);
    const mm::Access access =
        writes ? write(std::as_bytes(std::span(&word, 1))) : read(std::as_writable_bytes(std::span(&word, 1)));
    return seen(access.error, writes || access.error != Errno{0} ? 0 : word);
  }

  void access() {
    const bool writes = op_.code == OpCode::kWrite;
    const ProcessId id = own().id;
    const auto observed = word_access(
        writes, [&](auto to) { return mm::read<G>(system_, id, address(), to); },
        [&](auto from) { return mm::write<G>(system_, id, address(), from); });
    if (report_.blocked) return;
    if (observed.error == Errno::kSigSegv || observed.error == Errno::kSigBus) ++world_.control.agents[block_].faults;
    judge(observed);
  }

  void change_mapping() {
    const ProcessId id = own().id;
    const Vaddr at = world_.scene().address_of_page(page());
    spec::Observation observed;
    switch (op_.code) {
      case OpCode::kMmap:
        observed = seen(error_of(mm::mmap(system_, id, at, length(), op_.protection, map_flags_of(world_.scene(), op_),
                                          world_.backing_of(op_.place))));
        break;
      case OpCode::kMunmap:
        observed = seen(error_of(mm::munmap(system_, id, at, length())));
        break;
      case OpCode::kMprotect:
        observed = seen(error_of(mm::mprotect(system_, id, at, length(), op_.protection)));
        break;
      case OpCode::kMremap: {
        const ByteCount there{op_.to.pages * Geometry<G>::kPageBytes};
        const Vaddr to = world_.scene().address_of_page(world_.scene().page_of(op_.to));
        observed = seen(error_of(mm::mremap(system_, id, at, length(), there, op_.remap_flags, to)));
        break;
      }
      default:
        // mlock, munlock and msync are advice too.
        observed = seen(error_of(mm::madvise(system_, id, at, length(), call_of(world_, block_).advice)));
        break;
    }
    if (!report_.blocked) judge(observed);
  }

  void remove_part() {
    const RemovedPart part = remove_next(world_, block_);
    if ((report_.blocked = part.seen.error == Errno::kWouldBlock)) return;
    judge(part.seen);
    report_.result = -static_cast<std::int64_t>(settle_removal(world_, block_, part, goes_on_));
  }

  void start() {
    AgentControl& started = world_.control.agents[op_.block];
    if (op_.code == OpCode::kThread) {
      started.phase = Phase::kRunning;
      return;
    }
    const bool borrows = op_.code == OpCode::kVfork;
    const auto child = borrows ? mm::vfork(system_, own().id) : mm::fork(system_, own().id, world_.fork_mode());
    const auto observed = seen(error_of(child));
    if (report_.blocked) return;
    judge(observed);
    if (!child) {
      started.phase = Phase::kNever;
      return;
    }
    world_.control.processes[op_.block] = {*child, Life::kAlive, borrows, 0};
    if (!borrows) world_.note_new_space(op_.block);
    started.phase = Phase::kRunning;
  }

  void end_threads(BlockSet threads) {
    for (std::uint8_t b = 0; b < world_.scene().blocks(); ++b) {
      AgentControl& agent = world_.control.agents[b];
      if (contains(threads, b) && agent.phase == Phase::kRunning) agent.phase = Phase::kDone;
    }
  }

  void exec() {
    const auto observed = seen(error_of(mm::exec(system_, own().id)));
    if (report_.blocked) return;
    judge(observed);
    if (observed.error != Errno{0}) return;
    own().borrows = false;
    world_.note_new_space(process_);
    end_threads(static_cast<BlockSet>(world_.scene().threads_of(process_) & ~bit_of(block_)));
  }

  void exit() {
    const BlockSet others = static_cast<BlockSet>(world_.scene().threads_of(process_) & ~bit_of(block_));
    if ((others & world_.unfinished()) == 0) {
      const Call call = call_of(world_, block_);
      const auto observed = seen(error_of(world_.exit_process(process_)));
      if (report_.blocked) return;
      judge(call, observed);
    }
    world_.control.agents[block_].phase = Phase::kDone;
  }

  void wait() {
    ProcessControl& child = world_.control.processes[op_.block];
    const Phase phase = world_.control.agents[op_.block].phase;
    const bool is_thread = world_.scene().block(op_.block).start == litmus::BlockStart::kThread;
    if (is_thread) {
      if (phase == Phase::kNever) refuse(Errno::kNoChild);
      return;
    }
    if (phase == Phase::kNever || child.life == Life::kReaped) return refuse(Errno::kNoChild);
    if (child.life == Life::kAlive) {
      const Call call = call_of(world_, block_);
      const auto observed = seen(error_of(world_.exit_process(op_.block)));
      if (report_.blocked) return;
      judge(call, observed);
    }
    const auto observed = seen(error_of(mm::wait(system_, own().id, child.id)));
    if (report_.blocked) return;
    judge_success(observed);
    child.life = Life::kReaped;
    child.id = ProcessId{};
  }

  void pin() {
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    if (device().pages != 0) return refuse(Errno::kBusy);
    const ProcessControl& owner = world_.control.processes[target()];
    const Vaddr at = world_.scene().address_of_page(page());
    const auto pinned = mm::pin(system_, owner.id, at, PageCount{op_.place.pages}, op_.pin_flags, op_.times);
    const auto observed =
        seen(error_of(pinned), pinned.ok() ? static_cast<std::int64_t>(pinned->pages.value()) : std::int64_t{0});
    if (report_.blocked) return;
    judge(observed);
    if (!pinned) return;
    device() = {pinned->id, static_cast<std::uint8_t>(pinned->pages.value()), op_.pin_flags, 0};
  }

  void unpin() {
    if (device().pages == 0) return refuse(Errno::kNoDevice);
    mm::unpin(system_, device().pin, op_.code == OpCode::kUnpinDirty);
    judge({});
    device() = {mm::PinId{}, 0, PinFlags::kNone, 0};
  }

  void dma() {
    const bool writes = op_.code == OpCode::kDmaWrite;
    const DeviceControl held = device();
    const ByteCount offset{op_.place.page * Geometry<G>::kPageBytes + op_.place.word * sizeof(std::int64_t)};
    spec::Observation observed;
    if (held.pages == 0) {
      observed = seen(Errno::kNoDevice);
    } else {
      observed = word_access(
          writes, [&](auto to) { return mm::dma_read<G>(system_, held.pin, offset, to); },
          [&](auto from) { return mm::dma_write<G>(system_, held.pin, offset, from); });
    }
    if (report_.blocked) return;
    judge(observed);
  }

  void ptrace() {
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    const bool writes = op_.code == OpCode::kPtraceWrite;
    const ProcessControl& owner = world_.control.processes[target()];
    const auto observed = word_access(
        writes, [&](auto to) { return mm::ptrace_read<G>(system_, owner.id, address(), to); },
        [&](auto from) { return mm::ptrace_write<G>(system_, owner.id, address(), from); });
    if (report_.blocked) return;
    judge(observed);
  }

  void access_as_device() {
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    const ProcessId id = world_.control.processes[target()].id;
    const auto observed = word_access(
        op_.code != OpCode::kDeviceRead, [&](auto to) { return mm::device_read<G>(system_, id, address(), to); },
        [&](auto from) {
          if (op_.code == OpCode::kDeviceWrite) return mm::device_write<G>(system_, id, address(), from);
          return mm::device_add<G>(system_, id, address(), value());
        });
    if (!report_.blocked) judge(observed);
  }

  void lock_page() {
    Control& control = world_.control;
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    if (control.locks == kMaxPageLocks) return refuse(Errno::kAgain);
    const auto locked = mm::lock_page(system_, control.processes[target()].id, address());
    (void)seen(error_of(locked));
    if (!locked) return;
    control.page_locks[control.locks++] = {*locked, target(), page(), block_, 0};
  }

  void unlock_page() {
    Control& control = world_.control;
    for (std::uint8_t i = control.locks; i-- > 0;) {
      const LockControl lock = control.page_locks[i];
      if (lock.block != block_ || lock.process != target() || lock.page != page()) continue;
      mm::unlock_page(system_, lock.frame);
      --control.locks;
      for (std::uint8_t j = i; j < control.locks; ++j) control.page_locks[j] = control.page_locks[j + 1];
      control.page_locks[control.locks] = {};
      return;
    }
    refuse(Errno::kInvalid);
  }

  // The reference knows none of these: they change nothing that may be observed.
  void protect_entries() {
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    const Vaddr at = world_.scene().address_of_page(page());
    const auto act = op_.code == OpCode::kNumaHint    ? mm::numa_hint<G>
                     : op_.code == OpCode::kClearRefs ? mm::clear_refs<G>
                                                      : mm::ksm_unmerge<G>;
    const auto observed = seen(error_of(act(system_, world_.control.processes[target()].id, at, length())));
    if (!report_.blocked) judge_success(observed);
  }

  void handle_faults() {
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    const auto done = act_as_handler(world_, target(), op_, value());
    const auto observed = seen(error_of(done), done ? *done : 0);
    if (!report_.blocked) judge(observed);
  }

  void ksm_merge() {
    const std::uint8_t second = op_.to_target.value_or(process_);
    if (!world_.alive(target()) || !world_.alive(second)) return refuse(Errno::kNoProcess);
    const auto& processes = world_.control.processes;
    const Vaddr other = world_.scene().address_of_page(world_.scene().page_of(op_.to));
    const auto observed =
        seen(error_of(mm::ksm_merge(system_, processes[target()].id, address(), processes[second].id, other)));
    const bool refused = observed.error == Errno::kBusy || observed.error == Errno::kFault ||
                         observed.error == Errno::kInvalid || observed.error == Errno::kNoProcess;
    if (!report_.blocked && !refused) judge_success(observed);
  }

  /// Work of the kernel on one page; `refusals`: there is nothing to do, or it must not be done.
  template <class Work>
  void work_on_page(Work&& work, std::initializer_list<Errno> refusals) {
    if (!world_.alive(target())) return refuse(Errno::kNoProcess);
    const auto observed = seen(error_of(work(system_, world_.control.processes[target()].id, address())));
    if (report_.blocked || std::find(refusals.begin(), refusals.end(), observed.error) != refusals.end()) return;
    op_.code == OpCode::kPoison || op_.code == OpCode::kMakeExclusive ? judge(observed) : judge_success(observed);
  }

  /// As work_on_page(), on memory as a whole.
  template <class Work>
  void make_room(Work&& work, std::initializer_list<Errno> refusals) {
    const auto observed = seen(error_of(work(system_)));
    if (report_.blocked || std::find(refusals.begin(), refusals.end(), observed.error) != refusals.end()) return;
    judge_success(observed);
  }

  void collapse_range() {
    const auto work = [this](mm::System<G>& system, ProcessId process, Vaddr at) {
      return mm::madvise(system, process, at, length(), Advice::kCollapse);
    };
    work_on_page(work, {Errno::kInvalid, Errno::kAgain, Errno::kBusy});
  }

  [[nodiscard]] ProcessControl& taken() {
    return world_.control.processes[world_.scene().process_of_snapshot(op_.snapshot)];
  }

  void snapshot() {
    if (taken().life == Life::kAlive) return refuse(Errno::kBusy);
    const auto copy = mm::fork(system_, own().id, ForkMode::kSharedSubtrees, false);
    const auto observed = seen(error_of(copy));
    if (report_.blocked) return;
    judge(observed);
    if (!copy) return;
    mm::disown(system_, *copy);
    taken() = {*copy, Life::kAlive, false, 0};
  }

  void restore() {
    if (taken().life != Life::kAlive) return refuse(Errno::kInvalid);
    const auto observed = seen(error_of(mm::restore(system_, own().id, taken().id)));
    if (!report_.blocked) judge(observed);
  }

  World& world_;
  mm::System<G>& system_;
  std::uint8_t block_;
  std::uint8_t process_;
  const litmus::Operation& op_;
  StepReport report_;
  bool goes_on_ = false;  // The operation is not over: its next part follows.
};

}  // namespace cowherd::check
