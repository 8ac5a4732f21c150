#pragma once

#include <cstdint>

#include "check/call.hpp"
#include "check/moves.hpp"
#include "check/scene.hpp"
#include "litmus/program.hpp"
#include "litmus/spelling.hpp"

namespace cowherd::check {

/// A test means this address and no other one.
inline MapFlags map_flags_of(const Scene& scene, const litmus::Operation& op) {
  const bool placed = has(op.map_flags, MapFlags::kFixedNoReplace);
  const MapFlags flags = placed ? op.map_flags : op.map_flags | MapFlags::kFixed;
  return op.code == litmus::OpCode::kMmap ? scene.map_flags_of(op.place, flags) : flags;
}

/// What the next operation of `block` asks of the reference. `where` knows where everybody stands: scene(),
/// operation(block), reg(block, number), alive(process), holds(device), unfinished(). Precondition: it has one.
template <class Where>
Call call_of(Where& where, std::uint8_t block) {
  using Kind = Call::Kind;
  using litmus::OpCode;
  const Scene& scene = where.scene();
  const litmus::Operation& op = where.operation(block);
  Call call;
  call.process = op.target.value_or(scene.process_of(block));
  call.child = op.block;
  call.device = op.device;
  call.page = litmus::names_variable(op) ? scene.page_of(op.place) : op.place.page;
  call.count = op.place.pages;
  call.word = op.place.word;
  call.protection = op.protection;
  call.map_flags = map_flags_of(scene, op);
  if (op.code == OpCode::kMmap) call.backing = scene.backing_of(op.place);
  if (litmus::names_file(op)) call.backing.file = spec::FileNumber{op.file};
  call.advice = op.advice;
  call.pin_flags = op.pin_flags;
  call.value = op.value.is_register ? where.reg(block, op.value.reg) : op.value.literal;
  switch (op.code) {
    case OpCode::kRead:
      call.kind = Kind::kRead;
      break;
    case OpCode::kWrite:
      call.kind = Kind::kWrite;
      break;
    case OpCode::kMmap:
      call.kind = Kind::kMmap;
      if (has(call.map_flags, MapFlags::kHugetlb) && call.backing.first % spec::kHugetlbPages == 0) {
        // A part of a page counts as one.
        call.count = static_cast<std::uint8_t>((call.count + spec::kHugetlbPages - 1u) / spec::kHugetlbPages *
                                               spec::kHugetlbPages);
      }
      break;
    case OpCode::kMunmap:
      call.kind = Kind::kMunmap;
      break;
    case OpCode::kMprotect:
      call.kind = Kind::kMprotect;
      break;
    case OpCode::kMadvise:
      // It changes nothing that may be observed.
      if (op.advice != Advice::kCollapse) call.kind = Kind::kMadvise;
      break;
    case OpCode::kMsync:
      call.kind = Kind::kMadvise;
      call.advice = Advice::kSync;
      break;
    case OpCode::kMlock:
    case OpCode::kMunlock:
      call.kind = Kind::kMadvise;
      call.advice = op.code == OpCode::kMlock ? Advice::kLock : Advice::kUnlock;
      break;
    case OpCode::kMremap:
      call.kind = Kind::kMremap;
      call.remap = {call.page, call.count, scene.page_of(op.to), op.to.pages, op.remap_flags};
      call.count = call.remap.parts();
      break;
    case OpCode::kFork:
      call.kind = Kind::kFork;
      if (scene.reads_events()) call.uffd = UffdFlags::kReadsEvents;
      break;
    case OpCode::kVfork:
      call.kind = Kind::kVfork;
      break;
    case OpCode::kSnapshot:
    case OpCode::kRestore:
      call.child = scene.process_of_snapshot(op.snapshot);
      if (op.code == OpCode::kRestore && where.alive(call.child)) call.kind = Kind::kRestore;
      if (op.code == OpCode::kSnapshot && !where.alive(call.child)) call.kind = Kind::kFork;
      break;
    case OpCode::kExec:
      call.kind = Kind::kExec;
      break;
    case OpCode::kExit: {
      const auto others = static_cast<BlockSet>(scene.threads_of(call.process) & ~bit_of(block));
      if ((others & where.unfinished()) == 0) call.kind = Kind::kExit;
      break;
    }
    case OpCode::kWait:
      call.process = op.block;
      if (scene.block(op.block).start != litmus::BlockStart::kThread && where.alive(op.block)) call.kind = Kind::kExit;
      break;
    case OpCode::kPin:
      if (where.alive(call.process) && !where.holds(op.device)) call.kind = Kind::kPin;
      break;
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
      if (where.holds(op.device)) call.kind = Kind::kUnpin;
      break;
    case OpCode::kDmaRead:
      call.kind = Kind::kDmaRead;
      break;
    case OpCode::kDmaWrite:
      call.kind = Kind::kDmaWrite;
      break;
    case OpCode::kPtraceRead:
      if (where.alive(call.process)) call.kind = Kind::kForceRead;
      break;
    case OpCode::kPtraceWrite:
      if (where.alive(call.process)) call.kind = Kind::kForceWrite;
      break;
    case OpCode::kFileRead:
      call.kind = Kind::kFileRead;
      break;
    case OpCode::kFileWrite:
      call.kind = Kind::kFileWrite;
      break;
    case OpCode::kTruncate:
      call.kind = Kind::kTruncate;
      break;
    case OpCode::kPunch:
      call.kind = Kind::kPunch;
      break;
    case OpCode::kThread:
    case OpCode::kLockPage:
    case OpCode::kUnlockPage:
    case OpCode::kClearRefs:
    case OpCode::kTryShare:
    case OpCode::kWriteback:
    case OpCode::kDropCache:
    case OpCode::kNumaHint:
    case OpCode::kKsmMerge:
    case OpCode::kKsmZero:
    case OpCode::kKsmUnmerge:
    case OpCode::kSwapOut:
    case OpCode::kSwapIn:
    case OpCode::kMigrate:
    case OpCode::kCollapse:
    case OpCode::kSplit:
    case OpCode::kCompact:
    case OpCode::kOffline:
      break;
    case OpCode::kMakeExclusive:
      if (where.alive(call.process)) call.kind = Kind::kMakeExclusive;
      break;
    case OpCode::kDeviceRead:
      if (where.alive(call.process)) call.kind = Kind::kDeviceRead;
      break;
    case OpCode::kDeviceWrite:
      if (where.alive(call.process)) call.kind = Kind::kDeviceWrite;
      break;
    case OpCode::kDeviceAdd:
      if (where.alive(call.process)) call.kind = Kind::kDeviceAdd;
      break;
    case OpCode::kUffdRegister:
    case OpCode::kUffdUnregister:
      call.kind = Kind::kUffdRegister;
      call.uffd = scene.uffd_of(op);
      break;
    case OpCode::kUffdCopy:
    case OpCode::kUffdZeropage:
    case OpCode::kUffdPoison:
      if (where.alive(call.process)) call.kind = Kind::kUffdFill;
      call.child = static_cast<std::uint8_t>(op.code == OpCode::kUffdCopy       ? spec::Fill::kBytes
                                             : op.code == OpCode::kUffdZeropage ? spec::Fill::kZeros
                                                                                : spec::Fill::kPoison);
      break;
    case OpCode::kUffdContinue:
      if (where.alive(call.process)) call.kind = Kind::kUffdContinue;
      break;
    case OpCode::kUffdWp:
    case OpCode::kUffdUnwp:
      if (where.alive(call.process)) call.kind = Kind::kUffdProtect;
      call.value = op.code == OpCode::kUffdWp ? 1 : 0;
      break;
    case OpCode::kUffdMove:
      call.kind = Kind::kUffdMove;
      call.child = scene.page_of(op.to);
      break;
    case OpCode::kUffdRead:
      if (where.alive(call.process)) call.kind = Kind::kUffdRead;
      break;
    case OpCode::kPoison:
      if (where.alive(call.process)) call.kind = Kind::kPoison;
      break;
  }
  if (is_of_handler(call.kind) && call.kind != Kind::kUffdRegister && scene.reads_events()) {
    call.uffd = UffdFlags::kReadsEvents;
  }
  return call;
}

}  // namespace cowherd::check
