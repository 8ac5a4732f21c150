#include "live/known.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "litmus/spelling.hpp"
#include "live/spelling.hpp"

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;
using litmus::Term;
using litmus::VariableKind;

/// Whether emit_c() writes a statement.
enum class InC : bool { kNo, kYes };

struct Known {
  OpCode code;
  InC in_c;
  /// Not empty: no kernel can be told, and why.
  std::string_view refusal;

  constexpr explicit Known(OpCode op, InC c = InC::kYes, std::string_view why = {}) : code(op), in_c(c), refusal(why) {}
};

constexpr std::string_view kPageLock = "no page lock can be held from user space";
constexpr std::string_view kNumaChoice = "which pages get a NUMA hint, and when, is the kernel's choice alone";
constexpr std::string_view kReadAtOnce = "what userfaultfd tells beside faults is read at once here";
constexpr std::string_view kGoBack = "no kernel restores an address space";

constexpr std::array kStatements{
    Known{OpCode::kRead},
    Known{OpCode::kWrite},
    Known{OpCode::kMmap},
    Known{OpCode::kMunmap},
    Known{OpCode::kMprotect},
    Known{OpCode::kMadvise},
    Known{OpCode::kFork},
    Known{OpCode::kVfork},
    Known{OpCode::kThread},
    Known{OpCode::kExec},
    Known{OpCode::kExit},
    Known{OpCode::kWait},
    Known{OpCode::kPin},
    Known{OpCode::kUnpin},
    Known{OpCode::kUnpinDirty},
    Known{OpCode::kDmaRead},
    Known{OpCode::kDmaWrite},
    Known{OpCode::kPtraceRead},
    Known{OpCode::kPtraceWrite},
    Known{OpCode::kClearRefs},
    Known{OpCode::kMremap},
    Known{OpCode::kMlock},
    Known{OpCode::kMunlock},
    Known{OpCode::kSwapOut},
    Known{OpCode::kSwapIn},
    Known{OpCode::kKsmMerge},
    Known{OpCode::kKsmZero, InC::kNo},
    Known{OpCode::kKsmUnmerge},
    Known{OpCode::kMsync},
    Known{OpCode::kFileRead},
    Known{OpCode::kFileWrite},
    Known{OpCode::kTruncate},
    Known{OpCode::kPunch},
    Known{OpCode::kWriteback},
    Known{OpCode::kDropCache, InC::kNo},
    Known{OpCode::kCollapse},
    Known{OpCode::kSplit},
    Known{OpCode::kMigrate, InC::kNo},
    Known{OpCode::kPoison, InC::kNo},
    Known{OpCode::kUffdRegister, InC::kNo},
    Known{OpCode::kUffdUnregister, InC::kNo},
    Known{OpCode::kUffdCopy, InC::kNo},
    Known{OpCode::kUffdZeropage, InC::kNo},
    Known{OpCode::kUffdContinue, InC::kNo},
    Known{OpCode::kUffdWp, InC::kNo},
    Known{OpCode::kUffdUnwp, InC::kNo},
    Known{OpCode::kUffdMove, InC::kNo},
    Known{OpCode::kUffdPoison, InC::kNo},
    Known{OpCode::kUffdRead, InC::kNo, kReadAtOnce},
    Known{OpCode::kLockPage, InC::kNo, kPageLock},
    Known{OpCode::kUnlockPage, InC::kNo, kPageLock},
    Known{OpCode::kTryShare, InC::kNo, "the exclusive mark cannot be taken alone from user space"},
    Known{OpCode::kNumaHint, InC::kNo, kNumaChoice},
    Known{OpCode::kSnapshot, InC::kNo, kGoBack},
    Known{OpCode::kRestore, InC::kNo, kGoBack},
};

constexpr std::array kVariables{VariableKind::kAnon,         VariableKind::kAnonValue,  VariableKind::kZeroPage,
                                VariableKind::kUnmapped,     VariableKind::kSecret,     VariableKind::kFile,
                                VariableKind::kThp,          VariableKind::kThpValue,   VariableKind::kHugetlb,
                                VariableKind::kHugetlbValue, VariableKind::kHugetlbFile};

constexpr std::array kTerms{
    Term::Kind::kLiteral, Term::Kind::kRegister,  Term::Kind::kMemory,   Term::Kind::kFaults,    Term::Kind::kFinding,
    Term::Kind::kFrame,   Term::Kind::kMapcount,  Term::Kind::kRss,      Term::Kind::kExclusive, Term::Kind::kSoftDirty,
    Term::Kind::kSwapped, Term::Kind::kSwapCache, Term::Kind::kFileWord, Term::Kind::kDiskWord,  Term::Kind::kHuge,
    Term::Kind::kUffdWp,  Term::Kind::kWaiting,   Term::Kind::kPool};
/// Only a kernel's debugger sees them.
constexpr std::array kHidden{Term::Kind::kRefcount,  Term::Kind::kPins,    Term::Kind::kWritable, Term::Kind::kDirty,
                             Term::Kind::kSwapCount, Term::Kind::kMovable, Term::Kind::kOnDevice};

constexpr MapFlags kMapFlags = MapFlags::kFixed | MapFlags::kFixedNoReplace | MapFlags::kPopulate;
constexpr RemapFlags kRemapFlags = RemapFlags::kMayMove | RemapFlags::kFixed | RemapFlags::kDontUnmap;
constexpr PinFlags kPinFlags = PinFlags::kWrite | PinFlags::kLongTerm | PinFlags::kForce | PinFlags::kNoFault |
                               PinFlags::kRemote | PinFlags::kFast | PinFlags::kGet;

const Known* find(OpCode code) {
  const auto* const at =
      std::find_if(kStatements.begin(), kStatements.end(), [=](const Known& k) { return k.code == code; });
  return at == kStatements.end() ? nullptr : at;
}

template <class List, class E>
bool contains(const List& list, E value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

template <class E>
bool within(E flags, E known) {
  return (static_cast<unsigned>(flags) & ~static_cast<unsigned>(known)) == 0;
}

std::string no_way_to(std::string_view what) { return fmt::format("live has no way to {} yet", what); }

}  // namespace

std::string refusal_of(const Operation& operation) {
  const Known* const known = find(operation.code);
  if (known == nullptr) return no_way_to(litmus::statement_word(operation).name);
  if (operation.code == OpCode::kMadvise && advice_of(operation.advice) < 0) {
    return no_way_to(litmus::name_of(operation.advice));
  }
  if (operation.code == OpCode::kMmap && !within(operation.map_flags, kMapFlags)) {
    return no_way_to("mmap with these flags");
  }
  if (operation.code == OpCode::kMremap && !within(operation.remap_flags, kRemapFlags)) {
    return no_way_to("mremap with these flags");
  }
  if (operation.code == OpCode::kPin && !within(operation.pin_flags, kPinFlags)) {
    return no_way_to("take hold of pages with these flags");
  }
  return std::string(known->refusal);
}

std::string refusal_of(const litmus::Variable& variable) {
  return contains(kVariables, variable.kind) ? std::string() : no_way_to("build such memory");
}

std::string refusal_of(const Term& term) {
  if (contains(kTerms, term.kind)) return {};
  return contains(kHidden, term.kind) ? "internal state: not visible from user space" : no_way_to("look at that");
}

bool is_shared(const litmus::Variable& variable) {
  return variable.shared || variable.kind == litmus::VariableKind::kFile;
}

bool written_in_c(OpCode code) {
  const Known* const known = find(code);
  return known != nullptr && known->in_c == InC::kYes;
}

}  // namespace cowherd::live
