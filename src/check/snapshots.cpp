#include "check/snapshots.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace cowherd::check {

// A stored state is, for each part, its size in bytes and groups of up to 64 words: a mask of the words that differ
// from the base, a mask of those among them that are not zero, and the latter's values.

namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kGroup = 64;

std::size_t words_of(std::size_t bytes) { return (bytes + kWord - 1) / kWord; }

}  // namespace

void SnapshotStore::reset(const StateParts& base) {
  for (std::size_t part = 0; part < base.size(); ++part) {
    base_[part].assign(words_of(base[part].size()), 0);
    if (!base[part].empty()) std::memcpy(base_[part].data(), base[part].data(), base[part].size());
  }
  // One slab is enough for most programs, and is kept from one to the next.
  if (slabs_.size() > 1) slabs_.resize(1);
  next_ = slabs_.empty() ? nullptr : slabs_[0].get();
  left_ = slabs_.empty() ? 0 : kFirstSlab;
  reserved_ = left_;
  for (auto& blocks : free_) blocks.clear();
  used_ = 0;
}

SnapshotStore::Handle SnapshotStore::store(const StateParts& state) {
  std::size_t most = 0;
  for (const auto& part : state) most += 1 + words_of(part.size()) + 2 * (words_of(part.size()) / kGroup + 1);
  if (encoded_.size() < most + 1) encoded_.resize(2 * most);
  std::size_t out = 0;
  for (std::size_t part = 0; part < state.size(); ++part) out = encode(state[part], base_[part], out);

  Handle handle;
  handle.stored_bytes = static_cast<std::uint32_t>(out * kWord);
  handle.data = allocate((handle.stored_bytes + kUnit - 1) / kUnit);
  std::memcpy(handle.data, encoded_.data(), handle.stored_bytes);
  return handle;
}

std::size_t SnapshotStore::encode(std::span<const std::byte> part, std::vector<std::uint64_t>& base, std::size_t out) {
  const std::size_t words = words_of(part.size());
  // Beyond the base everything is compared with zero.
  if (base.size() < words) base.resize(words, 0);
  encoded_[out++] = part.size();
  for (std::size_t begin = 0; begin < words; begin += kGroup) {
    const std::size_t count = std::min(kGroup, words - begin);
    std::array<std::uint64_t, kGroup> group;
    group[count - 1] = 0;
    std::memcpy(group.data(), part.data() + begin * kWord, std::min(count * kWord, part.size() - begin * kWord));
    const std::size_t head = out;
    out += 2;
    std::uint64_t differs = 0;
    std::uint64_t stored = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t changed = group[i] != base[begin + i] ? 1 : 0;
      const std::uint64_t kept = group[i] != 0 ? changed : 0;
      differs |= changed << i;
      stored |= kept << i;
      encoded_[out] = group[i];
      out += kept;
    }
    encoded_[head] = differs;
    encoded_[head + 1] = stored;
  }
  return out;
}

std::span<const std::byte> SnapshotStore::load(const Handle& handle) {
  const std::byte* in = handle.data;
  std::size_t words = 0;
  std::size_t bytes = 0;
  for (const auto& base : base_) {
    std::uint64_t size = 0;
    std::memcpy(&size, in, kWord);
    const std::size_t count = words_of(size);
    if (decoded_.size() < words + count) decoded_.resize(2 * (words + count));
    in = decode(in + kWord, std::span(decoded_).subspan(words, count), base);
    words += count;
    bytes += size;
  }
  return std::as_bytes(std::span(decoded_)).first(bytes);
}

const std::byte* SnapshotStore::decode(const std::byte* in, std::span<std::uint64_t> words,
                                       const std::vector<std::uint64_t>& base) {
  if (words.empty()) return in;
  std::memcpy(words.data(), base.data(), words.size_bytes());
  const auto next = [&in] {
    std::uint64_t word = 0;
    std::memcpy(&word, in, kWord);
    in += kWord;
    return word;
  };
  for (std::size_t begin = 0; begin < words.size(); begin += kGroup) {
    const std::uint64_t differs = next();
    const std::uint64_t stored = next();
    for (std::uint64_t zeros = differs & ~stored; zeros != 0; zeros &= zeros - 1) {
      words[begin + static_cast<std::size_t>(std::countr_zero(zeros))] = 0;
    }
    for (std::uint64_t values = stored; values != 0; values &= values - 1) {
      words[begin + static_cast<std::size_t>(std::countr_zero(values))] = next();
    }
  }
  return in;
}

void SnapshotStore::release(Handle& handle) {
  if (!handle) return;
  const std::size_t units = (handle.stored_bytes + kUnit - 1) / kUnit;
  used_ -= units * kUnit;
  free_[units].push_back(handle.data);
  handle.data = nullptr;
}

std::byte* SnapshotStore::allocate(std::size_t units) {
  if (free_.size() <= units) free_.resize(units + 1);
  used_ += units * kUnit;
  if (!free_[units].empty()) {
    std::byte* block = free_[units].back();
    free_[units].pop_back();
    return block;
  }
  const std::size_t bytes = units * kUnit;
  if (bytes > left_) {
    // The first one has the size that reset() counts on; what does not fit into it gets one of its own.
    const std::size_t size = slabs_.empty() ? kFirstSlab : std::clamp(reserved_, kFirstSlab, kLargestSlab);
    left_ = std::max(size, bytes);
    if (slabs_.empty() && bytes > kFirstSlab) slabs_.push_back(std::make_unique_for_overwrite<std::byte[]>(kFirstSlab));
    slabs_.push_back(std::make_unique_for_overwrite<std::byte[]>(left_));
    next_ = slabs_.back().get();
    reserved_ += left_;
  }
  std::byte* block = next_;
  next_ += bytes;
  left_ -= bytes;
  return block;
}

}  // namespace cowherd::check
