#include <algorithm>

#include "base/racing_bytes.hpp"
#include "mm/files.hpp"
#include "mm/hugetlb.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

template <class G>
Result<FileId> create_file(System<G>& system, FileKind kind, PageCount pages) {
  if (pages.value() > kMaxFilePages || (kind == FileKind::kDisk && !system.has_swap())) return Errno::kInvalid;
  const bool in_parts = pages.value() % Frames<G>::kHugeFrames != 0;
  if (kind == FileKind::kHugetlb && (in_parts || !system.has_pool())) return Errno::kInvalid;
  COWHERD_TRY_ASSIGN(made, make_file(system, kind, static_cast<std::uint32_t>(pages.value())));
  system.at(made).users = 1;
  system.at(made).open = true;
  return FileId{made.unit};
}

template <class G>
void close_file(System<G>& system, FileId id) {
  const Ref<File> file = file_ref<G>(id);
  system.at(file).open = false;
  put_file(system, file);
}

template <class G>
PageCount file_size(System<G>& system, FileId id) {
  return PageCount{system.at(file_ref<G>(id)).size()};
}

namespace {

/// As get_cached_page(), of a hugetlb file, and never brings one in: the zero page stands for what is not there.
/// Compare Linux fs/hugetlbfs/inode.c: hugetlbfs_read_iter().
template <class G>
Result<FrameNumber> get_page_to_read(System<G>& system, Ref<File> file, std::uint32_t index) {
  if (!system.at(file).is_hugetlb()) return get_cached_page(system, file, index);
  point(system, Point::kFileSize);
  if (index >= system.at(file).size()) return Errno::kSigBus;
  const std::uint32_t in_page = index % Frames<G>::kHugeFrames;
  const FrameNumber head = hold_hugetlb_page(system, file, index - in_page);
  return head == Frames<G>::kZeroPage ? head : head + PageCount{in_page};
}

}  // namespace

template <class G>
Access read_file(System<G>& system, FileId id, ByteCount offset, std::span<std::byte> to) {
  const Ref<File> file = file_ref<G>(id);
  std::size_t done = 0;
  const Live live(system, "read-file", done);
  while (done < to.size()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t index = at / Geometry<G>::kPageBytes;
    if (index > kMaxFilePages) break;
    auto frame = get_page_to_read(system, file, static_cast<std::uint32_t>(index));
    if (!frame && frame.error() == Errno::kSigBus) break;
    if (!frame) return {ByteCount{done}, frame.error()};
    const std::size_t in_page = at % Geometry<G>::kPageBytes;
    const std::size_t part = std::min(to.size() - done, Geometry<G>::kPageBytes - in_page);
    const Live held(system, "held", *frame);
    point(system, Point::kDevice);
    copy_racing(to.data() + done, system.frames().bytes(*frame) + in_page, part);
    if (*frame != Frames<G>::kZeroPage) put_page(system, system.folio(*frame));
    done += part;
  }
  return {ByteCount{done}};
}

template <class G>
Access write_file(System<G>& system, FileId id, ByteCount offset, std::span<const std::byte> from) {
  const Ref<File> file = file_ref<G>(id);
  // Compare Linux fs/hugetlbfs/inode.c: there is no write().
  if (system.at(file).is_hugetlb()) return {ByteCount{0}, Errno::kInvalid};
  std::size_t done = 0;
  const Live live(system, "write-file", done);
  const FileGuard<G> guard(system, file);
  if (guard.blocked()) return {ByteCount{0}, would_block(system, Point::kFileLock)};
  while (done < from.size()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t index = at / Geometry<G>::kPageBytes;
    if (index >= kMaxFilePages) return {ByteCount{done}, Errno::kInvalid};
    const auto number = static_cast<std::uint32_t>(index);
    auto frame = lock_cached_page(system, file, number, Behind::kAllowed);
    if (!frame) return {ByteCount{done}, frame.error()};
    const std::size_t in_page = at % Geometry<G>::kPageBytes;
    const std::size_t part = std::min(from.size() - done, Geometry<G>::kPageBytes - in_page);
    const Live held(system, "held", *frame);
    if (auto prepared = prepare_to_write(system, file, *frame); !prepared) {
      unlock_cached_page(system, *frame);
      return {ByteCount{done}, prepared.error()};
    }
    point(system, Point::kDevice);
    copy_racing(system.frames().bytes(*frame) + in_page, from.data() + done, part);
    // Only now can anybody come by it who could not before.
    point(system, Point::kFileSize);
    if (number >= system.at(file).size()) system.at(file).set_size(number + 1);
    unlock_cached_page(system, *frame);
    done += part;
  }
  return {ByteCount{done}};
}

#define COWHERD_INSTANTIATE(G)                                                       \
  template Result<FileId> create_file<G>(System<G>&, FileKind, PageCount);           \
  template void close_file<G>(System<G>&, FileId);                                   \
  template PageCount file_size<G>(System<G>&, FileId);                               \
  template Access read_file<G>(System<G>&, FileId, ByteCount, std::span<std::byte>); \
  template Access write_file<G>(System<G>&, FileId, ByteCount, std::span<const std::byte>);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
