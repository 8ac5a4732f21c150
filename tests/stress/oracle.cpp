#include "stress/oracle.hpp"

#include <algorithm>

namespace cowherd::stress {

namespace {

bool is_mapped(std::uint64_t protection) { return protection != kUnmapped; }
bool is_readable(std::uint64_t protection) {
  return is_mapped(protection) && protection != static_cast<std::uint64_t>(Protection::kNone);
}
bool is_writable(std::uint64_t protection) {
  return is_mapped(protection) && has(static_cast<Protection>(protection), Protection::kWrite);
}
bool is_unmapped(std::uint64_t protection) { return !is_mapped(protection); }
bool is_unreadable(std::uint64_t protection) { return !is_readable(protection); }
bool is_unwritable(std::uint64_t protection) { return !is_writable(protection); }

std::string hex(std::uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value % 16]);
    value /= 16;
  } while (value != 0);
  return "0x" + text;
}

std::size_t index_of(std::uint8_t page, std::uint8_t word) { return std::size_t{page} * kWords + word; }

}  // namespace

void Oracle::begin_life(Life life) {
  Space& made = spaces_[life];
  made.words.fill(Register(0));
  made.protections.fill(Register(kUnmapped));
}

std::optional<Oracle::Birth> Oracle::birth_of(Life life) const {
  const auto found = spaces_.find(life);
  return found == spaces_.end() ? std::nullopt : found->second.birth;
}

Oracle::Which Oracle::word(std::uint8_t page, std::uint8_t word) {
  return [at = index_of(page, word)](const Space& space) -> const Register& { return space.words[at]; };
}
Oracle::Which Oracle::protection(std::uint8_t page) {
  return [page](const Space& space) -> const Register& { return space.protections[page]; };
}

std::optional<Finding> Oracle::judge(std::span<const Log> round) {
  std::vector<const Record*> all;
  for (const Log& log : round) {
    for (const Record& record : log) all.push_back(&record);
  }
  std::sort(all.begin(), all.end(), [](const Record* a, const Record* b) { return a->when.end < b->when.end; });
  for (const Record* record : all) {
    if (record->action == Action::kFork && record->ok()) {
      Space& child = spaces_[record->other];
      child.birth = Birth{record->life, record->when};
    }
    if (record->action == Action::kPin && record->ok()) {
      pins_[record->other] = {record->life, record->first, record->count, record->when, record->value};
    }
  }
  for (const Record* record : all) take_in(*record);
  for (const Record* record : all) take_in_device(*record);
  for (const Record* record : all) note_seen(*record);
  for (const Record* record : all) {
    if (auto finding = check(*record)) return finding;
  }
  return std::nullopt;
}

void Oracle::discard(Space& owner, const Record& record, bool zeroes, bool certain) {
  for (std::uint8_t page = record.first; page < record.first + record.count; ++page) {
    owner.discards[page].push_back(record.when);
    for (std::uint8_t w = 0; zeroes && w < kWords; ++w) owner.words[index_of(page, w)].add(0, record.when, certain);
  }
}

void Oracle::take_in(const Record& record) {
  if (record.action == Action::kUnpin) {
    pins_.at(record.other).gone = true;
    return;
  }
  // A device may outlive the address space that its pages came from.
  if (!spaces_.contains(record.life)) return;
  Space& owner = space(record.life);
  const auto protect = [&](std::uint64_t protection, bool certain) {
    for (std::uint8_t page = record.first; page < record.first + record.count; ++page) {
      owner.protections[page].add(protection, record.when, certain);
    }
  };
  switch (record.action) {
    case Action::kWrite:
    case Action::kPtraceWrite:
      if (record.ok()) owner.words[index_of(record.first, record.word)].add(record.value, record.when);
      break;
    case Action::kMap:
      discard(owner, record, record.ok(), true);
      if (record.ok()) protect(static_cast<std::uint64_t>(record.protection), true);
      break;
    case Action::kUnmap:
      discard(owner, record, record.ok(), true);
      if (record.ok()) protect(kUnmapped, true);
      break;
    case Action::kExec:
      discard(owner, record, record.ok(), true);
      if (record.ok()) protect(kUnmapped, true);
      break;
    case Action::kDiscard:
      // Over a hole, everything mapped has been treated.
      discard(owner, record, true, record.ok());
      break;
    case Action::kProtect:
      // Over a hole, what lies before it has.
      protect(static_cast<std::uint64_t>(record.protection), record.ok());
      break;
    case Action::kExit:
      discard(owner, record, false, true);
      owner.gone = true;
      break;
    default:
      break;
  }
}

