#include "check/handler_calls.hpp"

#include <array>

namespace cowherd::check {

namespace {

using Kind = Call::Kind;

constexpr std::array kErrors{Errno::kNoEntry, Errno::kExist, Errno::kFault,
                             Errno::kInvalid, Errno::kBusy,  Errno::kAgain};

/// Whether the access writes, as a fault knows it.
bool writes(const spec::Spec& spec, spec::SpaceId space, std::uint8_t page, const Call& call) {
  switch (call.kind) {
    case Kind::kWrite:
    case Kind::kMakeExclusive:
      return true;
    case Kind::kPin:
      return has(call.pin_flags, PinFlags::kWrite);
    case Kind::kMadvise: {
      const auto protection = spec.protection(space, page);
      return call.advice == Advice::kPopulateWrite ||
             (call.advice == Advice::kLock && protection && has(*protection, Protection::kWrite));
    }
    default:
      return false;
  }
}

/// Whether it accesses memory, and can wait. A debugger cannot: it is refused.
bool accesses(const Call& call) {
  switch (call.kind) {
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kMakeExclusive:
    case Kind::kPin:
      return true;
    case Kind::kMadvise:
      return call.advice == Advice::kPopulateRead || call.advice == Advice::kPopulateWrite ||
             call.advice == Advice::kLock;
    default:
      return false;
  }
}

}  // namespace

spec::Judgement run_handler_call(spec::Spec& spec, const Pending& pending, const spec::Observation& seen) {
  const Call& call = pending.call;
  switch (call.kind) {
    case Kind::kUffdRegister:
      return spec.uffd_register(pending.space, call.page, call.count, call.uffd, seen);
    case Kind::kUffdFill:
      return spec.uffd_fill(pending.space, call.page, call.word, call.value, seen, static_cast<spec::Fill>(call.child));
    case Kind::kUffdContinue:
      return spec.uffd_continue(pending.space, call.page, seen);
    case Kind::kUffdProtect:
      return spec.uffd_protect(pending.space, call.page, call.count, call.value != 0, seen);
    case Kind::kUffdRead:
      return spec.uffd_read(pending.space, seen);
    default:
      return spec.uffd_move(pending.space, call.page, call.child, seen);
  }
}

std::int64_t possible_refusals(spec::Spec& spec, const Pending& pending) {
  std::int64_t refusals = 0;
  for (std::size_t i = 0; i < kErrors.size(); ++i) {
    if (run_handler_call(spec, pending, {.error = kErrors[i]}).ok()) refusals |= std::int64_t{1} << i;
  }
  return refusals;
}

bool is_refused_with(std::int64_t refusals, Errno error) {
  for (std::size_t i = 0; i < kErrors.size(); ++i) {
    if (kErrors[i] == error) return (refusals >> i & 1) != 0;
  }
  return false;
}

std::int64_t value_of(const spec::Removal& removal) {
  return std::int64_t{removal.least} | removal.most << 8 | (removal.tells ? 1 << 16 : 0) |
         (removal.vague ? 1 << 17 : 0);
}

spec::Removal removal_of(std::int64_t value) {
  return {static_cast<std::uint8_t>(value & 0xFF), static_cast<std::uint8_t>(value >> 8 & 0xFF), (value >> 16 & 1) != 0,
          (value >> 17 & 1) != 0};
}

spec::Judgement judge_said(const spec::Removal& removal, const spec::Observation& seen) {
  if (seen.for_shortage()) return {};
  const bool allowed =
      removal.allows(static_cast<std::uint8_t>(seen.value & 0xFF), (seen.value & 0x100) != 0) || seen.error != Errno{0};
  return spec::judge_event(allowed ? seen.value : said_of(removal.most, removal.tells), seen);
}

std::uint16_t pages_of_handler_call(const Call& call) {
  // An event that is to be read first may be of any page.
  if (has(call.uffd, UffdFlags::kReadsEvents) || call.kind == Kind::kUffdRead || call.kind == Kind::kUffdTell) {
    return 0xffff;
  }
  const unsigned pages = ((1u << call.count) - 1u) << call.page;
  return static_cast<std::uint16_t>(call.kind == Kind::kUffdMove ? pages | 1u << call.child : pages);
}

bool may_wait_for_handler(const spec::Spec& spec, spec::SpaceId space, const Call& call) {
  if (call.kind == Kind::kUffdRead) return spec.next_event(space) == 0;
  if (call.kind == Kind::kUffdAwait) return spec.next_event(space) != 0;
  if (!accesses(call)) return false;
  const bool one = call.kind != Kind::kPin && call.kind != Kind::kMadvise;
  const unsigned end = call.page + (one ? 1u : call.count);
  for (std::uint8_t page = call.page; page < end; ++page) {
    if (spec.may_wait(space, page, writes(spec, space, page, call))) return true;
  }
  return false;
}

}  // namespace cowherd::check
