#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "live/channel.hpp"

namespace cowherd::live {

/// A block device of which one read or write at a time stays under way until it is told to go on: a loop device on a
/// file of a FUSE file system that this object serves itself and that is mounted nowhere. While the I/O is under way
/// the block layer holds the memory of whoever asked for it, by O_DIRECT. Ends with this object or with the program.
/// Needs root. Not thread-safe.
class SlowDisk {
 public:
  SlowDisk() = default;
  SlowDisk(const SlowDisk&) = delete;
  SlowDisk& operator=(const SlowDisk&) = delete;
  ~SlowDisk();

  /// Empty, or why there is none.
  std::string open();

  /// In a process that has just been forked: it does not serve the file system.
  void leave_to_parent();

  /// The device, opened with O_DIRECT; children have it too. Its blocks are of 512 bytes.
  [[nodiscard]] int file() const { return disk_; }
  /// Readable once an I/O is under way: the memory is held.
  [[nodiscard]] int arrivals() const { return fuse_; }

  /// Of a write to the disk that is under way: what is in its memory now. It stays under way. False: it is none.
  bool look(std::vector<std::byte>& bytes);
  /// Of a read from the disk that is under way: these bytes come to its memory, and it ends. False: it is none.
  bool fill(const std::vector<std::byte>& bytes);
  /// Waits, for a second at most, until the block layer has let go of all memory that it held for this disk.
  void wait_until_idle() const;
  /// Ends what is under way; a read fails and leaves its memory as it is.
  void end();

 private:
  struct Pending {
    std::uint64_t unique = 0;
    std::uint32_t bytes = 0;
    bool writes_memory = false;
  };

  std::string mount();
  std::string attach();
  std::string rehearse() const;
  /// Takes one request from the kernel, and answers it, unless it is a read or write that is to stay. False: none came.
  bool serve(int milliseconds);
  void answer(std::uint64_t unique, int error, const void* data, std::size_t bytes) const;
  void serve_in_background();
  void stop_background();

  int fuse_ = -1;
  int mount_ = -1;
  int backing_ = -1;
  int disk_ = -1;
  /// Number of the loop device.
  int number_ = -1;
  /// Reads and writes end at once.
  std::atomic<bool> at_once_ = true;
  std::atomic<bool> stop_ = false;
  std::thread server_;
  std::vector<std::byte> buffer_;
  Pending pending_;
};

}  // namespace cowherd::live
