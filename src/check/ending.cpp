#include "check/ending.hpp"

#include <bit>

#include "check/handler_calls.hpp"

namespace cowherd::check {

namespace {

using Kind = Call::Kind;
using spec::judge_result;
using spec::Judgement;
using spec::Observation;

constexpr Errno kSuccess{0};

class Ending {
 public:
  Ending(Configuration& past, const InFlight& in_flight, std::uint8_t agent, const Observation& seen)
      : past_(past),
        spec_(past.spec),
        in_flight_(in_flight),
        agent_(agent),
        pending_(in_flight.pending[agent]),
        call_(pending_.call),
        done_(past.done(agent)),
        seen_(seen) {}

  Judgement run() {
    switch (call_.kind) {
      case Kind::kRead:
        return spec_.read(pending_.space, call_.page, call_.word, seen_);
      case Kind::kWrite:
        return write();
      case Kind::kMmap:
      case Kind::kMunmap:
      case Kind::kMprotect:
      case Kind::kMadvise:
      case Kind::kMremap:
        return change_mapping();
      case Kind::kFork:
        return fork();
      case Kind::kRestore:
        return restore();
      case Kind::kPoison:
        if (!succeeded()) return done_.taken ? judge_result(kSuccess, seen_) : Judgement{};
        return done_.taken ? Judgement{} : spec_.poison(pending_.space, call_.page, seen_);
      case Kind::kExec:
        return exec();
      case Kind::kExit:
        if (succeeded() && !done_.taken) leave_space();
        return {};
      case Kind::kPin:
        return pin();
      case Kind::kUnpin:
        spec_.unpin(pending_.pin());
        return {};
      case Kind::kDmaRead:
        return spec_.dma_read(pending_.pin(), call_.page, call_.word, seen_);
      case Kind::kDmaWrite:
        return dma_write();
      case Kind::kMakeExclusive:
        if (met_nobody()) return {};
        return done_.taken ? judge_result(kSuccess, seen_) : spec_.make_exclusive(pending_.space, call_.page, seen_);
      case Kind::kDeviceRead:
      case Kind::kDeviceWrite:
      case Kind::kDeviceAdd:
        return of_device();
      case Kind::kForceRead:
      case Kind::kForceWrite:
        return force();
      case Kind::kFileRead:
      case Kind::kFileWrite:
      case Kind::kTruncate:
      case Kind::kPunch:
        return on_file();
      case Kind::kUffdRegister:
      case Kind::kUffdFill:
      case Kind::kUffdContinue:
      case Kind::kUffdProtect:
      case Kind::kUffdMove:
      case Kind::kUffdRead:
        return of_handler();
      case Kind::kUffdTell:
        return tell_of_removal();
      case Kind::kVfork:
        return succeeded() ? Judgement{} : judge_start();
      case Kind::kNothing:
      case Kind::kUffdAwait:
        break;
    }
    return {};
  }

  Judgement run_stale(const spec::StalePage& stale) {
    const bool possible =
        succeeded() && (call_.kind == Kind::kRead ? spec_.reads_stale(stale, call_.word, seen_.value)
                                                  : spec_.write_stale(stale, call_.word, call_.value));
    Judgement judgement;
    if (!possible) judgement.broken = spec::Clause::kAccess;
    return judgement;
  }

 private:
  [[nodiscard]] bool succeeded() const { return seen_.error == kSuccess; }
  [[nodiscard]] bool done(std::uint8_t index) const { return (done_.pages >> index & 1u) != 0; }
  [[nodiscard]] std::uint8_t page(std::uint8_t index) const { return static_cast<std::uint8_t>(call_.page + index); }

  Judgement write() {
    const auto before = spec_.peek(pending_.space, call_.page, call_.word);
    const Judgement judgement = spec_.write(pending_.space, call_.page, call_.word, call_.value, seen_);
    note_store(pending_.space, call_.page, before);
    return judgement;
  }

  void note_store(spec::SpaceId space, std::uint8_t at, std::optional<std::int64_t> before) {
    const auto after = spec_.peek(space, at, call_.word);
    if (before && after) past_.note_store(in_flight_, space, at, call_.word, *before, *after);
  }

