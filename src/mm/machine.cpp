#include "cowherd/machine.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "mm/machine_impl.hpp"
#include "mm/page.hpp"
#include "mm/reclaim.hpp"

namespace cowherd {

namespace {

using G = ProductionGeometry;

constexpr std::size_t kSmallest = 64 * 1024;
/// Frames that are left beside swap: a process, its tables and a page or two.
constexpr PageCount kFewestFrames{8};

Result<void> complete(mm::Access access) {
  return access.error == Errno{0} ? Result<void>() : Result<void>(at_border(access.error));
}

/// As MachineSize::folio_order. Nothing: no folio has that size.
std::optional<unsigned> folio_order_of(ByteCount largest) {
  if (largest == ByteCount{0}) return 0;
  const std::uint64_t pages = largest.value() / kPageBytes;
  const bool fits = std::has_single_bit(largest.value()) && pages >= 2 && pages <= Frames<G>::kHugeFrames;
  if (!fits) return std::nullopt;
  return static_cast<unsigned>(std::countr_zero(pages));
}

}  // namespace

Result<Machine> Machine::create(ByteCount memory, const Rules& rules) {
  return create(memory, MachineOptions{.rules = rules});
}

Result<Machine> Machine::create_in(std::span<std::byte> memory, const Rules& rules) {
  return create_in(memory, MachineOptions{.rules = rules});
}

Result<Machine> Machine::create(ByteCount memory, const MachineOptions& options) {
  const std::size_t bytes = (memory.value() + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (bytes < kSmallest) {
    return Errno::kInvalid;
  }
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return Errno::kNoMemory;
  }
  // Best effort: frames in huge host pages cost fewer misses.
  ::madvise(mapped, bytes, MADV_HUGEPAGE);
  auto made = create_in({static_cast<std::byte*>(mapped), bytes}, options);
  if (!made) {
    ::munmap(mapped, bytes);
    return made;
  }
  made->owned_ = ByteCount{bytes};
  return made;
}

Result<Machine> Machine::create_in(std::span<std::byte> memory, const MachineOptions& options) {
  static_assert(sizeof(Impl) <= kPageBytes && kPageBytes == Geometry<G>::kPageBytes);
  if (memory.size() < kSmallest || reinterpret_cast<std::uintptr_t>(memory.data()) % kPageBytes != 0) {
    return Errno::kInvalid;
  }
  std::byte* base = memory.data() + kPageBytes;
  const std::size_t room = memory.size() - kPageBytes;
  if (options.swap.value() > room) return Errno::kInvalid;
  const auto folio_order = folio_order_of(options.largest_folio);
  if (!folio_order) return Errno::kInvalid;
  // One frame more than its share of the bookkeeping never fits; find the largest number that does.
  const std::size_t most = (room - options.swap.value()) / kPageBytes;
  mm::MachineSize size{.frames = PageCount{std::min(most, std::size_t{Frames<G>::kMaxFrames.value()})},
                       .swap = PageCount{options.swap.value() / kPageBytes},
                       .huge = true,
                       .folio_order = *folio_order};
  while (mm::System<G>::footprint(size) > room) {
    const std::size_t over = mm::System<G>::footprint(size) - room;
    const PageCount fewer{(over + kPageBytes - 1) / kPageBytes};
    if (size.frames < fewer + kFewestFrames) return Errno::kInvalid;
    size.frames = size.frames - fewer;
  }
  if (size.frames < kFewestFrames) return Errno::kInvalid;
  mm::System<G>::format(base, size, options.rules);
  return Machine(new (memory.data()) Impl(base), ByteCount{0});
}

Machine::Machine(Machine&& other) noexcept
    : impl_(std::exchange(other.impl_, nullptr)), owned_(std::exchange(other.owned_, ByteCount{0})) {}

Machine& Machine::operator=(Machine&& other) noexcept {
  if (this != &other) {
    destroy();
    impl_ = std::exchange(other.impl_, nullptr);
    owned_ = std::exchange(other.owned_, ByteCount{0});
  }
  return *this;
}

Machine::~Machine() { destroy(); }

void Machine::destroy() {
  if (impl_ == nullptr) {
    return;
  }
  impl_->~Impl();
  if (owned_ != ByteCount{0}) {
    ::munmap(static_cast<void*>(impl_), owned_.value());
  }
  impl_ = nullptr;
}

Result<AddressSpace> Machine::create_space() {
  auto process = mm::spawn(impl_->system);
  if (!process) {
    return process.error();
  }
  return AddressSpace(impl_, *process);
}

MemoryUse Machine::memory_use() const {
  mm::System<G>& system = impl_->system;
  MemoryUse use{system.frames().frame_count(), system.frames().free_count()};
  if (system.has_swap()) {
    use.swap_total = system.swap().block_count();
    use.swap_free = system.swap().free_count();
  }
  return use;
}

PageCount Machine::reclaim(PageCount wanted) { return mm::reclaim(impl_->system, wanted); }

const char* Machine::verify() const {
  const mm::Violations found = mm::verify(impl_->system);
  for (std::size_t i = 0; i < mm::kViolations.size(); ++i) {
    if (found.has(static_cast<mm::Violation>(i))) {
      return mm::kViolations[i].sentence.data();
    }
  }
  return nullptr;
}

AddressSpace::AddressSpace(AddressSpace&& other) noexcept
    : impl_(std::exchange(other.impl_, nullptr)), process_(other.process_) {}

AddressSpace& AddressSpace::operator=(AddressSpace&& other) noexcept {
  if (this != &other) {
    destroy();
    impl_ = std::exchange(other.impl_, nullptr);
    process_ = other.process_;
  }
  return *this;
}

AddressSpace::~AddressSpace() { destroy(); }

void AddressSpace::destroy() {
  if (impl_ == nullptr) {
    return;
  }
  assert(!impl_->system.accessor_slots().any(impl_->system.ref(mm::mm_of(impl_->system, process_)).unit));
  // Only a lock left behind by broken rules can keep it from going; the memory goes with the machine then.
  [[maybe_unused]] const Result<void> gone = mm::exit(impl_->system, process_);
  impl_ = nullptr;
}

Result<Vaddr> AddressSpace::map(ByteCount length, Protection protection, MapFlags flags) {
  if (has(flags, MapFlags::kFixed) || has(flags, MapFlags::kFixedNoReplace)) {
    return Errno::kInvalid;
  }
  return map_at(Vaddr{0}, length, protection, flags);
}

Result<Vaddr> AddressSpace::map_at(Vaddr address, ByteCount length, Protection protection, MapFlags flags) {
  return at_border(mm::with_reclaim(
      impl_->system, [&] { return mm::mmap(impl_->system, process_, address, length, protection, flags); }));
}

Result<void> AddressSpace::unmap(Vaddr address, ByteCount length) {
  return at_border(mm::munmap(impl_->system, process_, address, length));
}

Result<Vaddr> AddressSpace::remap(Vaddr address, ByteCount length, ByteCount new_length, RemapFlags flags,
                                  Vaddr new_address) {
  return at_border(mm::mremap(impl_->system, process_, address, length, new_length, flags, new_address));
}

Result<void> AddressSpace::protect(Vaddr address, ByteCount length, Protection protection) {
  return at_border(mm::mprotect(impl_->system, process_, address, length, protection));
}

Result<void> AddressSpace::advise(Vaddr address, ByteCount length, Advice advice) {
  return at_border(
      mm::with_reclaim(impl_->system, [&] { return mm::madvise(impl_->system, process_, address, length, advice); }));
}

Result<void> AddressSpace::read(Vaddr address, std::span<std::byte> to) {
  return complete(mm::read(impl_->system, process_, address, to));
}

Result<void> AddressSpace::write(Vaddr address, std::span<const std::byte> from) {
  return complete(mm::write(impl_->system, process_, address, from));
}

Result<AddressSpace> AddressSpace::fork(ForkMode mode) {
  auto child = mm::with_reclaim(impl_->system, [&] { return mm::fork(impl_->system, process_, mode); });
  if (!child) {
    return at_border(child.error());
  }
  mm::disown(impl_->system, *child);
  return AddressSpace(impl_, *child);
}

Result<Pin> AddressSpace::pin(Vaddr address, ByteCount length, PinFlags flags) {
  const ByteCount offset{Geometry<G>::offset_of(address)};
  const ByteCount end = length + offset;
  if (end < length) {
    return Errno::kFault;
  }
  const PageCount pages = length == ByteCount{0} ? PageCount{0} : Geometry<G>::pages_for(end);
  auto pinned = mm::with_reclaim(
      impl_->system, [&] { return mm::pin(impl_->system, process_, address, pages, flags | PinFlags::kFast); });
  if (!pinned) {
    return at_border(pinned.error());
  }
  return Pin(impl_, pinned->id.value(), pinned->pages);
}

PageCount AddressSpace::resident() const { return mm::rss(impl_->system, process_); }

PageCount AddressSpace::swapped() const { return mm::swapped(impl_->system, process_); }

Pin::Pin(Pin&& other) noexcept
    : impl_(std::exchange(other.impl_, nullptr)), id_(other.id_), pages_(std::exchange(other.pages_, PageCount{0})) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    release(false);
    impl_ = std::exchange(other.impl_, nullptr);
    id_ = other.id_;
    pages_ = std::exchange(other.pages_, PageCount{0});
  }
  return *this;
}

Pin::~Pin() { release(false); }

void Pin::release(bool dirty) {
  if (impl_ == nullptr) {
    return;
  }
  mm::unpin(impl_->system, mm::PinId{id_}, dirty);
  impl_ = nullptr;
  pages_ = PageCount{0};
}

std::span<std::byte, kPageBytes> Pin::bytes(PageCount page) {
  const FrameNumber frame = mm::pinned_frame(impl_->system, mm::PinId{id_}, page);
  return std::span<std::byte, kPageBytes>(impl_->system.frames().bytes(frame), kPageBytes);
}

Result<void> Pin::read(ByteCount offset, std::span<std::byte> to) {
  return complete(mm::dma_read(impl_->system, mm::PinId{id_}, offset, to));
}

Result<void> Pin::write(ByteCount offset, std::span<const std::byte> from) {
  return complete(mm::dma_write(impl_->system, mm::PinId{id_}, offset, from));
}

}  // namespace cowherd
