#include "live/archive.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace cowherd::live {
namespace {

TEST(Archive, EntriesFollowEachOtherAligned) {
  Archive archive;
  archive.add_file("/a/b/file", "hello", 0644);
  archive.add_file("/a/b/file", "again", 0644);
  archive.add_folder("/a/b");
  archive.add_device("/dev/console", 5, 1);
  const std::string bytes = archive.finish();
  EXPECT_EQ(bytes.size() % 4, 0u);

  // Read back as the kernel does it.
  std::string seen;
  std::size_t at = 0;
  while (at < bytes.size()) {
    ASSERT_EQ(bytes.substr(at, 6), "070701");
    const auto number = [&](std::size_t field) { return std::stoul(bytes.substr(at + 6 + 8 * field, 8), nullptr, 16); };
    const std::size_t name_bytes = number(11);
    const std::size_t file_bytes = number(6);
    const std::string name(bytes.c_str() + at + 110);
    ASSERT_EQ(name.size() + 1, name_bytes);
    const std::size_t data = (at + 110 + name_bytes + 3) / 4 * 4;
    std::ostringstream entry;
    entry << name << ':' << std::oct << number(1) << ':' << bytes.substr(data, file_bytes) << ' ';
    seen += entry.str();
    at = (data + file_bytes + 3) / 4 * 4;
  }
  EXPECT_EQ(seen, "a:40755: a/b:40755: a/b/file:100644:hello dev:40755: dev/console:20600: TRAILER!!!:0: ");
}

}  // namespace
}  // namespace cowherd::live
