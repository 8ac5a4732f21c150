#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace cowherd::live {

/// What a kernel unpacks as its first root folder: a cpio archive of the "newc" format. Folders above what is added
/// come by themselves. Compare Linux Documentation/driver-api/early-userspace/buffer-format.rst.
class Archive {
 public:
  /// `path` begins with a slash; `mode` are the permission bits.
  void add_file(std::string_view path, std::string_view bytes, std::uint32_t mode);
  void add_folder(std::string_view path);
  /// A character device.
  void add_device(std::string_view path, std::uint32_t major, std::uint32_t minor);

  /// The whole archive. Nothing can be added after it.
  std::string finish();

 private:
  void add_parents(std::string_view path);
  void append(std::string_view name, std::uint32_t mode, std::string_view bytes, std::uint32_t major,
              std::uint32_t minor);

  std::string bytes_;
  std::set<std::string, std::less<>> known_;
  std::uint32_t number_ = 0;
};

}  // namespace cowherd::live
