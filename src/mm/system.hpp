#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <optional>

#include "area/vma_tree.hpp"
#include "back/block_store.hpp"
#include "back/huge_pool.hpp"
#include "back/page_cache.hpp"
#include "base/geometry.hpp"
#include "base/lock_ranks.hpp"
#include "base/memory_orders.h"
#include "base/schedule.hpp"
#include "cow/decisions.hpp"
#include "cowherd/rules.hpp"
#include "frame/frames.hpp"
#include "mm/event.hpp"
#include "mm/objects.hpp"
#include "mm/violation.hpp"
#include "table/accessor_slots.hpp"
#include "table/tables.hpp"
#include "table/walker_slots.hpp"

namespace cowherd::mm {

/// What a machine has room for.
struct MachineSize {
  PageCount frames;
  /// Pages of swap. With any, frame descriptors have a cold part.
  PageCount swap{0};
  /// Others than its owners change an address space while fork makes it, without there being swap: migrate(). Of
  /// interest where operations are interleaved.
  bool others_come_by_rmap = false;
  /// There may be huge pages: frame descriptors have a word more to each run of frames.
  bool huge = false;
  /// Large folios that lowest tables map: the first write to memory of MADV_HUGEPAGE gets one of up to 2^folio_order
  /// pages, and no huge entry. 0: there are none. At most Frames::kHugeOrder; needs `huge`. Compare Linux
  /// /sys/kernel/mm/transparent_hugepage/hugepages-*/enabled.
  unsigned folio_order = 0;
  /// Pages of the hugetlb pool, which take their frames from `frames`.
  std::uint32_t pool = 0;
  /// Of `frames`, those that hold only what can be moved. Compare Linux movablecore=.
  PageCount movable{0};

  [[nodiscard]] bool cold() const { return swap != PageCount{0}; }
};

/// One simulated computer: a view on memory that holds all of its state. The operations (operations.hpp) work on it.
///
/// Layout: header, Frames, the swap area where there is one. A copy of the memory, attached anew, is an independent
/// machine.
///
/// The operations may run on any number of threads; in a geometry that is explored they run one at a time, and a
/// Scheduler, if there is one, decides at every point who goes on.
template <class G>
class System {
 public:
  /// Bytes for a machine.
  static std::size_t footprint(const MachineSize& size) {
    return swap_offset(size) + BlockStore<G>::footprint(size.swap);
  }
  static std::size_t footprint(PageCount frames) { return footprint(MachineSize{frames}); }
  /// Lays out a machine without processes. Precondition: `memory` has footprint() bytes, aligned to a page.
  static void format(std::byte* memory, const MachineSize& size, const Rules& rules);
  static void format(std::byte* memory, PageCount frames, const Rules& rules) {
    format(memory, MachineSize{frames}, rules);
  }

  explicit System(std::byte* memory)
      : memory_(memory), header_(reinterpret_cast<Header*>(memory)), frames_(memory + kFramesOffset) {
    pool_span_ = header_->pool.pages * Frames<G>::kHugeFrames;
    if (header_->swap_pages != 0) {
      swap_.emplace(memory + swap_offset({.frames = frames_.frame_count(),
                                          .swap = PageCount{header_->swap_pages},
                                          .huge = frames_.has_huge(),
                                          .folio_order = header_->folio_order}));
    }
  }

  [[nodiscard]] std::byte* memory() const { return memory_; }
  [[nodiscard]] const Rules& rules() const { return header_->rules; }
  Frames<G>& frames() { return frames_; }
  [[nodiscard]] const Frames<G>& frames() const { return frames_; }

