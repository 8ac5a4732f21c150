#include "spec/spec.hpp"

#include <algorithm>
#include <cassert>

namespace cowherd::spec {

namespace {

constexpr Errno kSuccess{0};

// On x86 a page that can be written can be read.
bool can_read(const Page* page) { return page != nullptr && page->protection != Protection::kNone; }
bool can_write(const Page* page) { return page != nullptr && has(page->protection, Protection::kWrite); }

/// What an access comes to that the mapping allows, or does not; `cut`: the page lies behind the end of its file.
Errno access_error(bool allowed, bool cut) { return !allowed ? Errno::kSigSegv : cut ? Errno::kSigBus : kSuccess; }

Grant kernel_reads(const Page* page) {
  if (!can_read(page)) return Grant::kNo;
  return has(page->protection, Protection::kRead) ? Grant::kYes : Grant::kEither;
}

Grant kernel_writes(const Page* page) { return can_write(page) ? Grant::kYes : Grant::kNo; }

Grant grants(const Page* page, PinFlags flags) {
  if (page == nullptr || page->secret || page->has_failed()) return Grant::kNo;
  if (page->failure == Failure::kMaybe) return Grant::kEither;
  // A private mapping may always be read and written by force: VM_MAYREAD and VM_MAYWRITE are set. Of a shared one no
  // copy is made for that.
  const bool shared_write = page->view == View::kShared && has(flags, PinFlags::kWrite);
  // Whether hugetlb memory may be written by force is the rules' business.
  const bool hugetlb_write = page->hugetlb != 0 && has(flags, PinFlags::kWrite) && !can_write(page);
  if (has(flags, PinFlags::kForce) && hugetlb_write && !shared_write) return Grant::kEither;
  if (has(flags, PinFlags::kForce) && !shared_write) return Grant::kYes;
  return has(flags, PinFlags::kWrite) ? kernel_writes(page) : kernel_reads(page);
}

/// Applies an advice that is about the mapping, not about its contents now.
void mark(Page& page, Advice advice) {
  if (advice == Advice::kDontFork) page.dont_fork = true;
  if (advice == Advice::kDoFork) page.dont_fork = false;
  if (advice == Advice::kWipeOnFork) page.wipe_on_fork = true;
  if (advice == Advice::kKeepOnFork) page.wipe_on_fork = false;
}

/// What else was allowed.
void allow_too(Judgement& judgement, std::int64_t value) {
  if (judgement.allowed_count < std::size(judgement.allowed)) judgement.allowed[judgement.allowed_count++] = value;
}

Strength strength_of(PinFlags flags) {
  if (has(flags, PinFlags::kWrite)) return Strength::kWrite;
  return has(flags, PinFlags::kLongTerm) ? Strength::kReadLong : Strength::kReadShort;
}

}  // namespace

bool takes_from_memory(Advice advice) {
  return advice == Advice::kDontNeed || advice == Advice::kFree || advice == Advice::kCold ||
         advice == Advice::kPageOut;
}

Spec::Spec() { packed_.resize(512); }

State& Spec::change() {
  packed_is_current_ = false;
  return state_;
}

std::span<const std::byte> Spec::bytes() const {
  if (!packed_is_current_) {
    Packer out(packed_);
    state_.pack(out);
    packed_size_ = out.size();
    packed_is_current_ = true;
  }
  return std::span(packed_).first(packed_size_);
}

void Spec::assign(std::span<const std::byte> bytes) {
  Unpacker in(bytes);
  change().unpack(in);
  assert(in.at_end());
}

SpaceId Spec::create_space() {
  const SpaceId space = state_.free_space();
  change().create(space);
  return space;
}

void Spec::create_space(SpaceId space) { change().create(space); }

void Spec::drop_space(SpaceId space) { change().drop(space); }

SpaceId Spec::fork(SpaceId parent) {
  const SpaceId child = state_.free_space();
  change().fork(parent, child, true);
  return child;
}

void Spec::fork(SpaceId parent, SpaceId child, bool told) { change().fork(parent, child, told); }

void Spec::restore(SpaceId space, SpaceId from) { change().restore(space, from); }

void Spec::flush(std::uint8_t keeper) { change().forget(keeper); }

bool Spec::reads_stale(const StalePage& stale, std::uint8_t word, std::int64_t value) const {
  return stale.protection != Protection::kNone && state_.load(stale, word) == value;
}

bool Spec::write_stale(const StalePage& stale, std::uint8_t word, std::int64_t value) {
  if (!has(stale.protection, Protection::kWrite)) return false;
  change().store(stale, word, value);
  return true;
}

void Spec::tear(SpaceId child, std::uint8_t page, std::uint8_t word, std::int64_t value) {
  change().adopt(child, page, word, value);
}

bool Spec::hands_on(SpaceId space, std::uint8_t page) const {
  const Page* at = state_.find(space, page);
  return at != nullptr && at->view == View::kOwn && !at->dont_fork && !at->wipe_on_fork;
}

std::optional<Protection> Spec::protection(SpaceId space, std::uint8_t page) const {
  const Page* at = state_.find(space, page);
  if (at == nullptr) return std::nullopt;
  return at->protection;
}

std::optional<std::int64_t> Spec::peek(SpaceId space, std::uint8_t page, std::uint8_t word) const {
  const Page* at = state_.find(space, page);
  if (at == nullptr || state_.beyond_end(*at)) return std::nullopt;
  return state_.load(space, page, word);
}

bool Spec::may_refuse_force(SpaceId space, std::uint8_t page) const {
  return grants(state_.find(space, page), PinFlags::kForce | PinFlags::kWrite) == Grant::kEither;
}

Judgement Spec::mmap(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection, MapFlags flags,
                     Observation seen, Backing backing) {
  if (seen.for_shortage()) return {};
  Errno expected = kSuccess;
  if (has(flags, MapFlags::kFixedNoReplace)) {
    for (std::uint8_t page = first; page < first + count; ++page) {
      if (state_.find(space, page) != nullptr) expected = Errno::kExist;
    }
  }
  if (expected == kSuccess) {
    for (std::uint8_t page = first; page < first + count; ++page) {
      if (backing.file != kAnonymous) {
        const auto file_page = static_cast<std::uint8_t>(backing.first + (page - first));
        change().map_file(space, page, protection, backing.file, file_page, backing.shared);
      } else if (backing.shared) {
        change().map_shared(space, page, protection);
      } else {
        change().map(space, page, protection);
      }
      Page& made = *state_.find(space, page);
      made.secret = has(flags, MapFlags::kSecret);
      if (has(flags, MapFlags::kHugetlb)) {
        made.hugetlb = static_cast<std::uint8_t>((backing.first + (page - first)) % kHugetlbPages + 1);
      }
      extend_file(made);
      // A mapping that could not be filled is one, too.
      if (has(flags, MapFlags::kPopulate) && made.presence == Presence::kAbsent) made.presence = Presence::kMaybe;
    }
  }
  return judge_result(expected, seen);
}

Judgement Spec::munmap(SpaceId space, std::uint8_t first, std::uint8_t count, Observation seen) {
  if (seen.for_shortage()) return {};
  for (std::uint8_t page = first; page < first + count; ++page) change().unmap(space, page);
  return judge_result(kSuccess, seen);
}

Judgement Spec::mprotect(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection,
                         Observation seen) {
  if (seen.for_shortage()) return {};
  for (std::uint8_t i = first; i < first + count; ++i) {
    Page* page = change().find(space, i);
    if (page == nullptr) return judge_result(Errno::kNoMemory, seen);
    page->protection = protection;
  }
  return judge_result(kSuccess, seen);
}

void Spec::note_locked(SpaceId space, std::uint8_t first, std::uint8_t count, Mark locked) {
  for (std::uint8_t i = first; i < first + count; ++i) {
    Page* page = change().find(space, i);
    if (page == nullptr) return;
    if (locked != Mark::kMaybe || page->locked == Mark::kNo) page->locked = locked;
  }
}

bool Spec::any_locked(SpaceId space, std::uint8_t first, std::uint8_t count, bool surely) const {
  for (std::uint8_t i = first; i < first + count; ++i) {
    const Page* page = state_.find(space, i);
    if (page != nullptr && page->hugetlb == 0 && page->locked >= (surely ? Mark::kYes : Mark::kMaybe)) return true;
  }
  return false;
}

Errno Spec::advice_stops(SpaceId space, std::uint8_t page, Advice advice, bool surely) const {
  const bool locked = any_locked(space, page, 1, surely);
  if (takes_from_memory(advice)) return locked ? Errno::kInvalid : Errno{0};
  const Page* at = advice == Advice::kRemove ? state_.find(space, page) : nullptr;
  if (at == nullptr) return Errno{0};
  const bool of_no_file = at->view != View::kShared && at->file == kAnonymous && at->hugetlb == 0;
  if (locked || of_no_file) return Errno::kInvalid;
  return at->view == View::kShared ? Errno{0} : Errno::kAccess;
}

Judgement Spec::madvise(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice, Observation seen) {
  if (advice == Advice::kLock) note_locked(space, first, count, seen.for_shortage() ? Mark::kMaybe : Mark::kYes);
  if (seen.for_shortage()) return {};
  if (advice == Advice::kUnlock) note_locked(space, first, count, Mark::kNo);
  // What a page is made of, and whether it can be, is nobody's business here.
  if (advice == Advice::kCollapse && (seen.error == Errno::kInvalid || seen.error == Errno::kAgain)) return {};
  const bool locks = advice == Advice::kLock || advice == Advice::kUnlock;
  const bool populates = advice == Advice::kPopulateRead || advice == Advice::kPopulateWrite || locks;
  if (advice == Advice::kWipeOnFork || advice == Advice::kFree) {
    // Only what is private, and of no file, can be empty in the child.
    for (std::uint8_t i = first; i < first + count; ++i) {
      const Page* page = state_.find(space, i);
      if (page == nullptr || (page->view == View::kOwn && page->file == kAnonymous)) continue;
      return judge_result(Errno::kInvalid, seen);
    }
  }
  bool locks_hole = false;
  for (std::uint8_t i = first; advice == Advice::kLock && i < first + count; ++i) {
    locks_hole = locks_hole || state_.find(space, i) == nullptr;
  }
  bool hole = false;
  // mlock brings in what it locks, and cannot.
  bool closed = false;
  for (std::uint8_t i = first; i < first + count; ++i) {
    Page* page = change().find(space, i);
    // Who asks for a write is refused first where the mapping forbids it.
    const bool may = page != nullptr && (advice == Advice::kPopulateWrite ? can_write(page) : can_read(page));
    const bool brings_in = populates && !locks && may;
    if (brings_in && is_told_of_failure(space, i, Errno::kHwPoison, seen)) {
      // Nobody was told which of several it was.
      const bool surely = failed(space, i) || !any_may_have_failed(space, i + 1u, first + unsigned{count});
      return surely ? judge_failed(space, i, Errno::kHwPoison, seen) : judge_result(Errno::kHwPoison, seen);
    }
    if (const Errno stops = advice_stops(space, i, advice, seen.error != Errno::kInvalid); stops != Errno{0}) {
      return judge_result(stops, seen);
    }
    if (page == nullptr) {
      hole = true;
      if (populates) break;
    } else if (locks) {
      if (advice == Advice::kUnlock || locks_hole || closed) continue;
      closed = page->protection == Protection::kNone || state_.beyond_end(*page) ||
               is_told_of_failure(space, i, Errno::kNoMemory, seen);
      if (!closed && !meets(space, i, can_write(page))) return unasked();
    } else if (populates) {
      const Grant grant = advice == Advice::kPopulateWrite ? kernel_writes(page) : kernel_reads(page);
      const bool granted = grant == Grant::kYes || (grant == Grant::kEither && seen.error != Errno::kInvalid);
      if (!granted) return judge_result(Errno::kInvalid, seen);
      if (state_.beyond_end(*page)) return judge_result(Errno::kFault, seen);
      if (!meets(space, i, advice == Advice::kPopulateWrite)) return unasked();
    } else if (advice == Advice::kDontNeed) {
      state_.wipe(space, i);
    } else if (advice == Advice::kFree) {
      state_.free_lazily(space, i);
    } else if (advice == Advice::kRemove) {
      punch_page(space, i, first, count);
    } else {
      mark(*page, advice);
    }
  }
  return judge_result(hole || closed ? Errno::kNoMemory : kSuccess, seen);
}

Judgement Spec::judge_lazy_view(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t seen) {
  const Page& at = *state_.find(space, page);
  const bool may_be_lost = (at.lazy.words >> word & 1u) != 0;
  if (may_be_lost && seen == 0) {
    change().lose(space, page);
    return {};
  }
  Judgement judgement = judge_view(space, page, word, seen);
  if (judgement.ok() && may_be_lost) change().keep(space, page);
  if (!judgement.ok() && may_be_lost) allow_too(judgement, 0);
  return judgement;
}

bool Spec::failed(SpaceId space, std::uint8_t page) const {
  const Page* at = state_.find(space, page);
  return at != nullptr && at->has_failed();
}

bool Spec::may_have_failed(SpaceId space, std::uint8_t page) const {
  const Page* at = state_.find(space, page);
  return at != nullptr && at->failure != Failure::kNone;
}

bool Spec::any_may_have_failed(SpaceId space, unsigned first, unsigned end) const {
  for (unsigned page = first; page < end; ++page) {
    if (may_have_failed(space, static_cast<std::uint8_t>(page))) return true;
  }
  return false;
}

Judgement Spec::poison(SpaceId space, std::uint8_t page, Observation seen) {
  if (seen.error != kSuccess) return {};
  if (state_.find(space, page) == nullptr) return judge_result(Errno::kFault, seen);
  change().suspect_equals(space, page);
  state_.fail(space, page);
  return {};
}

Judgement Spec::judge_failed(SpaceId space, std::uint8_t page, Errno told, Observation seen) {
  const Page& at = *state_.find(space, page);
  if (seen.error == told && at.failure == Failure::kMaybe) {
    // No memory of a file's fails.
    at.view == View::kOwn ? change().fail(space, page) : change().forbid(space, page);
  }
  return judge_result(told, seen);
}

bool Spec::is_told_of_failure(SpaceId space, std::uint8_t page, Errno told, Observation seen) const {
  return failed(space, page) || (seen.error == told && may_have_failed(space, page));
}

Judgement Spec::read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen) {
  if (seen.for_shortage()) return {};
  const Page* at = state_.find(space, page);
  const Errno expected = access_error(can_read(at), at != nullptr && state_.beyond_end(*at));
  if (expected == kSuccess && is_told_of_failure(space, page, Errno::kSigBus, seen)) {
    return judge_failed(space, page, Errno::kSigBus, seen);
  }
  if (expected != kSuccess || seen.error != kSuccess) return judge_result(expected, seen);
  if (!meets(space, page, false)) return unasked();
  if (at->lazy.words != 0) return judge_lazy_view(space, page, word, seen.value);
  return judge_view(space, page, word, seen.value);
}

