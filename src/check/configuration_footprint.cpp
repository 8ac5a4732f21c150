#include <bit>

#include "check/configuration.hpp"
#include "check/handler_calls.hpp"

namespace cowherd::check {

namespace {

using F = Footprint;
using Kind = Call::Kind;

constexpr std::uint16_t kAllPages = 0xffff;

std::uint16_t page_bits(unsigned first, unsigned count) {
  return static_cast<std::uint16_t>(((1u << count) - 1u) << first);
}

/// The first page of a range, and the one behind it.
std::uint16_t edges(unsigned first, unsigned count) {
  return static_cast<std::uint16_t>(page_bits(first, 1u) | (first + count < 16 ? page_bits(first + count, 1u) : 0u));
}

/// Whether the operation takes effect page by page.
bool by_page(Kind kind) {
  return kind == Kind::kMmap || kind == Kind::kMunmap || kind == Kind::kMprotect || kind == Kind::kMadvise ||
         kind == Kind::kMremap;
}

std::uint32_t touches_of_mprotect(const spec::Spec& spec, spec::SpaceId space, std::uint8_t page, Protection wanted) {
  std::uint32_t touches = F::kReadsMapped | F::kWritesProtection;
  const auto now = spec.protection(space, page);
  if (!now) return touches;
  if ((*now == Protection::kNone) != (wanted == Protection::kNone)) touches |= F::kWritesReadable;
  if (has(*now, Protection::kWrite) != has(wanted, Protection::kWrite)) touches |= F::kWritesWritable;
  return touches;
}

bool is_about_lock(const Call& call) {
  return call.kind == Kind::kMadvise && (call.advice == Advice::kLock || call.advice == Advice::kUnlock);
}

std::uint32_t touches_of_madvise(Advice advice) {
  switch (advice) {
    case Advice::kDontNeed:
      return F::kReadsMapped | F::kDiscards;
    case Advice::kFree:
      return F::kReadsMapped | F::kWritesWords;
    case Advice::kRemove:
      return F::kReadsMapped | F::kReadsProtection | F::kReadsMarks | F::kWritesWords | F::kWritesSize;
    case Advice::kCold:
    case Advice::kPageOut:
    case Advice::kSync:
      return F::kReadsMapped;
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
      return F::kReadsMapped | F::kReadsProtection;
    case Advice::kLock:
    case Advice::kUnlock:
      return F::kReadsMapped | F::kReadsProtection | F::kWritesMarks;
    case Advice::kDontFork:
    case Advice::kDoFork:
    case Advice::kWipeOnFork:
    case Advice::kKeepOnFork:
    case Advice::kMergeable:
    case Advice::kUnmergeable:
    case Advice::kHugePage:
    case Advice::kNoHugePage:
    case Advice::kCollapse:
      break;
  }
  return F::kReadsMapped | F::kWritesMarks;
}

constexpr std::uint32_t kNewMapping = F::kReadsMapped | F::kWritesMapped | F::kDiscards | F::kWritesReadable |
                                      F::kWritesWritable | F::kWritesProtection | F::kWritesMarks;

std::uint32_t touches_of_pin(PinFlags flags) {
  const bool short_read = !has(flags, PinFlags::kWrite) && !has(flags, PinFlags::kLongTerm);
  const std::uint32_t rights = has(flags, PinFlags::kForce) ? 0u : std::uint32_t{F::kReadsProtection};
  const std::uint32_t value = has(flags, PinFlags::kWrite) ? F::kKeepsWords
                              : short_read                 ? std::uint32_t{F::kRemembersValue}
                                                           : 0u;
  return F::kReadsMapped | F::kHolds | rights | value;
}

}  // namespace

bool Configuration::asks_for_lock(const InFlight& in_flight, const Pending& pending) const {
  if (pending.call.kind != Kind::kMadvise) return false;
  if (is_about_lock(pending.call)) return true;
  const bool may_stop = spec::takes_from_memory(pending.call.advice) || pending.call.advice == Advice::kRemove;
  if (!may_stop || !spec.exists(pending.space)) return false;
  bool any = spec.any_locked(pending.space, 0, spec::kMaxPages, false);
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    any = any || (in_flight.has(agent) && is_about_lock(in_flight.pending[agent].call));
  }
  return any;
}