  [[nodiscard]] bool has_huge() const { return frames_.has_huge(); }
  [[nodiscard]] bool has_folios() const { return frames_.has_folios(); }
  /// See MachineSize.
  [[nodiscard]] unsigned folio_order() const { return header_->folio_order; }
  [[nodiscard]] bool has_swap() const { return swap_.has_value(); }
  [[nodiscard]] bool has_pool() const { return pool_span_ != 0; }
  /// Precondition of all but a look at its size: the pool lock is held.
  [[nodiscard]] HugePool& pool() { return header_->pool; }
  /// Whether `frame`, any number at all, is part of a hugetlb page, in use or free.
  [[nodiscard]] bool in_pool(FrameNumber frame) const { return frame.value() - Frames<G>::kHugeFrames < pool_span_; }
  /// The frame whose descriptor has the counts and marks of the page that `frame` is part of: the first one of a
  /// hugetlb page, else itself. Compare Linux page_folio().
  [[nodiscard]] FrameNumber folio(FrameNumber frame) const {
    return in_pool(frame) ? FrameNumber{frame.value() & ~(Frames<G>::kHugeFrames - 1)} : frame;
  }
  /// Whether somebody may be led by reverse maps to an address space that is not his.
  [[nodiscard]] bool others_come_by_rmap() const { return has_swap() || header_->others_come_by_rmap != 0; }
  /// Its blocks are slots, and its counts the entries that name them. Precondition: has_swap().
  [[nodiscard]] BlockStore<G>& swap() { return *swap_; }

  template <class T>
  T& at(Ref<T> ref) {
    return frames_.at(ref);
  }
  /// The other way round: `object` lives in this machine.
  template <class T>
  Ref<T> ref(const T& object) {
    const auto offset =
        reinterpret_cast<const std::byte*>(&object) - reinterpret_cast<const std::byte*>(frames_.bytes(FrameNumber{0}));
    return Ref<T>{static_cast<std::uint32_t>(static_cast<std::size_t>(offset) / kObjectUnit)};
  }
  FrameDescriptor& descriptor(FrameNumber frame) { return frames_.descriptor(frame); }

  /// Read as an entry is: walkers do so without a lock, and restore() exchanges it.
  Tables<G> tables(const Mm& mm) {
    return Tables<G>(frames_, std::atomic_ref(const_cast<FrameNumber&>(mm.root)).load(order::kEntryLoad));
  }
  VmaTree areas(Mm& mm) { return VmaTree(frames_.objects(), mm.vmas); }

  /// Head of a list that list_lock() guards.
  [[nodiscard]] Ref<Process>& processes() { return header_->processes; }
  [[nodiscard]] LockWord& list_lock() { return header_->list_lock; }
  /// Where reclaim goes on next time: in the process behind this one, at this page. A hint, which each of several
  /// threads may set.
  struct ReclaimHand {
    Ref<Process> process;
    Vpn page{0};
  };
  [[nodiscard]] ReclaimHand reclaim_hand() {
    return {{std::atomic_ref(header_->reclaim_process).load(std::memory_order_relaxed)},
            Vpn{std::atomic_ref(header_->reclaim_page).load(std::memory_order_relaxed)}};
  }
  void set_reclaim_hand(const ReclaimHand& hand) {
    std::atomic_ref(header_->reclaim_process).store(hand.process.unit, std::memory_order_relaxed);
    std::atomic_ref(header_->reclaim_page).store(hand.page.value(), std::memory_order_relaxed);
  }
  /// Pages that migration has begun to take from those who map them, and that have not arrived.
  [[nodiscard]] std::uint32_t pages_on_their_way() const {
    return std::atomic_ref(header_->pages_on_their_way).load(order::kEntryLoad);
  }
  void add_page_on_its_way(bool more) {
    std::atomic_ref count(header_->pages_on_their_way);
    more ? count.fetch_add(1, order::kEntryChange) : count.fetch_sub(1, order::kEntryChange);
  }
  /// The first frame of the huge zero page; the zero page: there is none yet.
  [[nodiscard]] FrameNumber huge_zero_page() const {
    return std::atomic_ref(header_->huge_zero_page).load(order::kEntryLoad);
  }
  /// Frames of zeros, which stay when everybody has gone.
  [[nodiscard]] PageCount zero_pages() const {
    return PageCount{huge_zero_page() == Frames<G>::kZeroPage ? 1 : 1 + Frames<G>::kHugeFrames};
  }
  /// Frames of the hugetlb pool, in use or not.
  [[nodiscard]] PageCount pool_frames() const { return PageCount{pool_span_}; }
  /// False: there is one already.
  bool set_huge_zero_page(FrameNumber head) {
    FrameNumber none = Frames<G>::kZeroPage;
    return std::atomic_ref(header_->huge_zero_page).compare_exchange_strong(none, head, order::kEntryChange);
  }
  [[nodiscard]] WalkerSlots<G>& walker_slots() { return header_->walkers; }
  [[nodiscard]] AccessorSlots<G>& accessor_slots() { return header_->accessors; }

