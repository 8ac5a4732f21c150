#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cowherd/flags.hpp"
#include "cowherd/result.hpp"
#include "cowherd/rules.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

class Accessor;
class AddressSpace;
class FileHandle;
class Pin;
class Snapshot;

/// Bytes of a page of a Machine.
inline constexpr std::size_t kPageBytes = 4096;

/// How much of a Machine's memory is in use.
struct MemoryUse {
  PageCount total;
  PageCount free;
  /// Of the swap area; zero without one.
  PageCount swap_total{0};
  PageCount swap_free{0};
};

/// What a Machine is made like.
struct MachineOptions {
  Rules rules = kCowherdRules;
  /// So much of its memory, rounded down to pages, is a swap area: where pages go that nobody has used for a while when
  /// frames run out. None: then running out is a result of the operation at hand.
  ByteCount swap{0};
  /// Memory of Advice::kHugePage gets large folios of up to so much at a first write, which small entries map, instead
  /// of huge pages: a power of two, 8 KiB to 2 MiB. Zero: huge pages.
  ByteCount largest_folio{0};
};

/// One simulated computer: RAM, rules, and the address spaces that live in it.
///
/// All of its state lies in the memory that it was created in; it uses no heap. Running out of that memory is a result
/// of the operation at hand, never an abort. It must outlive its AddressSpaces and Pins.
///
/// Safe to use from any thread, and made for many: accesses, faults and pins of one address space run side by side;
/// fork and changes to mappings wait for faults, as in a kernel. verify() alone needs the machine to itself.
class Machine {
 public:
  /// A machine in memory of its own, taken from the host: `memory` bytes, rounded up to pages; at least 64 KiB. EINVAL;
  /// ENOMEM where the host has none.
  static Result<Machine> create(ByteCount memory, const Rules& rules = kCowherdRules);

  /// A machine in the caller's memory, which must be aligned to a page and outlive it. EINVAL.
  static Result<Machine> create_in(std::span<std::byte> memory, const Rules& rules = kCowherdRules);

  /// The same with more to choose. Also EINVAL: beside so much swap too few frames are left; there are no such folios.
  static Result<Machine> create(ByteCount memory, const MachineOptions& options);
  static Result<Machine> create_in(std::span<std::byte> memory, const MachineOptions& options);

  Machine(Machine&& other) noexcept;
  Machine& operator=(Machine&& other) noexcept;
  ~Machine();

  /// An address space with nothing in it. ENOMEM.
  Result<AddressSpace> create_space();

  /// A file of `length` bytes (rounded up to pages) of zeros that lives in the machine's memory alone: what
  /// memfd_create() gives. EINVAL: longer than a file can be; ENOMEM.
  Result<FileHandle> create_file(ByteCount length);

  [[nodiscard]] MemoryUse memory_use() const;

  /// Frees up to `wanted` frames by sending pages to swap that nobody has used for a while, or by dropping those under
  /// Advice::kFree; returns how many. Pages that a Pin holds stay. Operations that run out of frames do so themselves.
  PageCount reclaim(PageCount wanted);

  /// Recounts every reference, mapping and table. Null if all is well, else one sentence about the first thing that is
  /// not. Linear in the machine's frames.
  [[nodiscard]] const char* verify() const;

  struct Impl;

 private:
  Machine(Impl* impl, ByteCount owned) : impl_(impl), owned_(owned) {}
  void destroy();

  Impl* impl_;
  /// Bytes to give back to the host; 0 for memory of the caller's.
  ByteCount owned_;
};

/// A virtual address space: what a kernel calls an mm. Destroying it unmaps everything; pins keep their pages.
class AddressSpace {
 public:
  AddressSpace(AddressSpace&& other) noexcept;
  AddressSpace& operator=(AddressSpace&& other) noexcept;
  ~AddressSpace();

  /// Maps `length` bytes (rounded up to pages) of anonymous memory, wherever there is room: private, or with
  /// MapFlags::kShared such that a fork has the same pages. ENOMEM.
  Result<Vaddr> map(ByteCount length, Protection protection = Protection::kReadWrite, MapFlags flags = MapFlags::kNone);
  /// As map(), at `address`: kFixed replaces what is there, kFixedNoReplace gives EEXIST. EINVAL, ENOMEM.
  Result<Vaddr> map_at(Vaddr address, ByteCount length, Protection protection = Protection::kReadWrite,
                       MapFlags flags = MapFlags::kFixed);
  /// Maps `length` bytes of `file` from byte `offset` on, which is aligned to a page; with MapFlags::kShared what is
  /// stored goes to the file, else it stays here. At `address` as map_at() with kFixed or kFixedNoReplace, else
  /// wherever there is room. The mapping keeps the file. An access behind the file's end is SIGBUS. EINVAL: not
  /// aligned, or a file of another machine; EEXIST, ENOMEM.
  Result<Vaddr> map_file(const FileHandle& file, ByteCount offset, ByteCount length,
                         Protection protection = Protection::kReadWrite, MapFlags flags = MapFlags::kNone,
                         Vaddr address = Vaddr{0});
  /// EINVAL: not aligned to a page. ENOMEM.
  Result<void> unmap(Vaddr address, ByteCount length);
  /// Moves, grows or shrinks what is mapped at `address`, as Linux's mremap(); pins of the pages go along. Returns
  /// where they are now. EINVAL, EFAULT; ENOMEM, and then nothing has changed.
  Result<Vaddr> remap(Vaddr address, ByteCount length, ByteCount new_length, RemapFlags flags = RemapFlags::kMayMove,
                      Vaddr new_address = Vaddr{0});
  /// EINVAL; ENOMEM over a hole, as Linux's mprotect().
  Result<void> protect(Vaddr address, ByteCount length, Protection protection);
  /// EINVAL; ENOMEM over a hole, as Linux's madvise().
  Result<void> advise(Vaddr address, ByteCount length, Advice advice);