bool Oracle::together(const Record& record) {
  const Pin& pin = pins_.at(record.other);
  if (!spaces_.contains(pin.life)) return false;
  if ((pin.apart >> (record.first - pin.first) & 1) != 0) return false;
  const std::vector<Interval>& discards = space(pin.life).discards[record.first];
  return std::all_of(discards.begin(), discards.end(),
                     [&](const Interval& discard) { return discard.before(pin.taken) || record.when.before(discard); });
}

void Oracle::take_in_device(const Record& record) {
  if (record.action == Action::kDmaWrite && record.ok() && spaces_.contains(record.life)) {
    space(record.life).words[index_of(record.first, record.word)].add(record.value, record.when, together(record));
  }
}

void Oracle::note_seen(const Record& record) {
  const bool looks = record.action == Action::kRead || record.action == Action::kPtraceRead ||
                     (record.action == Action::kDmaRead && together(record));
  if (looks && record.ok() && record.value != 0) {
    space(record.life).words[index_of(record.first, record.word)].seen(record.value, record.when.end);
  }
}

bool Oracle::can_be(Life life, const Which& which, std::uint64_t value, Interval read) {
  const Space& owner = space(life);
  const Register& held = which(owner);
  if (held.written(value, read)) return true;
  if (!held.keeps_base(read)) return false;
  if (held.base()) return *held.base() == value;
  return owner.birth && can_be(owner.birth->parent, which, value, owner.birth->fork);
}

bool Oracle::may_be_protected(Life life, std::uint8_t page, Interval when, bool (*as)(std::uint64_t)) {
  for (std::uint64_t protection = 0; protection <= kUnmapped; ++protection) {
    if (as(protection) && can_be(life, Oracle::protection(page), protection, when)) return true;
  }
  return false;
}

std::optional<Finding> Oracle::check_value(const Record& record, Life life, std::uint8_t page, std::uint8_t w,
                                           std::uint64_t value) {
  const Which which = word(page, w);
  Register& held = space(life).words[index_of(page, w)];
  if (can_be(life, which, value, record.when)) {
    // What nobody has written here came with the fork, and everybody who reads it reads the same.
    if (!held.written(value, record.when) && !held.base()) held.set_base(value);
    return std::nullopt;
  }
  Finding finding{"", record, page, record.when.begin};
  finding.reason = std::string(name_of(record.action)) + " of word " + std::to_string(w) + " of page " +
                   std::to_string(page) + " gave " + hex(value);
  if (const Register::Write* missed = held.last_before(record.when)) {
    finding.reason += ", although " + hex(missed->value) + " had been written from tick " +
                      std::to_string(missed->when.begin) + " to " + std::to_string(missed->when.end);
    finding.since = missed->when.begin;
  } else {
    finding.reason += ", which was not there then";
    if (const auto birth = birth_of(life)) {
      finding.reason += " (the address space began with a fork from tick " + std::to_string(birth->fork.begin) +
                        " to " + std::to_string(birth->fork.end) + ")";
      finding.since = birth->fork.begin;
    }
  }
  // What parted the device from its page came after the pin.
  if (record.action == Action::kDmaRead) finding.since = std::min(finding.since, pins_.at(record.other).taken.begin);
  return finding;
}

