#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "litmus/program.hpp"
#include "live/channel.hpp"
#include "live/small_disk.hpp"

namespace cowherd::live {

/// The files of a test on this machine: in memory or of the hugetlb pool (memfd_create()), or without a name on a disk
/// of our own. All processes of the test have them open under the same numbers. Not thread-safe, but for write_back()
/// and drop_clean().
class Files {
 public:
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files();

  /// Makes them; on `disk`, which must outlive this, where they are not in memory. Empty, or why they cannot be had.
  std::string open(const litmus::Program& program, const SmallDisk& disk);
  /// What the init block says: in the cache, and nothing of it on the disk yet. Empty, or what went wrong.
  std::string begin(const litmus::Program& program);
  /// Files of the hugetlb pool give back what they have of it.
  void empty_pool_files() const;

  [[nodiscard]] int descriptor(std::uint8_t file) const { return files_[file].descriptor; }
  /// Bytes of one of the test's pages in it.
  [[nodiscard]] std::uint64_t page_bytes(std::uint8_t file) const { return page_bytes_of(files_[file].kind); }
  /// A word, by pread(); behind the end 0.
  [[nodiscard]] Reply word(std::uint8_t file, std::uint64_t offset) const;
  /// The same as the disk has it, past the cache. A file in memory has no disk, and 0 there.
  [[nodiscard]] Reply disk_word(std::uint8_t file, std::uint64_t offset) const;
  /// fsync()
  [[nodiscard]] Reply write_back(std::uint8_t file) const;
  /// Pages that are clean and that nobody has leave the cache.
  [[nodiscard]] Reply drop_clean(std::uint8_t file) const;
  /// Whether the page at `offset` of the cache is not to be had, dirty or on its way to the disk.
  [[nodiscard]] Reply is_busy(std::uint8_t file, std::uint64_t offset) const;

 private:
  static std::uint64_t page_bytes_of(litmus::FileKind kind);

  struct File {
    int descriptor = -1;
    litmus::FileKind kind = litmus::FileKind::kMemfd;
    std::uint32_t pages = 1;
  };

  std::vector<File> files_;
  const SmallDisk* disk_ = nullptr;
};

/// Whether files of the disk are what tests want of them. Empty, or why not.
std::string try_disk_file(const SmallDisk& disk);

}  // namespace cowherd::live
