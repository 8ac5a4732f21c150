#include <fmt/format.h>

#include "litmus/generator.hpp"
#include "litmus/printer.hpp"

namespace cowherd::litmus {

namespace {

constexpr std::size_t kMaxTagsLength = 150;

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

}  // namespace

std::string_view operation_tag(const Operation& operation) {
  const bool write = has(operation.pin_flags, PinFlags::kWrite);
  const bool get = has(operation.pin_flags, PinFlags::kGet);
  switch (operation.code) {
    case OpCode::kRead:
      return "Rd";
    case OpCode::kWrite:
      return "Wr";
    case OpCode::kMmap:
      return "Map";
    case OpCode::kMunmap:
      return "Unmap";
    case OpCode::kMprotect:
      return "Prot";
    case OpCode::kMadvise:
      return operation.advice == Advice::kDontNeed ? "Dn" : "Adv";
    case OpCode::kFork:
      return "Fork";
    case OpCode::kVfork:
      return "Vfork";
    case OpCode::kThread:
      return "Thr";
    case OpCode::kExec:
      return "Exec";
    case OpCode::kExit:
      return "Exit";
    case OpCode::kWait:
      return "Wait";
    case OpCode::kPin:
      if (has(operation.pin_flags, PinFlags::kFast)) {
        return get ? (write ? "FGetW" : "FGetR") : (write ? "FPinW" : "FPinR");
      }
      return get ? (write ? "GetW" : "GetR") : (write ? "PinW" : "PinR");
    case OpCode::kUnpin:
      return get ? "Put" : "Unpin";
    case OpCode::kUnpinDirty:
      return "UnpinD";
    case OpCode::kDmaRead:
      return "DmaR";
    case OpCode::kDmaWrite:
      return "DmaW";
    case OpCode::kPtraceRead:
      return "PtrR";
    case OpCode::kPtraceWrite:
      return "PtrW";
    case OpCode::kLockPage:
      return "PgLock";
    case OpCode::kUnlockPage:
      return "PgUnlock";
    case OpCode::kClearRefs:
      return "Clear";
    case OpCode::kTryShare:
      return "Share";
    case OpCode::kSnapshot:
      return "Snap";
    case OpCode::kRestore:
      return "Rest";
    case OpCode::kMremap:
      return "Remap";
    case OpCode::kFileRead:
      return "FRd";
    case OpCode::kFileWrite:
      return "FWr";
    case OpCode::kTruncate:
      return "Trunc";
    case OpCode::kPunch:
      return "Punch";
    case OpCode::kWriteback:
      return "Wb";
    case OpCode::kDropCache:
      return "Drop";
    case OpCode::kKsmMerge:
      return "Ksm";
    case OpCode::kKsmZero:
      return "Zero";
    case OpCode::kKsmUnmerge:
      return "Unksm";
    case OpCode::kNumaHint:
      return "Hint";
    case OpCode::kMsync:
      return "Sync";
    case OpCode::kMlock:
      return "Lock";
    case OpCode::kMunlock:
      return "Unlock";
    case OpCode::kSwapOut:
      return "Out";
    case OpCode::kSwapIn:
      return "In";
    case OpCode::kMigrate:
      return "Mig";
    case OpCode::kCollapse:
      return "Coll";
    case OpCode::kSplit:
      return "Split";
    case OpCode::kPoison:
      return "Fail";
    case OpCode::kMakeExclusive:
      return "Excl";
    case OpCode::kDeviceRead:
      return "DevR";
    case OpCode::kDeviceWrite:
      return "DevW";
    case OpCode::kDeviceAdd:
      return "DevA";
    case OpCode::kCompact:
      return "Comp";
    case OpCode::kOffline:
      return "Off";
    case OpCode::kUffdRegister:
      return "Reg";
    case OpCode::kUffdUnregister:
      return "Unreg";
    case OpCode::kUffdCopy:
      return "Fill";
    case OpCode::kUffdZeropage:
      return "FillZ";
    case OpCode::kUffdContinue:
      return "Cont";
    case OpCode::kUffdWp:
      return "Wp";
    case OpCode::kUffdUnwp:
      return "Unwp";
    case OpCode::kUffdMove:
      return "Mv";
    case OpCode::kUffdPoison:
      return "Bad";
    case OpCode::kUffdRead:
      return "Ev";
  }
  return "Op";
}

std::string generated_name(const Program& program) {
  std::string name;
  for (const Block& block : program.blocks) {
    if (&block != program.blocks.data()) name += '+';
    for (const Operation& op : block.operations) {
      if (&op != block.operations.data()) name += '-';
      name += operation_tag(op);
    }
  }
  if (name.size() > kMaxTagsLength) name.resize(kMaxTagsLength);
  Program nameless = program;
  nameless.name = "x";
  return fmt::format("{}-{:06x}", name, fnv1a(print(nameless)) & 0xffffffu);
}

}  // namespace cowherd::litmus
