#include "back/page_cache.hpp"

#include <cstring>

#include "base/mutant.hpp"
#include "base/try.hpp"

namespace cowherd {

namespace {

/// Frame numbers to a node.
template <class G>
constexpr std::uint64_t kFan = Geometry<G>::kPageBytes / sizeof(FrameNumber);

/// Pages below one place of a node of `height`, of which 1 is the lowest.
template <class G>
constexpr std::uint64_t span(unsigned height) {
  std::uint64_t pages = 1;
  for (; height > 1; --height) pages *= kFan<G>;
  return pages;
}

/// Of what stands for a page that is in swap: the rest is its slot. No machine has so many frames.
constexpr std::uint32_t kInSwap = std::uint32_t{1} << 31;

FilePlace place_from(FrameNumber stands, std::uint32_t index) {
  if ((stands.value() & kInSwap) == 0) return {.frame = stands, .slot = std::nullopt, .index = index};
  return {.frame = FrameNumber{0}, .slot = BlockNumber{stands.value() & ~kInSwap}, .index = index};
}

template <class G>
FrameNumber* places(const Frames<G>& frames, FrameNumber node) {
  return reinterpret_cast<FrameNumber*>(frames.bytes(node));
}

template <class G>
FrameNumber& place_of(const Frames<G>& frames, FrameNumber node, unsigned height, std::uint32_t index) {
  return places(frames, node)[index / span<G>(height) % kFan<G>];
}

template <class G>
Result<FrameNumber> make_node(Frames<G>& frames) {
  COWHERD_TRY_ASSIGN(node, frames.allocate(FrameUse::kPinFrames));
  std::memset(frames.bytes(node), 0, Geometry<G>::kPageBytes);
  frames.descriptor(node).add_references(1);
  return node;
}

template <class G>
bool empty(const Frames<G>& frames, FrameNumber node) {
  for (std::uint64_t i = 0; i < kFan<G>; ++i) {
    if (places(frames, node)[i] != Frames<G>::kZeroPage) return false;
  }
  return true;
}

/// Takes page `index` out of what is below `node`, and nodes that are empty after that.
template <class G>
FrameNumber without(Frames<G>& frames, FrameNumber node, unsigned height, std::uint32_t index) {
  if (height == 0 || node == Frames<G>::kZeroPage) return Frames<G>::kZeroPage;
  FrameNumber& place = place_of(frames, node, height, index);
  place = without(frames, place, height - 1, index);
  if (!empty(frames, node)) return node;
  frames.put(node);
  return Frames<G>::kZeroPage;
}

/// What stands for the first page at or after `index` below `node`, whose first page is number `first`.
template <class G>
CachedPage next_below(const Frames<G>& frames, FrameNumber node, unsigned height, std::uint64_t first,
                      std::uint32_t index) {
  if (node == Frames<G>::kZeroPage) return {};
  if (height == 0) return first >= index ? CachedPage{node, static_cast<std::uint32_t>(first)} : CachedPage{};
  const std::uint64_t step = span<G>(height);
  for (std::uint64_t i = index <= first ? 0 : (index - first) / step; i < kFan<G>; ++i) {
    const CachedPage found = next_below(frames, places(frames, node)[i], height - 1, first + i * step, index);
    if (found.frame != Frames<G>::kZeroPage) return found;
  }
  return {};
}

template <class G>
FrameNumber find_in(const Frames<G>& frames, FrameNumber root, unsigned height, std::uint32_t index) {
  if (index / span<G>(height) >= (height == 0 ? 1 : kFan<G>)) return Frames<G>::kZeroPage;
  for (; height > 0 && root != Frames<G>::kZeroPage; --height) root = place_of(frames, root, height, index);
  return root;
}

template <class G>
void remove_from(Frames<G>& frames, FrameNumber& root, std::uint8_t& height, std::uint32_t index) {
  root = without(frames, root, height, index);
  if (root == Frames<G>::kZeroPage) height = 0;
}

template <class G>
Result<void> add_to(Frames<G>& frames, FrameNumber& root, std::uint8_t& height, std::uint32_t index,
                    FrameNumber added) {
  // The root moves down as often as it takes.
  while (index / span<G>(height) >= (height == 0 ? 1 : kFan<G>)) {
    if (root != Frames<G>::kZeroPage) {
      COWHERD_TRY_ASSIGN(above, make_node(frames));
      places(frames, above)[0] = root;
      root = above;
    }
    ++height;
  }
  FrameNumber* place = &root;
  for (unsigned below = height; below > 0; --below) {
    if (*place == Frames<G>::kZeroPage) {
      auto made = make_node(frames);
      if (!made) {
        // Nodes that were made for it hold nothing else.
        remove_from(frames, root, height, index);
        return made.error();
      }
      *place = *made;
    }
    place = &place_of(frames, *place, below, index);
  }
  *place = added;
  return {};
}

/// Where there is something at `index` already.
template <class G>
void replace_in(const Frames<G>& frames, FrameNumber& root, unsigned height, std::uint32_t index, FrameNumber stands) {
  FrameNumber* place = &root;
  for (; height > 0; --height) place = &place_of(frames, *place, height, index);
  *place = stands;
}

}  // namespace

template <class G>
void link_mapping(Frames<G>& frames, Ref<FileMapping> made, Ref<Vma> vma, Ref<File> file, Ref<FileMapping> behind) {
  File& on = frames.at(file);
  FileMapping& mapping = frames.at(made);
  const Ref<FileMapping> next = behind ? frames.at(behind).next : on.first;
  const VmaFlags& flags = frames.at(vma).flags;
  mapping = {.vma = vma,
             .file = file,
             .next = next,
             .previous = behind,
             .reserved = flags.reserved ? std::uint16_t{1} : std::uint16_t{0},
             .shared = flags.shared ? std::uint16_t{1} : std::uint16_t{0}};
  if (next) frames.at(next).previous = made;
  (behind ? frames.at(behind).next : on.first) = made;
  frames.at(vma).mapping = made;
  ++on.users;
}

template <class G>
void unlink_mapping(Frames<G>& frames, Ref<FileMapping> gone) {
  FileMapping& mapping = frames.at(gone);
  (mapping.previous ? frames.at(mapping.previous).next : frames.at(mapping.file).first) = mapping.next;
  if (mapping.next) frames.at(mapping.next).previous = mapping.previous;
}

template <class G>
FrameNumber find_cached(const Frames<G>& frames, const File& file, std::uint32_t index) {
  return find_place(frames, file, index).frame;
}

template <class G>
FilePlace find_place(const Frames<G>& frames, const File& file, std::uint32_t index) {
  return place_from(find_in(frames, file.root, file.height, index), index);
}

template <class G>
FilePlace next_place(const Frames<G>& frames, const File& file, std::uint32_t index) {
  const CachedPage found = next_below(frames, file.root, file.height, 0, index);
  return place_from(found.frame, found.index);
}

template <class G>
void set_in_swap(const Frames<G>& frames, File& file, std::uint32_t index, BlockNumber slot) {
  replace_in(frames, file.root, file.height, index, FrameNumber{slot.value() | kInSwap});
}

template <class G>
void set_cached(const Frames<G>& frames, File& file, std::uint32_t index, FrameNumber frame) {
  replace_in(frames, file.root, file.height, index, frame);
}

template <class G>
Result<void> add_cached(Frames<G>& frames, File& file, std::uint32_t index, FrameNumber frame) {
  return add_to(frames, file.root, file.height, index, frame);
}

template <class G>
Result<void> add_promise(Frames<G>& frames, File& file, std::uint32_t index) {
  return add_to(frames, file.root, file.height, index, FrameNumber{Promise::kNew.value() | kInSwap});
}

template <class G>
void remove_cached(Frames<G>& frames, File& file, std::uint32_t index) {
  remove_from(frames, file.root, file.height, index);
}

template <class G>
CachedPage next_cached(const Frames<G>& frames, const File& file, std::uint32_t index) {
  FilePlace at = next_place(frames, file, index);
  while (at.slot) at = next_place(frames, file, at.index + 1);
  return {at.frame, at.index};
}

template <class G>
std::optional<BlockNumber> find_block(const Frames<G>& frames, const File& file, std::uint32_t index) {
  const FrameNumber found = find_in(frames, file.blocks, file.block_height, index);
  if (found.value() == 0) return std::nullopt;
  return BlockNumber{found.value() - 1};
}

template <class G>
Result<void> add_block(Frames<G>& frames, File& file, std::uint32_t index, BlockNumber block) {
  return add_to(frames, file.blocks, file.block_height, index, FrameNumber{block.value() + 1});
}

template <class G>
void remove_block(Frames<G>& frames, File& file, std::uint32_t index) {
  remove_from(frames, file.blocks, file.block_height, index);
}

template <class G>
std::optional<BlockOfPage> next_block(const Frames<G>& frames, const File& file, std::uint32_t index) {
  const CachedPage found = next_below(frames, file.blocks, file.block_height, 0, index);
  if (found.frame.value() == 0) return std::nullopt;
  return BlockOfPage{BlockNumber{found.frame.value() - 1}, found.index};
}

#define COWHERD_INSTANTIATE(G)                                                                        \
  template void link_mapping<G>(Frames<G>&, Ref<FileMapping>, Ref<Vma>, Ref<File>, Ref<FileMapping>); \
  template void unlink_mapping<G>(Frames<G>&, Ref<FileMapping>);                                      \
  template FrameNumber find_cached<G>(const Frames<G>&, const File&, std::uint32_t);                  \
  template FilePlace find_place<G>(const Frames<G>&, const File&, std::uint32_t);                     \
  template FilePlace next_place<G>(const Frames<G>&, const File&, std::uint32_t);                     \
  template void set_in_swap<G>(const Frames<G>&, File&, std::uint32_t, BlockNumber);                  \
  template void set_cached<G>(const Frames<G>&, File&, std::uint32_t, FrameNumber);                   \
  template Result<void> add_cached<G>(Frames<G>&, File&, std::uint32_t, FrameNumber);                 \
  template Result<void> add_promise<G>(Frames<G>&, File&, std::uint32_t);                             \
  template void remove_cached<G>(Frames<G>&, File&, std::uint32_t);                                   \
  template CachedPage next_cached<G>(const Frames<G>&, const File&, std::uint32_t);                   \
  template std::optional<BlockNumber> find_block<G>(const Frames<G>&, const File&, std::uint32_t);    \
  template Result<void> add_block<G>(Frames<G>&, File&, std::uint32_t, BlockNumber);                  \
  template void remove_block<G>(Frames<G>&, File&, std::uint32_t);                                    \
  template std::optional<BlockOfPage> next_block<G>(const Frames<G>&, const File&, std::uint32_t);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