  Judgement dma_write() {
    const spec::SpecPinId pin = pending_.pin();
    const bool attached = call_.page < spec_.pages_held(pin) && spec_.attached(pin, call_.page);
    if (!attached) return spec_.dma_write(pin, call_.page, call_.word, call_.value, seen_);
    const spec::SpaceId owner = spec_.owner(pin);
    const auto at = spec_.page_of(pin, call_.page);
    const auto before = spec_.peek(owner, at, call_.word);
    const Judgement judgement = spec_.dma_write(pin, call_.page, call_.word, call_.value, seen_);
    note_store(owner, at, before);
    return judgement;
  }

  Judgement change_mapping() {
    if (done_.taken) return seen_.for_shortage() ? Judgement{} : judge_result(Errno::kInvalid, seen_);
    if (done_.pages == 0 && !done_.refused) {
      return past_.refused_by_hugetlb(pending_) && !seen_.for_shortage() ? judge_result(Errno::kInvalid, seen_)
                                                                         : change_whole_mapping();
    }
    if (call_.kind == Kind::kMadvise &&
        (call_.advice == Advice::kPopulateRead || call_.advice == Advice::kPopulateWrite ||
         call_.advice == Advice::kLock || call_.advice == Advice::kUnlock)) {
      return populate_rest();
    }
    // What fails for want of memory changes nothing, and here it has.
    if (seen_.for_shortage() && done_.pages != 0) return judge_result(kSuccess, seen_);
    if (seen_.for_shortage()) return {};
    switch (call_.kind) {
      case Kind::kMmap:
        return map_rest();
      case Kind::kMunmap:
        for (std::uint8_t i = 0; i < call_.count; ++i) {
          if (!done(i)) (void)spec_.munmap(pending_.space, page(i), 1, {});
        }
        return judge_result(kSuccess, seen_);
      case Kind::kMprotect:
        return protect_rest();
      case Kind::kMremap:
        return remap_rest();
      default:
        return advise_rest();
    }
  }

  Judgement change_whole_mapping() {
    const bool unmaps = call_.kind == Kind::kMmap || call_.kind == Kind::kMunmap;
    const bool tells = unmaps && succeeded() && spec_.tells_of_unmap(pending_.space, call_.page, call_.count);
    const Judgement judgement = judge_whole_mapping();
    if (tells && judgement.ok()) spec_.tell_of_unmap(pending_.space);
    return judgement;
  }

  Judgement judge_whole_mapping() {
    switch (call_.kind) {
      case Kind::kMmap:
        return spec_.mmap(pending_.space, call_.page, call_.count, call_.protection, call_.map_flags, seen_,
                          call_.backing);
      case Kind::kMunmap:
        return spec_.munmap(pending_.space, call_.page, call_.count, seen_);
      case Kind::kMprotect:
        return spec_.mprotect(pending_.space, call_.page, call_.count, call_.protection, seen_);
      case Kind::kMremap:
        return spec_.mremap(pending_.space, call_.remap, seen_);
      default:
        if (const std::uint8_t count = past_.discarded_by(pending_); count != 0) {
          return spec_.madvise(pending_.space, call_.page, count, call_.advice, seen_);
        }
        return seen_.for_shortage() ? Judgement{} : judge_result(kSuccess, seen_);
    }
  }

  [[nodiscard]] MapFlags without_no_replace() const {
    return has(call_.map_flags, MapFlags::kHugetlb) ? MapFlags::kFixed | MapFlags::kHugetlb : MapFlags::kFixed;
  }

  Judgement map_rest() {
    if (done_.refused) return judge_result(Errno::kExist, seen_);
    for (std::uint8_t i = 0; i < call_.count; ++i) {
      if (!done(i))
        (void)spec_.mmap(pending_.space, page(i), 1, call_.protection, without_no_replace(), {}, call_.backing_of(i));
    }
    return judge_result(kSuccess, seen_);
  }

  Judgement remap_rest() {
    if (done_.refused) return judge_result(static_cast<Errno>(done_.value), seen_);
    const std::uint8_t kept = call_.remap.kept();
    for (std::uint8_t i = 0; i < call_.count; ++i) {
      if (!done(i)) spec_.remap_part(pending_.space, call_.remap, i, i >= kept);
    }
    return judge_result(kSuccess, seen_);
  }