  /// Loads or stores as a thread would, faulting pages in. All of it, or SIGSEGV, SIGBUS, and then the bytes before the
  /// fault have been moved.
  Result<void> read(Vaddr address, std::span<std::byte> to);
  Result<void> write(Vaddr address, std::span<const std::byte> from);

  /// A way to do the same at the rate of the host's memory, for one thread (accessor.hpp). EAGAIN: the machine has as
  /// many as it can, 48.
  Result<Accessor> accessor();

  /// A copy of this address space as it is now: copy-on-write, except for what is pinned, which is copied at once and
  /// keeps its write permission here. ENOMEM, and then nothing has changed. EBUSY and EAGAIN only under other rules.
  Result<AddressSpace> fork(ForkMode mode = ForkMode::kClassic);

  /// This address space as it is now, to come back to (snapshot.hpp). Errors are those of fork().
  Result<Snapshot> snapshot();
  /// Everything here is again as it was when `to` was taken: all of it at one moment, for every thread and Accessor;
  /// what was mapped since is gone. ENOMEM, and then nothing has changed. EINVAL: a snapshot of another machine. EAGAIN
  /// only under other rules.
  Result<void> restore(const Snapshot& to);

  /// References to the pages under [address, address + length), faulted in as needed. Holds fewer pages than asked for
  /// where a later one cannot be had; see Pin::pages(). EFAULT, EINVAL, ENOMEM.
  Result<Pin> pin(Vaddr address, ByteCount length, PinFlags flags);

  /// Pages mapped, of any kind.
  [[nodiscard]] PageCount resident() const;
  /// Pages that are in swap. Linear in what is mapped, and for nobody to run beside changes to mappings.
  [[nodiscard]] PageCount swapped() const;

 private:
  friend class Machine;
  AddressSpace(Machine::Impl* impl, ProcessId process) : impl_(impl), process_(process) {}
  void destroy();

  Machine::Impl* impl_;
  ProcessId process_;
};

/// A handle on a file of a Machine. Every mapping of the file, and every read() and write(), sees the same bytes. The
/// file goes with the last handle and mapping. Safe to use from any thread.
class FileHandle {
 public:
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  [[nodiscard]] ByteCount size() const;
  /// Makes it `length` bytes long, rounded up to pages. What was behind that is gone for everybody who maps it, private
  /// copies too; a Pin keeps its pages, which are nobody else's any more. EINVAL.
  Result<void> resize(ByteCount length);
  /// Makes the pages from byte `offset` on, which is aligned to a page, zeros again; private copies stay. EINVAL.
  Result<void> punch(ByteCount offset, ByteCount length);
  /// Reads up to the file's end, and returns how much. ENOMEM.
  Result<ByteCount> read(ByteCount offset, std::span<std::byte> to);
  /// Past the end it makes the file longer. EINVAL: longer than it can be; ENOMEM.
  Result<void> write(ByteCount offset, std::span<const std::byte> from);

 private:
  friend class Machine;
  friend class AddressSpace;
  FileHandle(Machine::Impl* impl, std::uint32_t id) : impl_(impl), id_(id) {}
  void close();

  Machine::Impl* impl_;
  std::uint32_t id_;
};

/// References to pages of an AddressSpace, for a device: it reaches the bytes without page tables. While it is held,
/// the owner's view of those addresses and the device's are the same bytes, whatever the owner forks, protects or
/// unprotects; until the owner unmaps them, and then the pages are the device's alone.
class Pin {
 public:
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&& other) noexcept;
  /// As release(), clean.
  ~Pin();

  [[nodiscard]] PageCount pages() const { return pages_; }

  /// The bytes of one page, for as long as the pin is held. Precondition: `page` < pages(). Writing through them needs
  /// PinFlags::kWrite.
  [[nodiscard]] std::span<std::byte, kPageBytes> bytes(PageCount page);

  /// A device's access from `offset` on. ENXIO past the end; EPERM for a write without PinFlags::kWrite.
  Result<void> read(ByteCount offset, std::span<std::byte> to);
  Result<void> write(ByteCount offset, std::span<const std::byte> from);

  /// Gives the pages back. `dirty`: the device has written.
  void release(bool dirty);

 private:
  friend class AddressSpace;
  Pin(Machine::Impl* impl, std::uint32_t id, PageCount pages) : impl_(impl), id_(id), pages_(pages) {}

  Machine::Impl* impl_;
  std::uint32_t id_;
  PageCount pages_;
};

}  // namespace cowherd
