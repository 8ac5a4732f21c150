#include <algorithm>

#include "spec/spec.hpp"

namespace cowherd::spec {

namespace {

/// Memory that is its owner's alone: what is said of whether pages of it are there is known.
bool is_own(const Page& page) { return page.view == View::kOwn && page.file == kAnonymous; }

bool tells(const Page* page, UffdFlags event) {
  return page != nullptr && has(page->uffd, event) && has(page->uffd, UffdFlags::kReadsEvents);
}

}  // namespace

void State::tell(SpaceId space, UffdEvent event) {
  const auto behind = std::find_if(unread_.begin(), unread_.end(),
                                   [&](const UnreadEvent& unread) { return unread.space.value() > space.value(); });
  unread_.insert(behind, {space, event});
}

void State::tell_of_fork(SpaceId parent) {
  bool any = false;
  for (std::uint8_t i = 0; i < kMaxPages; ++i) {
    const Page* page = find(parent, i);
    any = any || (tells(page, UffdFlags::kEventFork) && !page->dont_fork);
  }
  if (any) tell(parent, UffdEvent::kFork);
}

std::uint8_t State::next_event(SpaceId space) const {
  for (const UnreadEvent& unread : unread_) {
    if (unread.space == space) return static_cast<std::uint8_t>(unread.event);
  }
  return 0;
}

void State::read_event(SpaceId space) {
  unread_.erase(
      std::find_if(unread_.begin(), unread_.end(), [&](const UnreadEvent& unread) { return unread.space == space; }));
}

bool Spec::tells_of_unmap(SpaceId space, unsigned first, unsigned count) const {
  return tells_of(space, first, count, UffdFlags::kEventUnmap);
}

bool Spec::tells_of(SpaceId space, unsigned first, unsigned count, UffdFlags event) const {
  bool any = false;
  for (unsigned i = first; i < first + count; ++i) {
    any = any || tells(state_.find(space, static_cast<std::uint8_t>(i)), event);
  }
  return any;
}

Removal Spec::removal(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice) const {
  const auto tells_at = [&](std::uint8_t page) {
    const Page* at = state_.find(space, page);
    return tells(at, UffdFlags::kEventRemove) && advice_stops(space, page, advice, true) == Errno{0} &&
           (advice != Advice::kFree || is_own(*at));
  };
  const bool vague = any_locked(space, first, count, false) && !any_locked(space, first, count, true);
  bool before = false;
  for (std::uint8_t i = 0; i < count; ++i) {
    const auto page = static_cast<std::uint8_t>(first + i);
    const Page* at = state_.find(space, page);
    if (tells_at(page)) {
      if (before) return {i, i, false, vague};
      std::uint8_t most = i;
      while (most < count && tells_at(static_cast<std::uint8_t>(first + most))) ++most;
      return {static_cast<std::uint8_t>(i + 1), most, true, vague};
    }
    if (at == nullptr) continue;
    const bool of_file = advice == Advice::kFree && !is_own(*at);
    if (of_file || advice_stops(space, page, advice, true) != Errno{0}) break;
    before = true;
  }
  return {count, count, false, vague};
}

void Spec::tell_of(SpaceId space, const Remap& remap) {
  if (remap.first == remap.to) {
    const unsigned given_up = remap.first + unsigned{remap.kept()};
    if (tells_of_unmap(space, given_up, unsigned{remap.count} - remap.kept())) tell_of_unmap(space);
    return;
  }
  const bool replaced = tells_of_unmap(space, remap.to, remap.to_count);
  const bool left = !has(remap.flags, RemapFlags::kDontUnmap) && tells_of_unmap(space, remap.first, remap.count);
  const bool moved = tells_of(space, remap.first, remap.kept(), UffdFlags::kEventRemap);
  if (replaced) tell_of_unmap(space);
  if (moved) change().tell(space, UffdEvent::kRemap);
  if (left) tell_of_unmap(space);
}

Judgement Spec::uffd_read(SpaceId space, Observation seen) {
  const std::uint8_t event = next_event(space);
  if (event == 0) return judge_result(Errno::kAgain, seen);
  if (seen.error == Errno{0}) change().read_event(space);
  return judge_event(event, seen);
}

bool Spec::may_wait(SpaceId space, std::uint8_t page, bool write) const {
  const Page* at = state_.find(space, page);
  if (at == nullptr || at->uffd == UffdFlags::kNone || state_.beyond_end(*at)) return false;
  // Which pages of a file are there, and mapped, is not known here.
  if (at->has_failed()) return false;
  const bool missing = is_own(*at) ? has(at->uffd, UffdFlags::kMissing) && at->presence != Presence::kPresent
                                   : has(at->uffd, UffdFlags::kMissing) || has(at->uffd, UffdFlags::kMinor);
  return missing || (write && at->mark != Mark::kNo && !has(at->uffd, UffdFlags::kWpAsync));
}

bool Spec::must_wait(SpaceId space, std::uint8_t page, bool write) const {
  const Page* at = state_.find(space, page);
  if (!state_.tracks_handlers() || at == nullptr || at->failure != Failure::kNone || state_.beyond_end(*at)) {
    return false;
  }
  const bool missing = is_own(*at) && has(at->uffd, UffdFlags::kMissing) && at->presence == Presence::kAbsent;
  return missing || (write && at->mark == Mark::kYes && !has(at->uffd, UffdFlags::kWpAsync));
}

bool Spec::meets(SpaceId space, std::uint8_t page, bool write) {
  if (!state_.tracks_handlers()) return true;
  const bool asked = !must_wait(space, page, write);
  if (state_.find(space, page) != nullptr) change().touch(space, page, write);
  return asked;
}

void Spec::fault_in(SpaceId space, std::uint8_t page, bool write) {
  const auto allowed = protection(space, page);
  const bool may = allowed && (write ? has(*allowed, Protection::kWrite) : *allowed != Protection::kNone);
  if (may && !must_wait(space, page, write)) change().touch(space, page, false);
}

Judgement Spec::unasked() {
  Judgement judgement;
  judgement.broken = Clause::kUserfault;
  judgement.harm = Harm::kUnasked;
  return judgement;
}

Spec::Refusal Spec::register_refusal(SpaceId space, std::uint8_t first, std::uint8_t count, UffdFlags modes) const {
  bool any = false;
  // Not every kernel leaves markers.
  bool may_lack = has(modes, UffdFlags::kWpUnpopulated);
  for (std::uint8_t i = first; i < first + count; ++i) {
    const Page* page = state_.find(space, i);
    if (page == nullptr) continue;
    any = true;
    const bool lacks = is_own(*page) ? has(modes, UffdFlags::kMinor) : state_.on_disk(*page);
    may_lack = may_lack || (!is_own(*page) && has(modes, UffdFlags::kWriteProtect));
    if (page->secret || page->hugetlb != 0 || lacks) return {Errno::kInvalid};
  }
  const auto faults = UffdFlags::kMissing | UffdFlags::kWriteProtect | UffdFlags::kMinor;
  const bool none = (static_cast<unsigned>(modes) & static_cast<unsigned>(faults)) == 0 && modes != UffdFlags::kNone;
  return any && !none ? Refusal{may_lack ? Errno::kInvalid : Errno{0}, may_lack} : Refusal{Errno::kInvalid};
}

Judgement Spec::uffd_register(SpaceId space, std::uint8_t first, std::uint8_t count, UffdFlags modes,
                              Observation seen) {
  if (seen.for_shortage()) return {};
  const Refusal refusal = register_refusal(space, first, count, modes);
  if (refusal.error != Errno{0} && !(refusal.either && seen.error == Errno{0})) {
    return judge_result(refusal.error, seen);
  }
  for (std::uint8_t i = first; i < first + count; ++i) {
    Page* page = change().find(space, i);
    if (page == nullptr) continue;
    page->uffd = modes;
    if (!has(modes, UffdFlags::kWriteProtect)) page->mark = Mark::kNo;
  }
  return judge_result(Errno{0}, seen);
}

Spec::Refusal Spec::fill_refusal(SpaceId space, std::uint8_t page, Fill fill) const {
  const Page* at = state_.find(space, page);
  if (at == nullptr || at->uffd == UffdFlags::kNone) return {Errno::kNoEntry};
  if (!is_own(*at)) {
    if (state_.beyond_end(*at)) return {Errno::kFault};
    if (at->failure == Failure::kForbidden || at->failure == Failure::kMaybe) {
      const bool shared = at->view == View::kShared;
      const bool brings = fill == Fill::kBytes || (fill == Fill::kZeros && shared);
      const bool vague = at->failure == Failure::kMaybe || (brings && shared);
      return {brings ? Errno{0} : Errno::kExist, vague};
    }
    if (fill == Fill::kPoison) return {Errno::kExist, at->view != View::kOwn};
    // One of its own takes the place of what the file has, where nothing is mapped yet.
    if (at->view != View::kShared) return {Errno::kExist, at->view == View::kFollows};
    // A page of zeros may be one that the file does not have.
    for (std::uint8_t word = 0; word < kWordsPerPage; ++word) {
      if (state_.load(space, page, word) != 0) return {Errno::kExist};
    }
    return {Errno::kExist, true};
  }
  if (at->failure == Failure::kForbidden) return {fill == Fill::kBytes ? Errno{0} : Errno::kExist};
  if (at->failure == Failure::kFailed || at->presence == Presence::kPresent) return {Errno::kExist};
  // A marker gives way to what is brought alone.
  if (at->mark != Mark::kNo && fill != Fill::kBytes) {
    return {Errno::kExist, at->mark == Mark::kMaybe || at->presence != Presence::kAbsent};
  }
  return {at->presence == Presence::kAbsent ? Errno{0} : Errno::kExist, at->presence != Presence::kAbsent};
}

Judgement Spec::uffd_fill(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen,
                          Fill fill) {
  if (seen.for_shortage()) return {};
  if (next_event(space) != 0) return judge_result(Errno::kAgain, seen);
  const Refusal refusal = fill_refusal(space, page, fill);
  if (refusal.error != Errno{0} && !(refusal.either && seen.error == Errno{0})) {
    return judge_result(refusal.error, seen);
  }
  if (seen.error == Errno{0}) {
    if (fill == Fill::kPoison && !is_own(*state_.find(space, page))) {
      change().forbid(space, page);
      return judge_result(Errno{0}, seen);
    }
    state_.find(space, page)->mark = Mark::kNo;
    if (state_.find(space, page)->view == View::kShared) {
      state_.find(space, page)->failure = Failure::kNone;
    } else if (state_.find(space, page)->file != kAnonymous) {
      change().wipe_as_own(space, page);
    } else if (is_own(*state_.find(space, page))) {
      // Whatever MADV_FREE might have lost it has.
      if (state_.find(space, page)->lazy.words != 0) change().lose(space, page);
      state_.find(space, page)->failure = Failure::kNone;
      if (fill == Fill::kPoison) {
        change().fail(space, page, Failure::kForbidden);
        return judge_result(Errno{0}, seen);
      }
      change().touch(space, page, true);
    }
    if (value != 0) change().store(space, page, word, value, Writer::kCpu);
  }
  return judge_result(Errno{0}, seen);
}

Judgement Spec::uffd_continue(SpaceId space, std::uint8_t page, Observation seen) {
  if (seen.for_shortage()) return {};
  if (next_event(space) != 0) return judge_result(Errno::kAgain, seen);
  const Page* at = state_.find(space, page);
  if (at == nullptr || at->uffd == UffdFlags::kNone) return judge_result(Errno::kNoEntry, seen);
  if (is_own(*at) || state_.beyond_end(*at)) return judge_result(Errno::kInvalid, seen);
  // It may be mapped already; and its file may not have it.
  if (seen.error == Errno{0}) {
    change().find(space, page)->failure = Failure::kNone;
    state_.find(space, page)->mark = Mark::kNo;
  }
  if (seen.error == Errno::kExist || seen.error == Errno::kFault) return {};
  return judge_result(Errno{0}, seen);
}

Judgement Spec::uffd_protect(SpaceId space, std::uint8_t first, std::uint8_t count, bool protect, Observation seen) {
  if (seen.for_shortage()) return {};
  if (next_event(space) != 0) return judge_result(Errno::kAgain, seen);
  for (std::uint8_t i = first; i < first + count; ++i) {
    const Page* page = state_.find(space, i);
    if (page == nullptr || !has(page->uffd, UffdFlags::kWriteProtect)) return judge_result(Errno::kNoEntry, seen);
  }
  for (std::uint8_t i = first; i < first + count; ++i) {
    Page& page = *change().find(space, i);
    // What is not there cannot be protected.
    // But by a marker.
    const bool marker = !is_own(page) || has(page.uffd, UffdFlags::kWpUnpopulated);
    const bool absent = !marker && page.presence == Presence::kAbsent;
    const bool none = page.has_failed() || (absent && !has(page.uffd, UffdFlags::kWpAsync));
    const bool vague = page.failure == Failure::kMaybe || (!marker && page.presence != Presence::kPresent);
    page.mark = !protect || none ? Mark::kNo : vague ? Mark::kMaybe : Mark::kYes;
  }
  return judge_result(Errno{0}, seen);
}

Spec::Refusal Spec::move_refusal(SpaceId space, std::uint8_t to, std::uint8_t from) const {
  const Page* source = state_.find(space, from);
  const Page* target = state_.find(space, to);
  if (source == nullptr || target == nullptr) return {Errno::kNoEntry};
  const bool alike = is_own(*source) && is_own(*target) && !source->secret && !target->secret && source->hugetlb == 0 &&
                     source->protection == target->protection && has(source->protection, Protection::kWrite);
  const bool one_locked =
      source->locked != target->locked && source->locked != Mark::kMaybe && target->locked != Mark::kMaybe;
  if (!alike || one_locked || target->uffd == UffdFlags::kNone) return {Errno::kInvalid};
  const bool marker = source->presence == Presence::kAbsent && source->mark != Mark::kNo;
  if (source->presence == Presence::kAbsent && !source->has_failed() && !marker) return {Errno::kNoEntry};
  if (target->presence == Presence::kPresent || target->has_failed() || target->mark == Mark::kYes) {
    return {Errno::kExist};
  }
  if (marker) return {Errno::kFault};
  if (source->has_failed()) return {Errno::kFault};
  if (from == to) return {Errno::kExist};
  if (contains(state_.attached_pages(space), from)) return {Errno::kBusy};
  return {};
}

Judgement Spec::uffd_move(SpaceId space, std::uint8_t to, std::uint8_t from, Observation seen) {
  if (seen.for_shortage()) return {};
  if (next_event(space) != 0) return judge_result(Errno::kAgain, seen);
  const Refusal refusal = move_refusal(space, to, from);
  const Page* source = state_.find(space, from);
  const Page* target = state_.find(space, to);
  if (refusal.error == Errno::kNoEntry || refusal.error == Errno::kInvalid) return judge_result(refusal.error, seen);
  // What is not known is not judged: whether a page is there, or locked, or has failed, or is somebody else's too.
  const bool may_lack =
      source->presence == Presence::kMaybe || source->presence == Presence::kFreed || source->mark == Mark::kMaybe;
  if (seen.error == Errno::kInvalid && (source->locked == Mark::kMaybe || target->locked == Mark::kMaybe)) return {};
  const bool may_exist =
      target->presence != Presence::kAbsent || target->failure != Failure::kNone || target->mark != Mark::kNo;
  if (seen.error == Errno::kNoEntry && may_lack) return {};
  if (seen.error == Errno::kExist && may_exist) return {};
  if (refusal.error == Errno::kExist) return judge_result(refusal.error, seen);
  if (seen.error == Errno::kFault && (source->failure != Failure::kNone || source->mark != Mark::kNo)) return {};
  if (refusal.error != Errno{0}) return judge_result(refusal.error, seen);
  if (seen.error == Errno::kBusy) return {};
  if (seen.error == Errno{0}) change().move_content(space, from, to);
  return judge_result(Errno{0}, seen);
}

}  // namespace cowherd::spec