  Judgement protect_rest() {
    const auto count = done_.refused ? static_cast<std::uint8_t>(done_.value) : call_.count;
    for (std::uint8_t i = 0; i < count; ++i) {
      if (done(i)) continue;
      if (!spec_.mprotect(pending_.space, page(i), 1, call_.protection, {}).ok()) {
        return judge_result(Errno::kNoMemory, seen_);
      }
    }
    return judge_result(done_.refused ? Errno::kNoMemory : kSuccess, seen_);
  }

  Judgement advise_rest() {
    bool hole = done_.refused;
    const StoppedEarly stopped = StoppedEarly::of(done_.value);
    const auto count = stopped.pages != 0 ? stopped.pages : call_.count;
    for (std::uint8_t i = 0; i < count; ++i) {
      if (done(i)) continue;
      const Errno stops = spec_.advice_stops(pending_.space, page(i), call_.advice, succeeded());
      if (stops != Errno{0}) return judge_result(stops, seen_);
      if (i >= past_.discarded_by(pending_)) continue;
      hole = !past_.advise_page(pending_, page(i)).ok() || hole;
    }
    if (stopped.pages != 0) return judge_result(stopped.error, seen_);
    return judge_result(hole ? Errno::kNoMemory : kSuccess, seen_);
  }

  Judgement populate_rest() {
    if (seen_.for_shortage()) return {};
    if (done_.refused) return judge_result(static_cast<Errno>(done_.value), seen_);
    for (std::uint8_t i = 0; i < call_.count; ++i) {
      if (done(i)) continue;
      const Judgement as_seen = spec_.madvise(pending_.space, page(i), 1, call_.advice, seen_);
      if (!succeeded() && as_seen.ok()) return as_seen;
      const Judgement as_good = spec_.madvise(pending_.space, page(i), 1, call_.advice, {});
      if (!as_good.ok()) return judge_result(as_good.expected_error, seen_);
    }
    return judge_result(kSuccess, seen_);
  }

  /// Of fork, vfork, restore and exec: they may fail for want of memory, and for nothing else that the reference knows
  /// of.
  [[nodiscard]] Judgement judge_start() const {
    if (seen_.short_of_memory && seen_.error == Errno::kNoMemory) return {};
    // Rules may refuse to fork while pages are pinned; that breaks no promise about memory.
    if (seen_.error == Errno::kBusy && call_.kind != Kind::kExec) return {};
    return judge_result(kSuccess, seen_);
  }

  Judgement fork() {
    if (!succeeded()) return done_.taken ? judge_result(kSuccess, seen_) : judge_start();
    if (!done_.taken) spec_.fork(pending_.space, pending_.fresh, has(call_.uffd, UffdFlags::kReadsEvents));
    return {};
  }

  Judgement restore() {
    if (!succeeded()) return done_.taken ? judge_result(kSuccess, seen_) : judge_start();
    if (!done_.taken) spec_.restore(pending_.space, pending_.fresh);
    return {};
  }

  Judgement exec() {
    if (!succeeded()) return done_.taken ? judge_result(kSuccess, seen_) : judge_start();
    if (!done_.taken) leave_space();
    spec_.create_space(pending_.fresh);
    return {};
  }

  void leave_space() {
    if (pending_.drops && !in_flight_.held(pending_.space, agent_)) spec_.drop_space(pending_.space);
  }

  /// The process had ended when the operation looked for it.
  [[nodiscard]] bool met_nobody() const {
    const bool gone = pending_.is_of_debugger() ? past_.is_gone(in_flight_, pending_) : !spec_.exists(pending_.space);
    return gone && seen_.error == Errno::kNoProcess && done_.pages == 0 && !done_.taken;
  }

  Judgement pin() {
    if (met_nobody()) return {};
    spec::PinSoFar so_far{static_cast<std::uint8_t>(std::popcount(done_.pages)), done_.refused};
    // The process has another address space by now, where this pin has no business.
    if (so_far.bound > 0 && spec_.owner(pending_.pin()) != pending_.space) so_far.stopped = true;
    const Judgement judgement =
        spec_.pin(pending_.pin(), pending_.space, call_.page, call_.count, call_.pin_flags, so_far, seen_);
    // Whatever it should have got: a device that holds nothing can be given another pin.
    if (!succeeded() || seen_.value == 0) spec_.unpin(pending_.pin());
    return judgement;
  }