  /// What a decision may look at in the large folio that `frame` is part of, if any; who asks is not known. Pages that
  /// were freed are no part of it any more. While it sums up, others may come and go, but none that is there all along
  /// is missed: a page that nobody else maps gets no other mapping except from who asks.
  [[nodiscard, gnu::noinline]] FolioState folio_state(FrameNumber frame) const {
    FolioState folio;
    const unsigned order = frames_.folio_order(frame);
    if (order == 0) return folio;
    folio.large = true;
    const std::uint32_t pages = 1U << order;
    const FrameNumber head{frame.value() & ~(pages - 1)};
    for (std::uint32_t i = 0; i < pages; ++i) {
      const FrameNumber piece = head + PageCount{i};
      if (frames_.folio_order(piece) != order) continue;
      const FrameDescriptor& page = frames_.descriptor(piece);
      const FrameDescriptor::Counts counts = page.counts();
      folio.references += counts.references;
      folio.pins += counts.pins;
      folio.mapcount += page.mapcount();
      folio.most_mapped = std::max(folio.most_mapped, page.mapcount());
    }
    return folio;
  }
  /// What a decision may look at in `frame`.
  [[nodiscard]] FrameState state(FrameNumber frame) {
    FrameState known = state_of_page(frame);
    if (has_folios()) [[unlikely]]
      known.folio = folio_state(frame);
    return known;
  }
  /// The same without what is known of its folio.
  [[nodiscard]] FrameState state_of_page(FrameNumber frame) {
    const FrameDescriptor& d = descriptor(frame);
    const FrameDescriptor::Counts counts = d.counts();
    return {.references = counts.references,
            .pins = counts.pins,
            .mapcount = d.mapcount(),
            .exclusive = d.use() != FrameUse::kFile && d.exclusive(),
            .anon = d.use() == FrameUse::kAnon || d.use() == FrameUse::kKsm,
            .file = d.use() == FrameUse::kFile,
            .merged = d.use() == FrameUse::kKsm,
            .zero_page = d.use() == FrameUse::kZeroPage,
            .gup_mark = d.use() != FrameUse::kFile && d.gup_mark()};
  }

  /// The class that a mapping of `frame`, a user page, counts in.
  [[nodiscard]] RssClass rss_class(FrameNumber frame) {
    const FrameDescriptor& page = descriptor(frame);
    if (page.use() != FrameUse::kFile) return RssClass::kAnon;
    const Ref<File> file{page.owner()};
    return file && at(file).on_disk() ? RssClass::kFile : RssClass::kShmem;
  }
  /// As state(), and what swap knows of the page. Precondition: has_swap().
  [[nodiscard]] FrameState state_with_swap(FrameNumber frame) {
    FrameState known = state(frame);
    const ColdDescriptor& cold = frames_.cold(frame);
    if (const auto slot = cold.slot_now()) {
      known.in_swap_cache = true;
      known.swap_entries = swap_->count(*slot);
      known.writeback = cold.writeback();
    }
    return known;
  }

  void set_event_sink(EventSink* sink) { sink_ = sink; }
  void note(const Event& event) {
    if (sink_ != nullptr) {
      sink_->on_event(event);
    }
  }
  /// Whether note() reaches anybody.
  [[nodiscard]] bool observed() const { return sink_ != nullptr; }

  /// What the operations' own checks have found since take_violations().
  void report(Violation violation) {
    std::atomic_ref(violations_.bits).fetch_or(Violations::bit(violation), std::memory_order_relaxed);
  }
  Violations take_violations() { return {std::atomic_ref(violations_.bits).exchange(0, std::memory_order_relaxed)}; }

  /// Null: each operation runs to its end. Means something in an explored geometry only.
  void set_scheduler(Scheduler* scheduler) { scheduler_ = scheduler; }
  [[nodiscard]] Scheduler* scheduler() const {
    if constexpr (G::kExplored) {
      return scheduler_;
    } else {
      return nullptr;
    }
  }