Footprint Configuration::footprint(const InFlight& in_flight, const Effect& effect) const {
  const Footprint print = footprint_in_space(in_flight, effect);
  // What others may have too the child has as well, whenever it was forked.
  return in_flight.pending[effect.agent].call.kind == Kind::kFork ? print : with_files(print);
}

Footprint Configuration::footprint(const Pending& pending) const { return with_files(footprint_in_space(pending)); }

Footprint Configuration::with_files(Footprint print) const {
  if (!spec.exists(print.space) || print.slots != 0) return print;
  print.slots = spec.slots_seen(print.space, static_cast<std::uint16_t>(print.pages | print.word_pages));
  print.files = static_cast<std::uint8_t>(print.files | spec.files_seen(print.space, print.pages));
  return print;
}

Footprint Configuration::footprint_in_space(const InFlight& in_flight, const Effect& effect) const {
  const Pending& pending = in_flight.pending[effect.agent];
  const Call& call = pending.call;
  Footprint print{.space = pending.space, .pages = page_bits(call.page, 1u), .word_pages = 0, .touches = 0};
  if (by_page(call.kind)) {
    print.pages = page_bits(call.page + unsigned{effect.index}, 1u);
    if (asks_for_hugetlb(in_flight, pending)) print.pages |= edges(call.page, call.count);
  }
  switch (call.kind) {
    case Kind::kMmap:
    case Kind::kMunmap:
      print.touches = kNewMapping;
      if (call.kind == Kind::kMmap && has(call.map_flags, MapFlags::kHugetlb) &&
          call.backing.file != spec::kAnonymous) {
        // It may make the file longer.
        print.files = static_cast<std::uint8_t>(1u << call.backing.file.value());
        print.touches |= F::kWritesSize;
      }
      break;
    case Kind::kMremap:
      // The first part asks all pages, and new ones are as the last old one is.
      print.pages = static_cast<std::uint16_t>(page_bits(call.remap.first, call.remap.count) |
                                               page_bits(call.remap.to, call.remap.to_count));
      print.touches = kNewMapping | F::kReadsWords | F::kWritesWords | F::kReadsMarks | F::kReadsProtection;
      break;
    case Kind::kMprotect:
      print.touches = touches_of_mprotect(spec, pending.space, static_cast<std::uint8_t>(call.page + effect.index),
                                          call.protection);
      break;
    case Kind::kMadvise:
      print.touches = touches_of_madvise(call.advice);
      // What it meets first may end it.
      if (call.advice == Advice::kRemove) print.pages |= page_bits(call.page, call.count);
      if (asks_for_lock(in_flight, pending)) {
        // mlock says it of all its pages at once; who is refused for it has done those before.
        print.pages |= page_bits(call.page, call.count);
        print.touches |= F::kReadsMarks;
      }
      if (spec.tracks_handlers()) print.touches |= F::kWritesWords;
      break;
    case Kind::kPin:
      // Its pages come one after the other, so that any later one is a reason to take the next.
      print.pages = page_bits(call.page + unsigned{effect.index}, call.count - unsigned{effect.index});
      print.touches = touches_of_pin(call.pin_flags);
      if (spec.tracks_handlers()) print.touches |= F::kWritesWords;
      break;
    case Kind::kFork:
      print.pages = kAllPages;
      print.touches = F::kReadsWords | F::kHolds | F::kReadsMapped | F::kReadsProtection | F::kReadsMarks;
      // Whatever a word of a pinned page held while the fork was under way, the child may have.
      print.word_pages = static_cast<std::uint16_t>(~done_[effect.agent].pages);
      return print;
    case Kind::kUffdRegister:
    case Kind::kUffdFill:
    case Kind::kUffdContinue:
    case Kind::kUffdProtect:
    case Kind::kUffdMove:
    case Kind::kUffdRead:
    case Kind::kUffdTell:
      print.pages = pages_of_handler_call(call);
      print.touches = kNewMapping | F::kReadsWords | F::kWritesWords;
      break;
    case Kind::kPoison:
      // Whoever may have had the same page may be told.
      print.space = F::kEverySpace;
      [[fallthrough]];
    case Kind::kRestore:
      print.pages = kAllPages;
      print.touches = kNewMapping | F::kWritesWords;
      break;
    case Kind::kExec:
    case Kind::kExit:
      print.pages = kAllPages;
      if (pending.drops) print.touches = kNewMapping;
      break;
    case Kind::kForceRead:
    case Kind::kForceWrite:
      print = footprint_in_space(pending);
      if (effect.index != 0) print.space = spec::SpaceId{static_cast<std::uint8_t>(effect.index - 1)};
      return print;
    default:
      return footprint_in_space(pending);
  }
  print.word_pages = print.pages;
  return print;
}

