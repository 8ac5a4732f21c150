#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "area/vma.hpp"
#include "base/lock_word.hpp"
#include "base/ref.hpp"
#include "cowherd/result.hpp"
#include "frame/frames.hpp"

namespace cowherd {

struct FileMapping;

/// Where a file's pages come from, and go to.
enum class FileStore : std::uint8_t {
  /// Nowhere: they live in memory alone (Linux: shmem).
  kMemory,
  kDisk,
  /// The hugetlb pool (Linux: hugetlbfs). A page is known by the number of its first small one.
  kHugePool,
};

/// A file, or the object behind shared anonymous memory: its pages that are in the cache, and who maps it. Goes with
/// its last user. Compare Linux struct inode and struct address_space.
struct File {
  static constexpr SlabKind kSlab = SlabKind::kFile;

  /// Of the index of its pages: what stands for a page itself where `height` is 0, else a node; the zero page: none.
  /// What stands for a page is its frame while it is in the cache, or, of a file in memory, the slot of swap that holds
  /// it, or, of a hugetlb file, that a page of the pool is promised to it.
  FrameNumber root;
  /// Its size. What lies behind it cannot be had (SIGBUS).
  std::uint32_t pages = 0;
  /// Mappings, and handles of who has it open.
  std::uint32_t users = 0;
  /// Its mappings. A child's come behind its parent's: who goes along while fork copies entries meets each of them.
  Ref<FileMapping> first;
  /// The mapping lock: over the list and the index.
  LockWord mapping_lock;
  /// The file lock: over its size, and over who changes it as a whole.
  LockWord file_lock;
  /// Of the index of its blocks, as `root`, where a place holds the number of a block, from one.
  FrameNumber blocks;
  std::uint8_t height = 0;
  /// As `height`, of the index of blocks.
  std::uint8_t block_height = 0;
  FileStore store = FileStore::kMemory;
  /// Somebody has a handle on it, which is a use.
  bool open = false;

  /// As it is now: it changes under the file lock, and others look without.
  [[nodiscard]] std::uint32_t size() const {
    return std::atomic_ref(const_cast<std::uint32_t&>(pages)).load(std::memory_order_acquire);
  }
  void set_size(std::uint32_t size) { std::atomic_ref(pages).store(size, std::memory_order_release); }
  [[nodiscard]] bool on_disk() const { return store == FileStore::kDisk; }
  [[nodiscard]] bool is_hugetlb() const { return store == FileStore::kHugePool; }
};

/// One VMA on the list of the file that it maps. Compare Linux: vma->shared and i_mmap.
struct FileMapping {
  static constexpr SlabKind kSlab = SlabKind::kFileMapping;

  Ref<Vma> vma;
  Ref<File> file;
  Ref<FileMapping> next;
  Ref<FileMapping> previous;
  // As the VMA's flags say, for who comes by the list and has no mmap lock.
  std::uint16_t reserved = 0;
  std::uint16_t shared = 0;
};

static_assert(sizeof(File) <= kObjectUnit);
static_assert(sizeof(FileMapping) <= kObjectUnit);

// Changes to the list and to the index need the mapping lock for writing, looks at them for reading.

/// Puts `vma`, which is on no list, on that of the file of `behind` right after it, or in front of the list of `file`
/// where that is null. Takes a use of the file. `made` is the place for it.
template <class G>
void link_mapping(Frames<G>& frames, Ref<FileMapping> made, Ref<Vma> vma, Ref<File> file, Ref<FileMapping> behind);
/// Takes it off the list. What it stood for stays with the VMA, for who gives up the use of the file without a lock.
template <class G>
void unlink_mapping(Frames<G>& frames, Ref<FileMapping> gone);

/// The cached page number `index`; the zero page where there is none.
template <class G>
FrameNumber find_cached(const Frames<G>& frames, const File& file, std::uint32_t index);
/// What stands for a page in the index.
struct FilePlace {
  /// In the cache; the zero page: it is not.
  FrameNumber frame;
  /// In swap, or of a hugetlb file one of Promise. Compare Linux: a value entry of the page cache.
  std::optional<BlockNumber> slot;
  std::uint32_t index = 0;