  /// Whether the order of locks is checked as they are taken.
#ifdef NDEBUG
  static constexpr bool kChecksLocks = G::kExplored;
#else
  static constexpr bool kChecksLocks = true;
#endif
  /// Of the agent that runs now. Precondition: kChecksLocks.
  HeldLocks& held_locks() {
    if constexpr (G::kExplored) {
      return scheduler_ != nullptr ? scheduler_->agent().held : held_locks_;
    } else {
      static thread_local HeldLocks held;
      return held;
    }
  }

  /// Where a user page comes from: pages of files are not moved here.
  static constexpr Zone zone_of(FrameUse use) { return use == FrameUse::kAnon ? Zone::kMovable : Zone::kNormal; }
  /// A frame for a user page, as allocate(); the caller may sleep here, and is checked for it.
  Result<FrameNumber> allocate_page(FrameUse use = FrameUse::kAnon) { return allocate_page(use, zone_of(use)); }
  Result<FrameNumber> allocate_page(FrameUse use, Zone zone) {
    if constexpr (kChecksLocks) {
      if (held_locks().atomic()) {
        report(Violation::kSleepInAtomic);
      }
    }
    return frames_.allocate(use, 0, zone);
  }

  // Where the parts of the memory lie, for whoever copies only what is used: see Frames and BlockStore.

  [[nodiscard]] std::size_t cold_offset() const { return kFramesOffset + frames_.cold_offset(); }
  [[nodiscard]] std::size_t descriptor_offset() const { return kFramesOffset + frames_.descriptor_offset(); }
  [[nodiscard]] std::size_t ram_offset() const { return kFramesOffset + frames_.ram_offset(); }

 private:
  struct Header {
    Rules rules;
    Ref<Process> processes;
    LockWord list_lock;
    std::uint32_t swap_pages;
    std::uint32_t others_come_by_rmap;
    std::uint32_t folio_order;
    std::uint32_t pages_on_their_way;
    FrameNumber huge_zero_page;
    std::uint32_t reclaim_process;
    std::uint64_t reclaim_page;
    HugePool pool;
    WalkerSlots<G> walkers;
    [[no_unique_address]] AccessorSlots<G> accessors;
  };
  static constexpr std::size_t kFramesOffset =
      (sizeof(Header) + Geometry<G>::kPageBytes - 1) / Geometry<G>::kPageBytes * Geometry<G>::kPageBytes;

  static typename Frames<G>::Parts parts_of(const MachineSize& size) {
    // Low, so that little lies below the last frame in use; behind the pool, which begins at the second run.
    const FrameNumber movable{size.pool == 0 ? 4 : (1 + size.pool) * Frames<G>::kHugeFrames};
    return {.cold = size.cold(),
            .huge = size.huge,
            .folios = size.folio_order != 0,
            .movable = size.movable == PageCount{0} ? MovableZone{} : MovableZone{movable, size.movable}};
  }
  static std::size_t swap_offset(const MachineSize& size) {
    return kFramesOffset + Frames<G>::footprint(size.frames, parts_of(size));
  }

  std::byte* memory_;
  Header* header_;
  Frames<G> frames_;
  /// Frames of the pool, which begin at number kHugeFrames.
  std::uint32_t pool_span_ = 0;
  std::optional<BlockStore<G>> swap_;
  EventSink* sink_ = nullptr;
  Violations violations_;
  HeldLocks held_locks_;
  Scheduler* scheduler_ = nullptr;
};

template <class G>
void System<G>::format(std::byte* memory, const MachineSize& size, const Rules& rules) {
  std::memset(memory, 0, kFramesOffset);
  auto* header = reinterpret_cast<Header*>(memory);
  header->rules = rules;
  header->swap_pages = static_cast<std::uint32_t>(size.swap.value());
  header->folio_order = size.folio_order;
  Frames<G>::format(memory + kFramesOffset, size.frames, parts_of(size));
  header->others_come_by_rmap = size.others_come_by_rmap ? 1 : 0;
  if (size.pool != 0) {
    Frames<G> frames(memory + kFramesOffset);
    format_pool(frames, header->pool, size.pool);
  }
  if (size.swap != PageCount{0}) BlockStore<G>::format(memory + swap_offset(size), size.swap);
}

}  // namespace cowherd::mm