/// Whether an access came through, or did not, against the page's protection.
std::optional<Finding> Oracle::check_allowed(const Record& record) {
  // What asks for writing, for reading, for nothing but that something is mapped.
  bool (*wanted)(std::uint64_t) = nullptr;
  bool (*refused)(std::uint64_t) = nullptr;
  switch (record.action) {
    case Action::kWrite:
      wanted = is_writable;
      refused = is_unwritable;
      break;
    case Action::kRead:
      wanted = is_readable;
      refused = is_unreadable;
      break;
    case Action::kPtraceRead:
    case Action::kPtraceWrite:
      wanted = asks_force_ && record.action == Action::kPtraceWrite ? is_writable : is_mapped;
      refused = asks_force_ && record.action == Action::kPtraceWrite ? is_unwritable : is_unmapped;
      break;
    case Action::kPin:
      wanted = has(record.flags, PinFlags::kWrite) ? is_writable : is_readable;
      refused = has(record.flags, PinFlags::kWrite) ? is_unwritable : is_unreadable;
      break;
    default:
      return std::nullopt;
  }
  if (record.ok()) {
    for (std::uint8_t page = record.first; page < record.first + record.count; ++page) {
      if (!may_be_protected(record.life, page, record.when, wanted)) {
        return Finding{std::string(name_of(record.action)) + " came through where the protection forbids it", record,
                       page, record.when.begin};
      }
    }
    return std::nullopt;
  }
  const bool excused =
      record.error == Errno::kNoMemory || record.error == Errno::kSigBus || record.error == Errno::kWouldBlock;
  // Only the first page decides whether a pin gets anything.
  if (!excused && !may_be_protected(record.life, record.first, record.when, refused)) {
    return Finding{std::string(name_of(record.action)) + " failed where nothing forbids it", record, record.first,
                   record.when.begin};
  }
  return std::nullopt;
}

std::optional<Finding> Oracle::check(const Record& record) {
  if (auto finding = check_allowed(record)) return finding;
  const bool looks = record.action == Action::kRead || record.action == Action::kPtraceRead ||
                     (record.action == Action::kDmaRead && together(record));
  if (!looks || !record.ok()) return std::nullopt;
  return check_value(record, record.life, record.first, record.word, record.value);
}

std::optional<Finding> Oracle::settle(const Facts& facts, Tick now) {
  for (auto& [number, pin] : pins_) {
    for (std::uint8_t page = 0; page < pin.count && !pin.gone; ++page) {
      Record look;
      look.when = {now, now};
      look.life = pin.life;
      look.other = number;
      look.action = Action::kDmaRead;
      look.first = static_cast<std::uint8_t>(pin.first + page);
      if (!together(look)) {
        pin.apart |= std::uint64_t{1} << page;
        continue;
      }
      for (look.word = 0; look.word < kWords; ++look.word) {
        look.value = facts.device_word(number, page, look.word);
        if (auto finding = check(look)) return finding;
      }
    }
  }
  for (auto& [life, owner] : spaces_) {
    for (std::uint8_t page = 0; page < kPages && !owner.gone; ++page) {
      const Interval when{now, now};
      const std::uint64_t is = facts.protection(life, page);
      Record look;
      look.when = when;
      look.life = life;
      look.first = page;
      if (!can_be(life, protection(page), is, when)) {
        return Finding{"the page's protection at the end is one that nobody gave it", look, page, now};
      }
      for (std::uint8_t w = 0; w < kWords; ++w) {
        look.word = w;
        look.value = is == kUnmapped ? 0 : facts.word(life, page, w);
        if (is != kUnmapped) {
          if (auto finding = check_value(look, life, page, w, look.value)) return finding;
        }
      }
    }
  }
  for (auto& [life, owner] : spaces_) {
    for (std::uint8_t page = 0; page < kPages && !owner.gone; ++page) {
      const std::uint64_t is = facts.protection(life, page);
      owner.protections[page].settle(is);
      owner.discards[page].clear();
      for (std::uint8_t w = 0; w < kWords; ++w) {
        owner.words[index_of(page, w)].settle(is == kUnmapped ? 0 : facts.word(life, page, w));
      }
    }
    owner.birth.reset();
  }
  std::erase_if(spaces_, [](const auto& entry) { return entry.second.gone; });
  for (auto& [number, pin] : pins_) pin.taken = {};
  std::erase_if(pins_, [](const auto& entry) { return entry.second.gone; });
  return std::nullopt;
}

}  // namespace cowherd::stress
