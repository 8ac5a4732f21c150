#include <utility>

#include "cowherd/machine.hpp"
#include "mm/machine_impl.hpp"

namespace cowherd {

namespace {

using G = ProductionGeometry;

constexpr PageCount pages_of(ByteCount length) { return Geometry<G>::pages_for(length); }
constexpr bool aligned(ByteCount offset) { return offset.value() % kPageBytes == 0; }

}  // namespace

Result<FileHandle> Machine::create_file(ByteCount length) {
  auto made = mm::create_file(impl_->system, mm::FileKind::kMemory, pages_of(length));
  if (!made) return at_border(made.error());
  return FileHandle(impl_, made->value());
}

Result<Vaddr> AddressSpace::map_file(const FileHandle& file, ByteCount offset, ByteCount length, Protection protection,
                                     MapFlags flags, Vaddr address) {
  if (file.impl_ != impl_ || !aligned(offset)) return Errno::kInvalid;
  const mm::Backing backing{mm::FileId{file.id_}, pages_of(offset)};
  return at_border(mm::mmap(impl_->system, process_, address, length, protection, flags, backing));
}

FileHandle::FileHandle(FileHandle&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)), id_(other.id_) {}

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this != &other) {
    close();
    impl_ = std::exchange(other.impl_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

FileHandle::~FileHandle() { close(); }

void FileHandle::close() {
  if (impl_ != nullptr) mm::close_file(impl_->system, mm::FileId{id_});
  impl_ = nullptr;
}

ByteCount FileHandle::size() const {
  return ByteCount{mm::file_size(impl_->system, mm::FileId{id_}).value() * kPageBytes};
}

Result<void> FileHandle::resize(ByteCount length) {
  return at_border(mm::truncate(impl_->system, mm::FileId{id_}, pages_of(length)));
}

Result<void> FileHandle::punch(ByteCount offset, ByteCount length) {
  if (!aligned(offset)) return Errno::kInvalid;
  return at_border(mm::punch(impl_->system, mm::FileId{id_}, pages_of(offset), pages_of(length)));
}

Result<ByteCount> FileHandle::read(ByteCount offset, std::span<std::byte> to) {
  const mm::Access access = mm::read_file<G>(impl_->system, mm::FileId{id_}, offset, to);
  if (access.error != Errno{0}) return at_border(access.error);
  return access.done;
}

Result<void> FileHandle::write(ByteCount offset, std::span<const std::byte> from) {
  const mm::Access access = mm::write_file<G>(impl_->system, mm::FileId{id_}, offset, from);
  return access.error == Errno{0} ? Result<void>() : Result<void>(at_border(access.error));
}

}  // namespace cowherd