Judgement Spec::write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen) {
  if (seen.for_shortage()) return {};
  const Page* at = state_.find(space, page);
  const Errno expected = access_error(can_write(at), at != nullptr && state_.beyond_end(*at));
  if (expected == kSuccess && is_told_of_failure(space, page, Errno::kSigBus, seen)) {
    return judge_failed(space, page, Errno::kSigBus, seen);
  }
  if (expected != kSuccess) return judge_result(expected, seen);
  const bool asked = seen.error != kSuccess || meets(space, page, true);
  change().store(space, page, word, value, Writer::kCpu);
  return asked ? judge_result(kSuccess, seen) : unasked();
}

Judgement Spec::force_read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen) {
  if (seen.for_shortage()) return {};
  const Page* at = state_.find(space, page);
  const Errno expected = at != nullptr && !at->secret && !state_.beyond_end(*at) ? kSuccess : Errno::kFault;
  if (expected == kSuccess && is_told_of_failure(space, page, Errno::kFault, seen)) {
    return judge_failed(space, page, Errno::kFault, seen);
  }
  if (seen.error == Errno::kFault && may_wait(space, page, false)) return {};
  if (expected != kSuccess || seen.error != kSuccess) return judge_result(expected, seen);
  if (!meets(space, page, false)) return unasked();
  if (at->lazy.words != 0) return judge_lazy_view(space, page, word, seen.value);
  return judge_view(space, page, word, seen.value);
}

