#include "check/oracle.hpp"

#include <string_view>

namespace cowherd::check {

namespace {

FindingKind kind_of(spec::Harm harm) {
  switch (harm) {
    case spec::Harm::kLeak:
      return FindingKind::kMissedCow;
    case spec::Harm::kStaleDma:
    case spec::Harm::kLostDma:
      return FindingKind::kWrongCow;
    case spec::Harm::kWrongResult:
      return FindingKind::kWrongResult;
    case spec::Harm::kNone:
    case spec::Harm::kLostWrite:
    case spec::Harm::kGarbage:
    case spec::Harm::kUnasked:
      break;
  }
  return FindingKind::kCorruption;
}

FindingKind kind_of(mm::Violation violation) {
  switch (violation) {
    case mm::Violation::kLockOrder:
    case mm::Violation::kLockHeld:
    case mm::Violation::kSleepInAtomic:
    case mm::Violation::kFaultLoop:
      return FindingKind::kStuck;
    default:
      return FindingKind::kCorruption;
  }
}

const mm::ViolationInfo& info_of(mm::Violation violation) {
  return mm::kViolations[static_cast<std::size_t>(violation)];
}

std::string as_sentence(std::string_view text) {
  std::string sentence(text);
  if (!sentence.empty() && sentence[0] >= 'a' && sentence[0] <= 'z')
    sentence[0] = static_cast<char>(sentence[0] - 'a' + 'A');
  if (!sentence.empty() && sentence.back() != '.') sentence += '.';
  return sentence;
}

}  // namespace

const char* name_of(Bound bound) {
  switch (bound) {
    case Bound::kNone:
      return "none";
    case Bound::kStates:
      return "states";
    case Bound::kMemory:
      return "memory";
    case Bound::kTimeout:
      return "timeout";
    case Bound::kInterrupt:
      return "interrupt";
    case Bound::kPreemptions:
      return "preemptions";
    case Bound::kRuns:
      return "runs";
  }
  return "?";
}

const char* name_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::kMissedCow:
      return "missed COW";
    case FindingKind::kWrongCow:
      return "wrong COW";
    case FindingKind::kCorruption:
      return "corruption";
    case FindingKind::kStuck:
      return "stuck";
    case FindingKind::kWrongResult:
      return "wrong result";
  }
  return "?";
}

FindingKey key_of(const spec::Judgement& judgement) {
  FindingKey key;
  key.clause = judgement.broken;
  key.harm = judgement.harm;
  key.by_get = judgement.by_get;
  return key;
}

FindingKey key_of(mm::Violation violation) {
  FindingKey key;
  key.source = FindingKey::Source::kInvariant;
  key.clause = spec::Clause::kBookkeeping;
  key.violation = violation;
  return key;
}

FindingKey deadlock_key() {
  FindingKey key;
  key.source = FindingKey::Source::kDeadlock;
  return key;
}

FindingKey livelock_key() {
  FindingKey key;
  key.source = FindingKey::Source::kLivelock;
  return key;
}

FindingKind kind_of(const FindingKey& key) {
  switch (key.source) {
    case FindingKey::Source::kPromise:
      return kind_of(key.harm);
    case FindingKey::Source::kInvariant:
      return kind_of(key.violation);
    case FindingKey::Source::kDeadlock:
    case FindingKey::Source::kLivelock:
      break;
  }
  return FindingKind::kStuck;
}

Finding describe(const FindingKey& key) {
  Finding finding;
  finding.kind = kind_of(key);
  finding.clause = key.clause;
  finding.by_get = key.by_get;
  switch (key.source) {
    case FindingKey::Source::kPromise:
      finding.subtype = spec::name_of(key.harm);
      finding.sentence = spec::describe(key.clause);
      break;
    case FindingKey::Source::kInvariant:
      finding.subtype = info_of(key.violation).name;
      finding.sentence = as_sentence(info_of(key.violation).sentence);
      break;
    case FindingKey::Source::kDeadlock:
      finding.subtype = "deadlock";
      finding.sentence = "Some block has not ended, and none can go on.";
      break;
    case FindingKey::Source::kLivelock:
      finding.subtype = "livelock";
      finding.sentence = "Blocks go round in circles, each going on whenever it can, and no operation ever ends.";
      break;
  }
  if (key.by_get) finding.remark = kGetResidual;
  return finding;
}

bool broke(const Control& control, const std::string& label) {
  for (std::size_t i = 0; i < mm::kViolations.size(); ++i) {
    if (mm::kViolations[i].name == label) return (control.violations >> i & 1u) != 0;
  }
  for (unsigned i = 1; i < 16; ++i) {
    if ((control.clauses >> i & 1u) != 0 && label == spec::name_of(static_cast<spec::Clause>(i))) return true;
  }
  for (unsigned i = 1; i < 8; ++i) {
    if ((control.harms >> i & 1u) != 0 && label == spec::label_of(static_cast<spec::Harm>(i))) return true;
  }
  return false;
}

}  // namespace cowherd::check
