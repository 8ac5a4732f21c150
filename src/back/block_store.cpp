#include "back/block_store.hpp"

#include <atomic>
#include <cassert>
#include <cstring>

#include "base/mutant.hpp"
#include "frame/frames.hpp"

namespace cowherd {

template <class G>
std::size_t BlockStore<G>::bytes_offset(std::size_t blocks) {
  const std::size_t end = sizeof(Header) + blocks * sizeof(Block);
  return (end + kPageBytes - 1) / kPageBytes * kPageBytes;
}

template <class G>
std::size_t BlockStore<G>::footprint(PageCount blocks) {
  return blocks == PageCount{0} ? 0 : bytes_offset(blocks.value()) + blocks.value() * kPageBytes;
}

template <class G>
void BlockStore<G>::format(std::byte* memory, PageCount blocks) {
  const std::size_t count = blocks.value();
  std::memset(memory, 0, bytes_offset(count));
  if constexpr (G::kScrubFreed) {
    std::memset(memory + bytes_offset(count), Frames<G>::kScrubByte, count * kPageBytes);
  }
  reinterpret_cast<Header*>(memory)->blocks = static_cast<std::uint32_t>(count);
}

template <class G>
BlockStore<G>::BlockStore(std::byte* memory)
    : header_(reinterpret_cast<Header*>(memory)),
      blocks_(reinterpret_cast<Block*>(memory + sizeof(Header))),
      bytes_(memory + bytes_offset(header_->blocks)) {}

template <class G>
PageCount BlockStore<G>::free_count() const {
  return PageCount{header_->blocks - std::atomic_ref(header_->in_use).load(std::memory_order_relaxed)};
}

template <class G>
Result<BlockNumber> BlockStore<G>::allocate(FrameNumber cached, std::uint32_t count) {
  const std::uint32_t taken = header_->first_free;
  if (taken == header_->blocks) return Errno::kNoMemory;
  assert(count != 0 || cached.value() != 0);
  store(blocks_[taken].count, count);
  store(blocks_[taken].cached, cached.value());
  std::atomic_ref(header_->in_use).fetch_add(1, std::memory_order_relaxed);
  find_free(taken + 1);
  return BlockNumber{taken};
}

template <class G>
void BlockStore<G>::find_free(std::uint32_t from) {
  while (from != header_->blocks && !blocks_[from].free()) ++from;
  header_->first_free = from;
}

template <class G>
std::optional<BlockNumber> BlockStore<G>::allocate_run(FrameNumber cached, std::uint32_t count) {
  assert(cached.value() != 0);
  std::uint32_t at = 0;
  std::uint32_t found = 0;
  // Up to the first free one all are taken.
  for (at = header_->first_free / count * count; found < count && header_->blocks - at >= count; at += count) {
    for (found = 0; found < count && (blocks_[at + found].free() || COWHERD_MUTANT(slot_run_overlaps)); ++found) {
    }
  }
  if (found < count) return std::nullopt;
  const std::uint32_t first = at - count;
  for (std::uint32_t i = 0; i < count; ++i) store(blocks_[first + i].cached, cached.value() + i);
  std::atomic_ref(header_->in_use).fetch_add(count, std::memory_order_relaxed);
  find_free(header_->first_free);
  return BlockNumber{first};
}

template <class G>
void BlockStore<G>::became_free(BlockNumber block) {
  if constexpr (G::kScrubFreed) std::memset(bytes(block), Frames<G>::kScrubByte, kPageBytes);
  std::atomic_ref(header_->in_use).fetch_sub(1, std::memory_order_relaxed);
  if (block.value() < header_->first_free) header_->first_free = block.value();
}

template <class G>
bool BlockStore<G>::add_count(BlockNumber block) {
  if (count(block) == kMaxCount) return false;
  give_count(block);
  return true;
}

template <class G>
void BlockStore<G>::drop_count(BlockNumber block) {
  take_count(block);
  if (blocks_[block.value()].free()) became_free(block);
}

template <class G>
void BlockStore<G>::set_cached(BlockNumber block, FrameNumber frame) {
  store(blocks_[block.value()].cached, frame.value());
  if (blocks_[block.value()].free()) became_free(block);
}

template <class G>
PageCount BlockStore<G>::used_blocks() const {
  std::uint32_t used = header_->blocks;
  while (used != 0 && blocks_[used - 1].free()) --used;
  return PageCount{used};
}

template <class G>
void BlockStore<G>::forget(PageCount first, PageCount last) {
  for (std::uint64_t block = first.value(); block < last.value(); ++block) {
    blocks_[block] = {};
    std::memset(bytes_ + block * kPageBytes, Frames<G>::kScrubByte, kPageBytes);
  }
}

#define COWHERD_INSTANTIATE(G) template class BlockStore<G>;
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