Judgement Spec::force_write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen) {
  if (seen.for_shortage()) return {};
  if (is_told_of_failure(space, page, Errno::kFault, seen)) return judge_failed(space, page, Errno::kFault, seen);
  if (!allows_force(space, page)) return judge_result(Errno::kFault, seen);
  if (seen.error == Errno::kFault && (may_refuse_force(space, page) || may_wait(space, page, true))) return {};
  const bool asked = seen.error != kSuccess || meets(space, page, true);
  change().store(space, page, word, value, Writer::kForce);
  return asked ? judge_result(kSuccess, seen) : unasked();
}

bool Spec::allows_force(SpaceId space, std::uint8_t page) const {
  const Page* at = state_.find(space, page);
  return at != nullptr && !state_.beyond_end(*at) && grants(at, PinFlags::kForce | PinFlags::kWrite) != Grant::kNo;
}

Grant Spec::grant(SpaceId space, std::uint8_t page, PinFlags flags) const {
  const Page* at = state_.find(space, page);
  if (at != nullptr && state_.beyond_end(*at)) return Grant::kNo;
  const Grant granted = grants(at, flags);
  // A device that writes for as long as it likes may be kept away from where a file system has to hear of every write.
  const bool long_write = has(flags, PinFlags::kWrite | PinFlags::kLongTerm);
  const bool tracked = at != nullptr && at->view == View::kShared && state_.on_disk(*at);
  return granted == Grant::kYes && long_write && tracked ? Grant::kEither : granted;
}

