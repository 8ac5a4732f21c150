#include "live/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "live/host.hpp"
#include "live/layout.hpp"

namespace cowherd::live {
namespace {

/// cachestat(), Linux 6.5.
constexpr long kCacheStat = 451;

/// Of memfd_create(): pages of 2 MiB of the hugetlb pool.
constexpr unsigned kOfPool = 0x0004u | 21u << 26;

/// A file that cannot be written otherwise: `value` at the begin of each of the test's pages.
bool fill_by_mapping(int file, std::uint64_t size, std::uint64_t page_bytes, std::int64_t value) {
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (at == MAP_FAILED) return false;
  // What the pool lacks would be a SIGBUS; this is an error.
  const bool there = ::madvise(at, size, MADV_POPULATE_WRITE) == 0;
  for (std::uint64_t page = 0; there && page < size; page += page_bytes) {
    std::memcpy(static_cast<char*>(at) + page, &value, sizeof value);
  }
  ::munmap(at, size);
  return there;
}

struct CacheRange {
  std::uint64_t offset;
  std::uint64_t length;
};
struct CacheStat {
  std::uint64_t cached;
  std::uint64_t dirty;
  std::uint64_t in_writeback;
  std::uint64_t evicted;
  std::uint64_t recently_evicted;
};

}  // namespace

Files::~Files() {
  for (const File& file : files_) {
    if (file.descriptor >= 0) ::close(file.descriptor);
  }
}

std::string Files::open(const litmus::Program& program, const SmallDisk& disk) {
  disk_ = &disk;
  for (const litmus::FileVariable& variable : program.files) {
    File& file = files_.emplace_back();
    file.kind = variable.kind;
    file.pages = variable.pages;
    const bool on_disk = variable.kind == litmus::FileKind::kDisk;
    const unsigned flags = variable.is_hugetlb() ? kOfPool : 0u;
    file.descriptor = on_disk ? disk.new_file() : static_cast<int>(::syscall(SYS_memfd_create, "cowherd-file", flags));
    if (file.descriptor < 0) return fmt::format("no file: {}", in_words(errno));
    // What a test's exec() starts has it too.
    ::fcntl(file.descriptor, F_SETFD, 0);
    // What is not asked for is not read ahead, and every page is one of its own.
    ::posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_RANDOM);
  }
  return {};
}

std::uint64_t Files::page_bytes_of(litmus::FileKind kind) {
  return kind == litmus::FileKind::kHugetlb ? kHugeBytes / litmus::kHugePages : kPageBytes;
}

void Files::empty_pool_files() const {
  for (const File& file : files_) {
    // Who cannot is told so when the pool is not whole.
    if (file.kind == litmus::FileKind::kHugetlb) (void)!::ftruncate(file.descriptor, 0);
  }
}

std::string Files::begin(const litmus::Program& program) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const int file = files_[i].descriptor;
    bool good = ::ftruncate(file, 0) == 0;
    if (files_[i].kind == litmus::FileKind::kHugetlb) {
      const std::uint64_t page_bytes = page_bytes_of(files_[i].kind);
      const std::uint64_t size = files_[i].pages * page_bytes;
      const std::int64_t value = program.files[i].value;
      good = good && ::ftruncate(file, static_cast<off_t>(size)) == 0;
      if (value != 0) good = good && fill_by_mapping(file, size, page_bytes, value);
      if (!good) return fmt::format("{} cannot be written: {}", program.files[i].name, in_words(errno));
      continue;
    }
    std::array<char, kPageBytes> page{};
    std::memcpy(page.data(), &program.files[i].value, sizeof program.files[i].value);
    for (std::uint32_t number = 0; number < files_[i].pages; ++number) {
      good = good && ::pwrite(file, page.data(), page.size(), static_cast<off_t>(number * kPageBytes)) ==
                         static_cast<ssize_t>(page.size());
    }
    if (!good) return fmt::format("{} cannot be written: {}", program.files[i].name, in_words(errno));
  }
  return {};
}

Reply Files::word(std::uint8_t file, std::uint64_t offset) const {
  std::int64_t word = 0;
  return ::pread(files_[file].descriptor, &word, sizeof word, static_cast<off_t>(offset)) < 0 ? Reply{0, errno}
                                                                                              : Reply{word, 0};
}

Reply Files::disk_word(std::uint8_t file, std::uint64_t offset) const {
  if (files_[file].kind != litmus::FileKind::kDisk) return {};
  return disk_->word_on_disk(files_[file].descriptor, offset);
}

Reply Files::write_back(std::uint8_t file) const {
  return ::fsync(files_[file].descriptor) == 0 ? Reply{} : Reply{0, errno};
}

Reply Files::is_busy(std::uint8_t file, std::uint64_t offset) const {
  CacheRange range{offset, kPageBytes};
  CacheStat stat{};
  if (::syscall(kCacheStat, files_[file].descriptor, &range, &stat, 0) != 0) return {0, errno};
  return {stat.cached == 0 || stat.dirty != 0 || stat.in_writeback != 0 ? 1 : 0, 0};
}

Reply Files::drop_clean(std::uint8_t file) const {
  if (files_[file].kind != litmus::FileKind::kDisk) return {};
  struct stat facts {};
  if (::fstat(files_[file].descriptor, &facts) != 0) return {0, errno};
  for (std::uint64_t at = 0; at < static_cast<std::uint64_t>(facts.st_size); at += kPageBytes) {
    // The advice would have a dirty page written first.
    const Reply busy = is_busy(file, at);
    if (busy.error != 0) return busy;
    if (busy.value != 0) continue;
    ::posix_fadvise(files_[file].descriptor, static_cast<off_t>(at), static_cast<off_t>(kPageBytes),
                    POSIX_FADV_DONTNEED);
  }
  return {};
}

std::string try_disk_file(const SmallDisk& disk) {
  litmus::Program program;
  litmus::FileVariable& file = program.files.emplace_back();
  file.name = "f";
  file.kind = litmus::FileKind::kDisk;
  file.value = 5;
  Files files;
  if (std::string problem = files.open(program, disk); !problem.empty()) return problem;
  if (std::string problem = files.begin(program); !problem.empty()) return problem;
  const auto on_disk = [&files](std::int64_t value) {
    const Reply reply = files.disk_word(0, 0);
    return reply.error == 0 && reply.value == value;
  };
  if (!on_disk(0)) return "what is written goes to the disk at once";
  if (files.write_back(0).error != 0 || !on_disk(5)) return "what fsync() wrote is not on the disk";
  const std::int64_t other = 6;
  if (::pwrite(files.descriptor(0), &other, sizeof other, 0) != sizeof other || !on_disk(5)) return "pwrite() fails";
  return {};
}

}  // namespace cowherd::live
