#pragma once

#include <cstdint>
#include <string>

#include "live/channel.hpp"

namespace cowherd::live {

/// A disk of 4 MiB in memory with an ext4 file system that is mounted nowhere: a loop
/// device on a file in memory, whose blocks can be looked at past every cache. It goes with this program and with
/// whoever has a file of it open. Not thread-safe, but for word_on_disk().
class SmallDisk {
 public:
  SmallDisk() = default;
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() { close(); }

  /// Empty, or why it cannot be had.
  std::string open();
  void close();

  /// A file without a name, open for reading and writing; -1 and errno.
  [[nodiscard]] int new_file() const;
  /// The word at `offset` of a file of it as the disk has it; 0 where no block is behind it.
  [[nodiscard]] Reply word_on_disk(int file, std::uint64_t offset) const;

 private:
  std::string mount(const std::string& device);

  int blocks_ = -1;
  int device_ = -1;
  int mount_ = -1;
};

}  // namespace cowherd::live
