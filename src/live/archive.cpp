#include "live/archive.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <functional>
#include <iterator>

namespace cowherd::live {
namespace {

void pad(std::string& bytes) { bytes.resize((bytes.size() + 3) / 4 * 4); }

}  // namespace

void Archive::add_parents(std::string_view path) {
  for (std::size_t at = path.find('/', 1); at != std::string_view::npos; at = path.find('/', at + 1)) {
    add_folder(path.substr(0, at));
  }
}

void Archive::add_folder(std::string_view path) {
  if (path.size() < 2 || known_.contains(path)) return;
  add_parents(path);
  known_.emplace(path);
  append(path, S_IFDIR | 0755u, {}, 0, 0);
}

void Archive::add_file(std::string_view path, std::string_view bytes, std::uint32_t mode) {
  if (!known_.emplace(path).second) return;
  add_parents(path);
  append(path, S_IFREG | mode, bytes, 0, 0);
}

void Archive::add_device(std::string_view path, std::uint32_t major, std::uint32_t minor) {
  if (!known_.emplace(path).second) return;
  add_parents(path);
  append(path, S_IFCHR | 0600u, {}, major, minor);
}

std::string Archive::finish() {
  append("/TRAILER!!!", 0, {}, 0, 0);
  return std::move(bytes_);
}

void Archive::append(std::string_view name, std::uint32_t mode, std::string_view bytes, std::uint32_t major,
                     std::uint32_t minor) {
  name.remove_prefix(1);
  // Number, mode, user, group, links, time, length, device, device of a node, length of the name, checksum.
  fmt::format_to(std::back_inserter(bytes_), "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
                 ++number_, mode, 0, 0, 1, 0, bytes.size(), 0, 0, major, minor);
  fmt::format_to(std::back_inserter(bytes_), "{:08X}{:08X}", name.size() + 1, 0);
  bytes_ += name;
  bytes_ += '\0';
  pad(bytes_);
  bytes_ += bytes;
  pad(bytes_);
}

}  // namespace cowherd::live