Footprint Configuration::footprint_in_space(const Pending& pending) const {
  const Call& call = pending.call;
  Footprint print{.space = pending.space, .pages = page_bits(call.page, 1u), .word_pages = page_bits(call.page, 1u)};
  if (is_of_handler(call.kind) || call.kind == Kind::kUffdTell) {
    print.pages = print.word_pages = pages_of_handler_call(call);
    print.touches = kNewMapping | F::kReadsWords | F::kWritesWords;
    return print;
  }
  // Who comes by a page for the first time brings it in.
  const std::uint32_t first_touch = spec.tracks_handlers() ? std::uint32_t{F::kWritesWords} : 0u;
  switch (call.kind) {
    case Kind::kRead:
      print.touches = F::kReadsWords | F::kReadsMapped | F::kReadsReadable | first_touch;
      break;
    case Kind::kWrite:
    case Kind::kMakeExclusive:
      print.touches = F::kWritesWords | F::kReadsMapped | F::kReadsWritable;
      break;
    case Kind::kDeviceRead:
    case Kind::kForceRead:
      print.touches = F::kReadsWords | F::kReadsMapped | first_touch;
      break;
    case Kind::kDeviceAdd:
      print.touches = F::kReadsWords | F::kWritesWords | F::kReadsMapped;
      break;
    case Kind::kDeviceWrite:
    case Kind::kForceWrite:
      print.touches = F::kWritesWords | F::kReadsMapped;
      break;
    case Kind::kDmaRead:
    case Kind::kDmaWrite: {
      const spec::SpecPinId pin = pending.pin();
      if (call.page >= spec.pages_held(pin)) break;
      print.slots = spec.slots_held(pin, call.page);
      print.touches = call.kind == Kind::kDmaRead ? F::kDeviceReads : F::kDeviceWrites;
      if (!spec.attached(pin, call.page)) break;
      print.space = spec.owner(pin);
      print.pages = print.word_pages = page_bits(spec.page_of(pin, call.page), 1u);
      break;
    }
    case Kind::kFileRead:
    case Kind::kFileWrite:
    case Kind::kTruncate:
    case Kind::kPunch:
      // Of no address space.
      print.pages = print.word_pages = 0;
      print.slots = spec.slots_of(call.backing.file);
      print.files = static_cast<std::uint8_t>(1u << call.backing.file.value());
      print.touches = call.kind == Kind::kFileRead    ? F::kReadsWords
                      : call.kind == Kind::kFileWrite ? F::kWritesWords
                                                      : F::kWritesWords | F::kWritesSize;
      if (call.kind == Kind::kFileWrite && call.page >= spec.size(call.backing.file)) print.touches |= F::kWritesSize;
      break;
    default:
      break;
  }
  return print;
}

}  // namespace cowherd::check
