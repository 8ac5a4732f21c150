#include "litmus/spelling.hpp"

#include <algorithm>
#include <array>

namespace cowherd::litmus {
namespace {

constexpr std::array kStatements{
    StatementWord{"READ_ONCE", OpCode::kRead, Arguments::kWord},
    StatementWord{"WRITE_ONCE", OpCode::kWrite, Arguments::kWordValue},
    StatementWord{"mmap", OpCode::kMmap, Arguments::kPagesProtectionFlags},
    StatementWord{"munmap", OpCode::kMunmap, Arguments::kPages},
    StatementWord{"mprotect", OpCode::kMprotect, Arguments::kPagesProtection},
    StatementWord{"madvise", OpCode::kMadvise, Arguments::kPagesAdvice},
    StatementWord{"fork", OpCode::kFork, Arguments::kBlock},
    StatementWord{"vfork", OpCode::kVfork, Arguments::kBlock},
    StatementWord{"thread", OpCode::kThread, Arguments::kBlock},
    StatementWord{"exec", OpCode::kExec, Arguments::kNone},
    StatementWord{"exit", OpCode::kExit, Arguments::kNone},
    StatementWord{"wait", OpCode::kWait, Arguments::kBlock},
    StatementWord{"pin", OpCode::kPin, Arguments::kDevicePagesFlags},
    StatementWord{"get", OpCode::kPin, Arguments::kDevicePagesFlags, true},
    StatementWord{"unpin", OpCode::kUnpin, Arguments::kDevice},
    StatementWord{"unpin_dirty", OpCode::kUnpinDirty, Arguments::kDevice},
    StatementWord{"put", OpCode::kUnpin, Arguments::kDevice, true},
    StatementWord{"dma_read", OpCode::kDmaRead, Arguments::kDeviceWord},
    StatementWord{"dma_write", OpCode::kDmaWrite, Arguments::kDeviceWordValue},
    StatementWord{"ptrace_read", OpCode::kPtraceRead, Arguments::kOtherWord},
    StatementWord{"ptrace_write", OpCode::kPtraceWrite, Arguments::kOtherWordValue},
    StatementWord{"lock_page", OpCode::kLockPage, Arguments::kOtherPage},
    StatementWord{"unlock_page", OpCode::kUnlockPage, Arguments::kOtherPage},
    StatementWord{"clear_refs", OpCode::kClearRefs, Arguments::kOtherPages},
    StatementWord{"try_share", OpCode::kTryShare, Arguments::kOtherPage},
    StatementWord{"snapshot", OpCode::kSnapshot, Arguments::kSnapshot},
    StatementWord{"restore", OpCode::kRestore, Arguments::kSnapshot},
    StatementWord{"mremap", OpCode::kMremap, Arguments::kPagesPagesFlags},
    StatementWord{"read", OpCode::kFileRead, Arguments::kFileWord},
    StatementWord{"write", OpCode::kFileWrite, Arguments::kFileWordValue},
    StatementWord{"truncate", OpCode::kTruncate, Arguments::kFileSize},
    StatementWord{"punch", OpCode::kPunch, Arguments::kFilePages},
    StatementWord{"writeback", OpCode::kWriteback, Arguments::kFile},
    StatementWord{"fsync", OpCode::kWriteback, Arguments::kFile, true},
    StatementWord{"drop_cache", OpCode::kDropCache, Arguments::kFile},
    StatementWord{"numa_hint", OpCode::kNumaHint, Arguments::kOtherPages},
    StatementWord{"msync", OpCode::kMsync, Arguments::kPages},
    StatementWord{"mlock", OpCode::kMlock, Arguments::kPages},
    StatementWord{"munlock", OpCode::kMunlock, Arguments::kPages},
    StatementWord{"ksm_merge", OpCode::kKsmMerge, Arguments::kTwoOtherPages},
    StatementWord{"ksm_zero", OpCode::kKsmZero, Arguments::kOtherPage},
    StatementWord{"ksm_unmerge", OpCode::kKsmUnmerge, Arguments::kOtherPages},
    StatementWord{"swapout", OpCode::kSwapOut, Arguments::kOtherPage},
    StatementWord{"swapin", OpCode::kSwapIn, Arguments::kOtherPage},
    StatementWord{"migrate", OpCode::kMigrate, Arguments::kOtherPage},
    StatementWord{"collapse", OpCode::kCollapse, Arguments::kOtherPage},
    StatementWord{"split", OpCode::kSplit, Arguments::kOtherPage},
    StatementWord{"poison", OpCode::kPoison, Arguments::kOtherPage},
    StatementWord{"make_exclusive", OpCode::kMakeExclusive, Arguments::kOtherPage},
    StatementWord{"device_read", OpCode::kDeviceRead, Arguments::kHandledWord},
    StatementWord{"device_write", OpCode::kDeviceWrite, Arguments::kHandledWordValue},
    StatementWord{"device_add", OpCode::kDeviceAdd, Arguments::kHandledWordValue},
    StatementWord{"compact", OpCode::kCompact, Arguments::kNone},
    StatementWord{"offline", OpCode::kOffline, Arguments::kNone},
    StatementWord{"uffd_register", OpCode::kUffdRegister, Arguments::kPagesUffdFlags},
    StatementWord{"uffd_unregister", OpCode::kUffdUnregister, Arguments::kPages},
    StatementWord{"uffd_copy", OpCode::kUffdCopy, Arguments::kHandledWordValue},
    StatementWord{"uffd_zeropage", OpCode::kUffdZeropage, Arguments::kHandledPage},
    StatementWord{"uffd_continue", OpCode::kUffdContinue, Arguments::kHandledPage},
    StatementWord{"uffd_wp", OpCode::kUffdWp, Arguments::kHandledPages},
    StatementWord{"uffd_unwp", OpCode::kUffdUnwp, Arguments::kHandledPages},
    StatementWord{"uffd_move", OpCode::kUffdMove, Arguments::kTwoPages},
    StatementWord{"uffd_poison", OpCode::kUffdPoison, Arguments::kHandledPage},
    StatementWord{"uffd_read", OpCode::kUffdRead, Arguments::kHandler},
};

constexpr std::array kProtections{
    FlagWord<Protection>{"PROT_NONE", Protection::kNone},
    FlagWord<Protection>{"PROT_READ", Protection::kRead},
    FlagWord<Protection>{"PROT_WRITE", Protection::kWrite},
};

constexpr std::array kMapFlags{
    FlagWord<MapFlags>{"MAP_FIXED", MapFlags::kFixed},
    FlagWord<MapFlags>{"MAP_FIXED_NOREPLACE", MapFlags::kFixedNoReplace},
    FlagWord<MapFlags>{"MAP_POPULATE", MapFlags::kPopulate},
};

constexpr std::array kRemapFlags{
    FlagWord<RemapFlags>{"MREMAP_MAYMOVE", RemapFlags::kMayMove},
    FlagWord<RemapFlags>{"MREMAP_FIXED", RemapFlags::kFixed},
    FlagWord<RemapFlags>{"MREMAP_DONTUNMAP", RemapFlags::kDontUnmap},
};

constexpr std::array kPinFlags{
    FlagWord<PinFlags>{"FOLL_WRITE", PinFlags::kWrite},   FlagWord<PinFlags>{"FOLL_LONGTERM", PinFlags::kLongTerm},
    FlagWord<PinFlags>{"FOLL_FORCE", PinFlags::kForce},   FlagWord<PinFlags>{"FOLL_NOFAULT", PinFlags::kNoFault},
    FlagWord<PinFlags>{"FOLL_REMOTE", PinFlags::kRemote}, FlagWord<PinFlags>{"FOLL_FAST", PinFlags::kFast},
};

constexpr std::array kUffdFlags{
    FlagWord<UffdFlags>{"UFFD_MISSING", UffdFlags::kMissing},
    FlagWord<UffdFlags>{"UFFD_WP", UffdFlags::kWriteProtect},
    FlagWord<UffdFlags>{"UFFD_MINOR", UffdFlags::kMinor},
    FlagWord<UffdFlags>{"UFFD_EVENT_FORK", UffdFlags::kEventFork},
    FlagWord<UffdFlags>{"UFFD_EVENT_REMAP", UffdFlags::kEventRemap},
    FlagWord<UffdFlags>{"UFFD_EVENT_UNMAP", UffdFlags::kEventUnmap},
    FlagWord<UffdFlags>{"UFFD_EVENT_REMOVE", UffdFlags::kEventRemove},
    FlagWord<UffdFlags>{"UFFD_WP_UNPOPULATED", UffdFlags::kWpUnpopulated},
    FlagWord<UffdFlags>{"UFFD_WP_ASYNC", UffdFlags::kWpAsync},
};

constexpr std::array kAdvice{
    FlagWord<Advice>{"MADV_DONTNEED", Advice::kDontNeed},
    FlagWord<Advice>{"MADV_DONTFORK", Advice::kDontFork},
    FlagWord<Advice>{"MADV_DOFORK", Advice::kDoFork},
    FlagWord<Advice>{"MADV_WIPEONFORK", Advice::kWipeOnFork},
    FlagWord<Advice>{"MADV_KEEPONFORK", Advice::kKeepOnFork},
    FlagWord<Advice>{"MADV_POPULATE_READ", Advice::kPopulateRead},
    FlagWord<Advice>{"MADV_POPULATE_WRITE", Advice::kPopulateWrite},
    FlagWord<Advice>{"MADV_MERGEABLE", Advice::kMergeable},
    FlagWord<Advice>{"MADV_UNMERGEABLE", Advice::kUnmergeable},
    FlagWord<Advice>{"MADV_COLD", Advice::kCold},
    FlagWord<Advice>{"MADV_PAGEOUT", Advice::kPageOut},
    FlagWord<Advice>{"MADV_FREE", Advice::kFree},
    FlagWord<Advice>{"MADV_REMOVE", Advice::kRemove},
    FlagWord<Advice>{"MADV_HUGEPAGE", Advice::kHugePage},
    FlagWord<Advice>{"MADV_NOHUGEPAGE", Advice::kNoHugePage},
    FlagWord<Advice>{"MADV_COLLAPSE", Advice::kCollapse},
};

constexpr std::array kVerdicts{
    FlagWord<Verdict>{"Never", Verdict::kNever},
    FlagWord<Verdict>{"Sometimes", Verdict::kSometimes},
    FlagWord<Verdict>{"Always", Verdict::kAlways},
};

constexpr std::array kGrains{
    FlagWord<Grain>{"operation", Grain::kOperation},
    FlagWord<Grain>{"step", Grain::kStep},
};

constexpr std::array kTerms{
    FlagWord<Term::Kind>{"fault", Term::Kind::kFaults},
    FlagWord<Term::Kind>{"finding", Term::Kind::kFinding},
    FlagWord<Term::Kind>{"frame", Term::Kind::kFrame},
    FlagWord<Term::Kind>{"refcount", Term::Kind::kRefcount},
    FlagWord<Term::Kind>{"mapcount", Term::Kind::kMapcount},
    FlagWord<Term::Kind>{"pins", Term::Kind::kPins},
    FlagWord<Term::Kind>{"excl", Term::Kind::kExclusive},
    FlagWord<Term::Kind>{"writable", Term::Kind::kWritable},
    FlagWord<Term::Kind>{"dirty", Term::Kind::kDirty},
    FlagWord<Term::Kind>{"rss", Term::Kind::kRss},
    FlagWord<Term::Kind>{"swapped", Term::Kind::kSwapped},
    FlagWord<Term::Kind>{"swapcount", Term::Kind::kSwapCount},
    FlagWord<Term::Kind>{"swapcache", Term::Kind::kSwapCache},
    FlagWord<Term::Kind>{"huge", Term::Kind::kHuge},
    FlagWord<Term::Kind>{"ondevice", Term::Kind::kOnDevice},
    FlagWord<Term::Kind>{"folio", Term::Kind::kFolio},
    FlagWord<Term::Kind>{"movable", Term::Kind::kMovable},
    FlagWord<Term::Kind>{"pool", Term::Kind::kPool},
    FlagWord<Term::Kind>{"disk", Term::Kind::kDiskWord},
    FlagWord<Term::Kind>{"softdirty", Term::Kind::kSoftDirty},
    FlagWord<Term::Kind>{"uffdwp", Term::Kind::kUffdWp},
    FlagWord<Term::Kind>{"waiting", Term::Kind::kWaiting},
};

constexpr std::array<std::string_view, 26> kKeywords{
    "COW",      "anon",    "zeropage", "unmapped", "device", "kernel",  "page",      "dev",       "times",
    "fail_nth", "filter",  "exists",   "forall",   "not",    "true",    "locations", "any",       "memfd",
    "file",     "private", "shared",   "secret",   "thp",    "hugetlb", "noreserve", "hugetlbfs",
};

bool is_numbered(std::string_view name, std::string_view letters, std::size_t max_digits) {
  if (name.size() < 2 || name.size() > max_digits + 1 || letters.find(name[0]) == std::string_view::npos) return false;
  if (name[1] == '0' && name.size() > 2) return false;
  return std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The words of `flags` with bars between them.
template <class Words, class E>
std::string joined(const Words& words, E flags) {
  std::string text;
  for (const auto& [name, flag] : words) {
    if (flag == E{} || !has(flags, flag)) continue;
    if (!text.empty()) text += " | ";
    text += name;
  }
  return text.empty() ? "0" : text;
}

}  // namespace

std::span<const StatementWord> statement_words() { return kStatements; }

const StatementWord* find_statement(std::string_view name) {
  for (const StatementWord& word : kStatements) {
    if (word.name == name) return &word;
  }
  return nullptr;
}

const StatementWord& statement_word(const Operation& operation) {
  const bool get = has(operation.pin_flags, PinFlags::kGet);
  const StatementWord* found = nullptr;
  for (const StatementWord& word : kStatements) {
    if (word.code == operation.code && (found == nullptr || word.get == get)) found = &word;
  }
  return *found;
}

bool names_file(const Operation& operation) {
  switch (statement_word(operation).arguments) {
    case Arguments::kFileWord:
    case Arguments::kFileWordValue:
    case Arguments::kFilePages:
    case Arguments::kFileSize:
    case Arguments::kFile:
      return true;
    default:
      return false;
  }
}

bool names_variable(const Operation& operation) {
  if (names_file(operation)) return false;
  switch (statement_word(operation).arguments) {
    case Arguments::kNone:
    case Arguments::kBlock:
    case Arguments::kDevice:
    case Arguments::kDeviceWord:
    case Arguments::kDeviceWordValue:
    case Arguments::kSnapshot:
    case Arguments::kHandler:
      return false;
    default:
      return true;
  }
}

bool names_second_place(const Operation& operation) {
  return operation.code == OpCode::kMremap || operation.code == OpCode::kKsmMerge ||
         operation.code == OpCode::kUffdMove;
}

std::string_view describe(Arguments arguments) {
  switch (arguments) {
    case Arguments::kNone:
      return "()";
    case Arguments::kWord:
      return "(*x)";
    case Arguments::kWordValue:
      return "(*x, value)";
    case Arguments::kPagesProtectionFlags:
      return "(x, PROT_..., MAP_...)";
    case Arguments::kPages:
      return "(x)";
    case Arguments::kPagesProtection:
      return "(x, PROT_...)";
    case Arguments::kPagesAdvice:
      return "(x, MADV_...)";
    case Arguments::kBlock:
    case Arguments::kHandler:
      return "(P1)";
    case Arguments::kDevicePagesFlags:
      return "(d, x, FOLL_...)";
    case Arguments::kDevice:
      return "(d)";
    case Arguments::kDeviceWord:
      return "(d)";
    case Arguments::kDeviceWordValue:
      return "(d, value)";
    case Arguments::kOtherWord:
      return "(P1:x)";
    case Arguments::kOtherWordValue:
      return "(P1:x, value)";
    case Arguments::kOtherPage:
    case Arguments::kOtherPages:
      return "(P0:x)";
    case Arguments::kSnapshot:
      return "(S0)";
    case Arguments::kPagesPagesFlags:
      return "(x, y, MREMAP_...)";
    case Arguments::kFileWord:
      return "(f.1)";
    case Arguments::kFileWordValue:
      return "(f.1, value)";
    case Arguments::kFilePages:
      return "(f[0])";
    case Arguments::kFileSize:
      return "(f, pages)";
    case Arguments::kFile:
      return "(f)";
    case Arguments::kTwoOtherPages:
      return "(P0:x, P1:y)";
    case Arguments::kPagesUffdFlags:
      return "(x, UFFD_...)";
    case Arguments::kHandledWord:
      return "(P0:x)";
    case Arguments::kHandledWordValue:
      return "(P0:x, value)";
    case Arguments::kHandledPage:
    case Arguments::kHandledPages:
      return "(P0:x)";
    case Arguments::kTwoPages:
      return "(x, y)";
  }
  return "()";
}

std::span<const FlagWord<Protection>> protection_words() { return kProtections; }
std::span<const FlagWord<MapFlags>> map_flag_words() { return kMapFlags; }
std::span<const FlagWord<RemapFlags>> remap_flag_words() { return kRemapFlags; }
std::span<const FlagWord<PinFlags>> pin_flag_words() { return kPinFlags; }
std::span<const FlagWord<UffdFlags>> uffd_flag_words() { return kUffdFlags; }
std::span<const FlagWord<Advice>> advice_words() { return kAdvice; }
std::span<const FlagWord<Verdict>> verdict_words() { return kVerdicts; }
std::span<const FlagWord<Grain>> grain_words() { return kGrains; }
std::span<const FlagWord<Term::Kind>> term_words() { return kTerms; }

std::string_view name_of(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)].name; }

std::string_view name_of(Advice advice) {
  for (const auto& [name, flag] : kAdvice) {
    if (flag == advice) return name;
  }
  return {};
}

std::string text_of(Protection protection) {
  return protection == Protection::kNone ? "PROT_NONE" : joined(kProtections, protection);
}
std::string text_of(MapFlags flags) { return joined(kMapFlags, flags); }
std::string text_of(RemapFlags flags) { return joined(kRemapFlags, flags); }
std::string text_of(PinFlags flags) { return joined(kPinFlags, flags); }
std::string text_of(UffdFlags flags) { return joined(kUffdFlags, flags); }

bool is_register_name(std::string_view name) { return is_numbered(name, "r", 3); }
bool is_block_name(std::string_view name) { return is_numbered(name, "PDK", 4); }
bool is_snapshot_name(std::string_view name) { return is_numbered(name, "S", 1); }

bool is_reserved(std::string_view name) {
  return is_register_name(name) || is_block_name(name) || is_snapshot_name(name) || find_statement(name) != nullptr ||
         std::find(kKeywords.begin(), kKeywords.end(), name) != kKeywords.end();
}

}  // namespace cowherd::litmus
