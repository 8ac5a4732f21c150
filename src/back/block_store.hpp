#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/geometry.hpp"
#include "base/lock_word.hpp"
#include "cowherd/result.hpp"
#include "cowherd/types.hpp"
#include "frame/cold_descriptor.hpp"

namespace cowherd {

/// Blocks of a page's size that lie in the machine's memory beside RAM, with a count for each: what a disk is to a
/// kernel. A swap area is one. A block is in use while its count is not zero or a frame caches it.
///
/// A view: all state lies in the memory that format() laid out, header, counts, bytes; copying that copies everything.
/// Blocks are given out lowest first. Whoever uses it holds lock(), but for bytes(), which belong to whoever keeps the
/// block; what is read without it is as of some moment.
template <class G>
class BlockStore {
 public:
  static constexpr std::size_t kPageBytes = Geometry<G>::kPageBytes;
  static constexpr std::uint32_t kMaxCount = ~std::uint32_t{0} >> 1;

  /// Bytes that `blocks` blocks need.
  static std::size_t footprint(PageCount blocks);
  /// Lays out `blocks` blocks, all free. Precondition: `memory` has footprint() bytes, aligned to a page.
  static void format(std::byte* memory, PageCount blocks);

  /// Attaches to memory that format() laid out, or to a copy of it.
  explicit BlockStore(std::byte* memory);

  [[nodiscard]] LockWord& lock() const { return header_->lock; }
  [[nodiscard]] PageCount block_count() const { return PageCount{header_->blocks}; }
  /// As of some moment during the call.
  [[nodiscard]] PageCount free_count() const;

  /// A block that `cached` is the contents of, with `count`. ENOMEM: none is free. Its bytes are whatever they are.
  Result<BlockNumber> allocate(FrameNumber cached, std::uint32_t count);
  /// The first of `count` blocks side by side, an aligned power of two, that the frames from `cached` on are the
  /// contents of. Nothing: there is no such run.
  std::optional<BlockNumber> allocate_run(FrameNumber cached, std::uint32_t count);
  [[nodiscard]] std::uint32_t count(BlockNumber block) const { return load(blocks_[block.value()].count); }
  /// False: at its limit, and nothing has changed.
  [[nodiscard]] bool add_count(BlockNumber block);
  /// With the last one, and no frame that caches it, the block is free. Below zero wraps, which verify() reports.
  void drop_count(BlockNumber block);
  /// The frame whose contents are the block's; frame 0, the zero page: none.
  [[nodiscard]] FrameNumber cached(BlockNumber block) const { return FrameNumber{load(blocks_[block.value()].cached)}; }
  /// Frame 0: none from now on; and without a count the block is free then.
  void set_cached(BlockNumber block, FrameNumber frame);

  [[nodiscard]] std::byte* bytes(BlockNumber block) const { return bytes_ + block.value() * kPageBytes; }

  /// Blocks from 0 to the last one in use; above lie only blocks as format() left them, where the geometry scrubs.
  [[nodiscard]] PageCount used_blocks() const;

  [[nodiscard]] bool in_use(BlockNumber block) const { return !blocks_[block.value()].free(); }

  // For verify(), which counts in place and gives everything back.

  void take_count(BlockNumber block) { store(blocks_[block.value()].count, count(block) - 1); }
  void give_count(BlockNumber block) { store(blocks_[block.value()].count, count(block) + 1); }

  // For whoever copies only what is used: header and counts of `used` blocks; their bytes.

  [[nodiscard]] std::byte* memory() const { return reinterpret_cast<std::byte*>(header_); }
  [[nodiscard]] static std::size_t index_bytes(PageCount used) { return sizeof(Header) + used.value() * sizeof(Block); }
  /// As format() leaves blocks [`first`, `last`), whose bytes a copy of a state does not have.
  void forget(PageCount first, PageCount last);

 private:
  struct Header {
    std::uint32_t blocks;
    std::uint32_t in_use;
    /// The lowest free one; `blocks` where there is none.
    std::uint32_t first_free;
    LockWord lock;
  };
  struct Block {
    std::uint32_t count;
    std::uint32_t cached;

    [[nodiscard]] bool free() const { return load(count) == 0 && load(cached) == 0; }
  };

  static std::uint32_t load(const std::uint32_t& word) {
    return std::atomic_ref(const_cast<std::uint32_t&>(word)).load(std::memory_order_relaxed);
  }
  static void store(std::uint32_t& word, std::uint32_t value) {
    std::atomic_ref(word).store(value, std::memory_order_relaxed);
  }

  static std::size_t bytes_offset(std::size_t blocks);
  void became_free(BlockNumber block);
  /// first_free, where those below `from` are in use.
  void find_free(std::uint32_t from);

  Header* header_;
  Block* blocks_;
  std::byte* bytes_;
};

}  // namespace cowherd
