#include "stress/house.hpp"

#include <cstdlib>
#include <cstring>

#include "mm/page.hpp"

namespace cowherd::stress {

namespace {

constexpr std::uint64_t kHugePages = Frames<P>::kHugeFrames;
static_assert(kFirstPage + kFirstDiscardable == kHugePages);
/// hugetlb pages for two to each address space, and for what devices keep of pages that were thrown away.
constexpr std::uint32_t kPoolBySpace = 6;

constexpr unsigned kFolioOrder = 4;

std::uint32_t pool_of(const Plan& plan) {
  const auto spaces = House::kRoots + plan.threads * House::kForkedByThread;
  return plan.pages == Pages::kHugetlb ? spaces * kPoolBySpace : 0;
}

mm::MachineSize size_of(const Plan& plan) {
  const std::uint32_t pool = pool_of(plan);
  return {.frames = PageCount{plan.frames + pool * kHugePages},
          .swap = PageCount{plan.swap},
          .huge = plan.pages != Pages::kSmall,
          .folio_order = plan.pages == Pages::kFolio ? kFolioOrder : 0,
          .pool = pool};
}

/// Whether the pages are all that is watched of the huge pages that they lie in.
bool is_whole(std::uint8_t first, std::uint8_t count) {
  const bool begins = first == 0 || first == kFirstDiscardable;
  return begins && (first + count == kFirstDiscardable || first + count == kPages);
}

mm::System<P> format(std::byte* memory, const Plan& plan) {
  mm::System<P>::format(memory, size_of(plan), plan.rules);
  return mm::System<P>(memory);
}

}  // namespace

House::House(const Plan& plan)
    : plan_(plan),
      bytes_((mm::System<P>::footprint(size_of(plan)) + 4095) / 4096 * 4096),
      memory_(static_cast<std::byte*>(std::aligned_alloc(4096, bytes_))),
      system_(format(memory_.get(), plan)),
      spaces_(kRoots + plan.threads * kForkedByThread),
      threads_(plan.threads) {}

Vaddr House::begin_of(std::uint8_t first, std::uint8_t count) const {
  if (plan_.pages == Pages::kSmall || !is_whole(first, count)) return address_of(first, 0);
  return Vaddr{first == 0 ? 0 : kHugePages * Geometry<P>::kPageBytes};
}

ByteCount House::length_of(std::uint8_t first, std::uint8_t count) const {
  if (plan_.pages == Pages::kSmall || !is_whole(first, count)) return ByteCount{count * Geometry<P>::kPageBytes};
  const std::uint64_t huge = count == kPages ? 2 : 1;
  return ByteCount{huge * kHugePages * Geometry<P>::kPageBytes};
}

Errno House::map(ProcessId process, std::uint8_t first, std::uint8_t count) {
  const Vaddr begin = begin_of(first, count);
  const ByteCount length = length_of(first, count);
  const MapFlags flags = plan_.pages == Pages::kHugetlb ? MapFlags::kFixed | MapFlags::kHugetlb : MapFlags::kFixed;
  if (auto mapped = mm::mmap(system_, process, begin, length, Protection::kReadWrite, flags); !mapped) {
    return mapped.error();
  }
  // Where that fails the pages are small.
  if (plan_.pages == Pages::kHuge || plan_.pages == Pages::kFolio)
    (void)mm::madvise(system_, process, begin, length, Advice::kHugePage);
  return Errno{0};
}

// A visitor says where he is before he looks whether the space is open; who closes it does the reverse: one of them
// sees the other.

House::Visit::Visit(House& house, unsigned thread, unsigned slot, User user) : where_(house.threads_[thread].slot) {
  where_.store((slot + 1) | (user == User::kStranger ? kStranger : 0), std::memory_order_seq_cst);
  const std::uint32_t life = house.spaces_[slot].life.load(std::memory_order_seq_cst);
  if (life != 0 && (user == User::kStranger || (life & kExecs) == 0)) {
    life_ = life & ~kExecs;
    process_ = ProcessId{house.spaces_[slot].process.load(std::memory_order_relaxed)};
  }
}

House::Visit::~Visit() { where_.store(0, std::memory_order_release); }

void House::open(unsigned slot, Life life, ProcessId process) {
  spaces_[slot].process.store(process.value(), std::memory_order_relaxed);
  spaces_[slot].life.store(life, std::memory_order_release);
}

bool House::is_open(unsigned slot) const { return spaces_[slot].life.load(std::memory_order_relaxed) != 0; }

ProcessId House::process_in(unsigned slot) const {
  return ProcessId{spaces_[slot].process.load(std::memory_order_relaxed)};
}

ProcessId House::close(unsigned slot) {
  spaces_[slot].life.store(0, std::memory_order_seq_cst);
  wait_for_visitors(slot, true);
  return process_in(slot);
}

Life House::close_to_threads(unsigned slot) {
  std::uint32_t life = spaces_[slot].life.load(std::memory_order_relaxed);
  if (life == 0 || (life & kExecs) != 0 || !spaces_[slot].life.compare_exchange_strong(life, life | kExecs)) return 0;
  wait_for_visitors(slot, false);
  return life;
}

void House::open_to_threads(unsigned slot) { spaces_[slot].life.fetch_and(~kExecs, std::memory_order_release); }

void House::wait_for_visitors(unsigned slot, bool strangers_too) {
  for (Whereabouts& thread : threads_) {
    const auto visits = [&] {
      const std::uint32_t where = thread.slot.load(std::memory_order_seq_cst);
      return (where & ~kStranger) == slot + 1 && (strangers_too || (where & kStranger) == 0);
    };
    for (unsigned round = 0; visits(); ++round) spin_pause(round);
  }
}

std::optional<ProcessId> House::process_of(Life life) const {
  for (const Slot& slot : spaces_) {
    if (slot.life.load(std::memory_order_relaxed) == life) {
      return ProcessId{slot.process.load(std::memory_order_relaxed)};
    }
  }
  return std::nullopt;
}

const std::byte* House::bytes_behind(const mm::PageView& view) {
  if (view.entry.present()) return system_.frames().bytes(view.frame);
  if (!view.entry.swap()) return nullptr;
  const FrameNumber cached = system_.swap().cached(view.entry.slot());
  return cached != Frames<P>::kZeroPage ? system_.frames().bytes(cached) : system_.swap().bytes(view.entry.slot());
}

Facts House::facts() {
  Facts facts;
  facts.protection = [this](Life life, std::uint8_t page) -> std::uint64_t {
    const auto process = process_of(life);
    if (!process) return kUnmapped;
    const Ref<Vma> vma = system_.areas(mm::mm_of(system_, *process)).at(Vpn{kFirstPage + page});
    return vma ? static_cast<std::uint64_t>(system_.at(vma).flags.protection) : kUnmapped;
  };
  facts.word = [this](Life life, std::uint8_t page, std::uint8_t word) -> std::uint64_t {
    const Vaddr address = address_of(page, word);
    const mm::PageView view = mm::inspect(system_, *process_of(life), address);
    std::uint64_t value = 0;
    if (const std::byte* bytes = bytes_behind(view)) {
      std::memcpy(&value, bytes + Geometry<P>::offset_of(address), sizeof value);
    }
    return value;
  };
  facts.device_word = [this](std::uint32_t pin, std::uint8_t page, std::uint8_t word) -> std::uint64_t {
    const FrameNumber frame = mm::pinned_frame(system_, pins_.at(pin), PageCount{page});
    std::uint64_t value = 0;
    std::memcpy(&value, system_.frames().bytes(frame) + Geometry<P>::offset_of(address_of(0, word)), sizeof value);
    return value;
  };
  return facts;
}

}  // namespace cowherd::stress