Judgement Spec::pin(SpaceId space, std::uint8_t first, std::uint8_t count, PinFlags flags, Observation seen,
                    SpecPinId& pin) {
  const SpecPinId name = state_.free_pin();
  const Judgement judgement = this->pin(name, space, first, count, flags, PinSoFar{}, seen);
  pin = state_.held(name) > 0 ? name : kNoPin;
  return judgement;
}

Judgement Spec::pin(SpecPinId name, SpaceId space, std::uint8_t first, std::uint8_t count, PinFlags flags,
                    PinSoFar so_far, Observation seen) {
  if (seen.for_shortage()) return so_far.bound == 0 ? Judgement{} : judge_result(kSuccess, seen);
  if (has(flags, PinFlags::kGet | PinFlags::kLongTerm)) return judge_result(Errno::kInvalid, seen);

  // Pages up to `sure` must be granted, those up to `most` may be.
  std::uint8_t sure = so_far.bound;
  std::uint8_t most = so_far.bound;
  for (; !so_far.stopped && most < count; ++most) {
    const Grant granted = grant(space, static_cast<std::uint8_t>(first + most), flags);
    if (granted == Grant::kNo) break;
    if (granted == Grant::kYes && sure == most) ++sure;
  }
  if (most == 0) return judge_result(Errno::kFault, seen);
  const bool no_fault = has(flags, PinFlags::kNoFault);
  if (seen.error == Errno::kFault && so_far.bound == 0 && (no_fault || sure == 0)) return {};
  if (seen.error != kSuccess) return judge_result(kSuccess, seen);
  const bool may_hold_fewer = no_fault || seen.short_of_memory;
  const std::uint8_t least = std::max(so_far.bound, may_hold_fewer ? std::uint8_t{0} : std::max<std::uint8_t>(sure, 1));

  Judgement judgement;
  judgement.allowed[0] = most;
  judgement.allowed_count = 1;
  std::uint8_t held = most;
  if (seen.value >= least && seen.value <= most) {
    held = static_cast<std::uint8_t>(seen.value);
  } else {
    judgement.broken = Clause::kAccess;
    judgement.harm = Harm::kWrongResult;
  }
  if (so_far.bound == 0) change().bind(name, space, first, strength_of(flags), has(flags, PinFlags::kGet));
  for (std::uint8_t page = so_far.bound; page < held; ++page) {
    const bool asked = meets(space, static_cast<std::uint8_t>(first + page), has(flags, PinFlags::kWrite));
    if (!asked && judgement.ok()) judgement = unasked();
    change().extend(name);
  }
  return judgement;
}