  Judgement force() {
    if (met_nobody()) return {};
    if (done_.refused) return seen_.for_shortage() ? Judgement{} : judge_result(Errno::kFault, seen_);
    if (seen_.error == Errno::kFault && !done_.taken && past_.is_gone(in_flight_, pending_)) return {};
    if (seen_.error == Errno::kFault && !done_.taken && call_.kind == Kind::kForceWrite &&
        spec_.may_refuse_force(pending_.space, call_.page)) {
      return {};
    }
    // It may have met the page after it failed.
    if (seen_.error == Errno::kFault && spec_.may_have_failed(pending_.space, call_.page)) return {};
    const bool reads = call_.kind == Kind::kForceRead;
    if (done_.taken && (!reads || !succeeded() || seen_.value == done_.value)) {
      return reads && seen_.for_shortage() ? Judgement{} : judge_result(kSuccess, seen_);
    }
    if (!spec_.exists(pending_.space)) return judge_result(Errno::kNoProcess, seen_);
    if (reads) return spec_.force_read(pending_.space, call_.page, call_.word, seen_);
    const auto before = spec_.peek(pending_.space, call_.page, call_.word);
    const Judgement judgement = spec_.force_write(pending_.space, call_.page, call_.word, call_.value, seen_);
    note_store(pending_.space, call_.page, before);
    return judgement;
  }

  Judgement of_device() {
    if (met_nobody()) return {};
    const bool reads = call_.kind == Kind::kDeviceRead;
    // Whether it has the page the reference does not know.
    if (seen_.error == Errno::kNoDevice) return done_.taken && !reads ? judge_result(kSuccess, seen_) : Judgement{};
    if (done_.taken && (!reads || !succeeded() || seen_.value == done_.value)) return judge_result(kSuccess, seen_);
    if (reads) return spec_.device_read(pending_.space, call_.page, call_.word, seen_);
    const auto before = spec_.peek(pending_.space, call_.page, call_.word);
    const Judgement judgement = call_.kind == Kind::kDeviceAdd
                                    ? spec_.device_add(pending_.space, call_.page, call_.word, call_.value, seen_)
                                    : spec_.device_write(pending_.space, call_.page, call_.word, call_.value, seen_);
    note_store(pending_.space, call_.page, before);
    return judgement;
  }

  Judgement of_handler() {
    if (met_nobody()) return {};
    if (done_.taken && call_.kind == Kind::kUffdRead) return spec::judge_event(done_.value, seen_);
    if (done_.taken) return judge_result(kSuccess, seen_);
    if (done_.refused && (is_refused_with(done_.value, seen_.error) || seen_.for_shortage())) return {};
    if (done_.refused) return judge_result(Errno::kExist, seen_);
    return run_handler_call(spec_, pending_, seen_);
  }

  Judgement tell_of_removal() {
    if (done_.taken) {
      const spec::Removal said = removal_of(done_.value);
      return said.tells && seen_.for_shortage() ? judge_result(kSuccess, seen_) : judge_said(said, seen_);
    }
    const spec::Removal removal = spec_.removal(pending_.space, call_.page, call_.count, call_.advice);
    if (removal.tells && succeeded()) spec_.tell_of_removal(pending_.space);
    return judge_said(removal, seen_);
  }

  Judgement on_file() {
    const spec::FileNumber file = call_.backing.file;
    const bool reads = call_.kind == Kind::kFileRead;
    if (done_.taken && (!reads || !succeeded() || seen_.value == done_.value)) {
      return reads && seen_.for_shortage() ? Judgement{} : judge_result(kSuccess, seen_);
    }
    switch (call_.kind) {
      case Kind::kFileRead:
        return spec_.read_file(file, call_.page, call_.word, seen_);
      case Kind::kFileWrite:
        return spec_.write_file(file, call_.page, call_.word, call_.value, seen_);
      case Kind::kTruncate:
        return spec_.truncate(file, call_.page, seen_);
      default:
        return spec_.punch(file, call_.page, call_.count, seen_);
    }
  }

  Configuration& past_;
  spec::Spec& spec_;
  const InFlight& in_flight_;
  std::uint8_t agent_;
  const Pending& pending_;
  const Call& call_;
  const PartsDone& done_;
  const Observation& seen_;
};

}  // namespace

Judgement end(Configuration& past, const InFlight& in_flight, std::uint8_t agent, const Observation& seen,
              const spec::StalePage* stale) {
  Ending ending(past, in_flight, agent, seen);
  return stale == nullptr ? ending.run() : ending.run_stale(*stale);
}

}  // namespace cowherd::check