  [[nodiscard]] bool none() const { return frame == FrameNumber{0} && !slot; }
};
/// What stands for a page of a hugetlb file that is not in the cache and has a page of the pool promised. Compare Linux
/// struct resv_map.
struct Promise {
  static constexpr BlockNumber kMade{0};
  /// It is being made, and may come to nothing.
  static constexpr BlockNumber kNew{1};
};
/// As add_cached(), of one that is being made. set_in_swap() says that it is.
template <class G>
Result<void> add_promise(Frames<G>& frames, File& file, std::uint32_t index);
/// Of page number `index`.
template <class G>
FilePlace find_place(const Frames<G>& frames, const File& file, std::uint32_t index);
/// The first at or after `index` for which something stands; none() where there is none.
template <class G>
FilePlace next_place(const Frames<G>& frames, const File& file, std::uint32_t index);
/// Changes what stands for a page for which something does: that needs no memory.
template <class G>
void set_in_swap(const Frames<G>& frames, File& file, std::uint32_t index, BlockNumber slot);
template <class G>
void set_cached(const Frames<G>& frames, File& file, std::uint32_t index, FrameNumber frame);
/// Puts `frame` into the index, where nothing is at `index`. ENOMEM, and then nothing has changed that can be found.
template <class G>
Result<void> add_cached(Frames<G>& frames, File& file, std::uint32_t index, FrameNumber frame);
/// Takes what stands for page number `index` out; nodes that hold nothing go.
template <class G>
void remove_cached(Frames<G>& frames, File& file, std::uint32_t index);

/// The block behind page number `index`; none where it was never prepared for writing.
template <class G>
std::optional<BlockNumber> find_block(const Frames<G>& frames, const File& file, std::uint32_t index);
/// As add_cached() and remove_cached().
template <class G>
Result<void> add_block(Frames<G>& frames, File& file, std::uint32_t index, BlockNumber block);
template <class G>
void remove_block(Frames<G>& frames, File& file, std::uint32_t index);
/// The first block at or after page number `index`, and the page's number; nothing where there is none.
struct BlockOfPage {
  BlockNumber block;
  std::uint32_t index = 0;
};
template <class G>
std::optional<BlockOfPage> next_block(const Frames<G>& frames, const File& file, std::uint32_t index);
/// The first page at or after `index` that is cached, and its number; the zero page where there is none.
struct CachedPage {
  FrameNumber frame;
  std::uint32_t index = 0;
};
template <class G>
CachedPage next_cached(const Frames<G>& frames, const File& file, std::uint32_t index);
/// Calls visit(node) for every node of the index.
template <class G, class Visit>
void for_each_cache_node(const Frames<G>& frames, FrameNumber node, unsigned height, Visit& visit) {
  if (height == 0 || node == Frames<G>::kZeroPage) return;
  const auto* below = reinterpret_cast<const FrameNumber*>(frames.bytes(node));
  for (std::size_t i = 0; i < Geometry<G>::kPageBytes / sizeof(FrameNumber); ++i) {
    for_each_cache_node(frames, below[i], height - 1, visit);
  }
  visit(node);
}

/// Calls visit(vma, page) for every mapping of page number `index`, as far as VMAs go: whether an entry maps it, the
/// caller looks. Compare Linux mm/rmap.c: rmap_walk_file().
template <class G, class Visit>
void for_each_mapping(const Frames<G>& frames, const File& file, std::uint32_t index, Visit&& visit) {
  for (Ref<FileMapping> at = file.first; at; at = frames.at(at).next) {
    const Ref<Vma> ref = frames.at(at).vma;
    const Vma& vma = frames.at(ref);
    const Vpn page{index};
    if (page >= vma.index && page - vma.index < vma.pages.count()) visit(ref, vma.pages.begin + (page - vma.index));
  }
}

}  // namespace cowherd