bool Spec::pin_next(SpecPinId name, SpaceId space, std::uint8_t first, PinFlags flags) {
  const std::uint8_t bound = state_.held(name);
  // An address space has to end before its name is another one's, and what is bound in it stays there.
  if (bound > 0 && state_.owner(name) != space) return false;
  const auto page = static_cast<std::uint8_t>(first + bound);
  if (grant(space, page, flags) == Grant::kNo || must_wait(space, page, has(flags, PinFlags::kWrite))) return false;
  (void)meets(space, page, has(flags, PinFlags::kWrite));
  if (bound == 0) change().bind(name, space, first, strength_of(flags), has(flags, PinFlags::kGet));
  change().extend(name);
  return true;
}

bool Spec::may_refuse_pin(SpaceId space, std::uint8_t page, PinFlags flags) const {
  return grant(space, page, flags) != Grant::kYes;
}

void Spec::unpin(SpecPinId pin) { change().release(pin); }

Judgement Spec::dma_read(SpecPinId pin, std::uint8_t page, std::uint8_t word, Observation seen) {
  if (seen.for_shortage()) return {};
  const Errno expected = page < state_.held(pin) ? kSuccess : Errno::kNoDevice;
  if (expected != kSuccess || seen.error != kSuccess) return judge_result(expected, seen);
  const bool may_be_lost = state_.may_be_lost(pin, page, word);
  if (may_be_lost && seen.value == 0) {
    change().lose(pin, page);
    return {};
  }
  Judgement judgement = judge_dma(pin, page, word, seen.value);
  if (judgement.ok() && may_be_lost && seen.value == state_.load(pin, page, word)) change().keep(pin, page);
  if (!judgement.ok() && may_be_lost) allow_too(judgement, 0);
  return judgement;
}

Judgement Spec::dma_write(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen) {
  if (seen.for_shortage()) return {};
  const bool held = page < state_.held(pin);
  const bool read_only = state_.held(pin) > 0 && state_.strength(pin) != Strength::kWrite;
  // Where both are wrong, either may be found first.
  if (read_only && (held || seen.error == Errno::kPerm)) return judge_result(Errno::kPerm, seen);
  if (!held) return judge_result(Errno::kNoDevice, seen);
  change().store(pin, page, word, value);
  return judge_result(kSuccess, seen);
}

}  // namespace cowherd::spec
