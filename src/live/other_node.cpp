#include "live/other_node.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

/// Also of those that others map. MPOL_MF_MOVE_ALL.
constexpr int kForAll = 1 << 2;

/// Numbers of those that have memory.
std::vector<int> nodes() {
  std::vector<int> numbers;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/node", ignored)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kPrefix = "node";
    if (!name.starts_with(kPrefix) || name.find_first_not_of("0123456789", kPrefix.size()) != std::string::npos)
      continue;
    if (name.size() > kPrefix.size()) numbers.push_back(std::stoi(name.substr(kPrefix.size())));
  }
  return numbers;
}

}  // namespace

std::string try_other_node() {
  const std::size_t count = nodes().size();
  if (count < 2) return "one node of memory";
  int status = 0;
  const void* page = &status;
  return ::syscall(SYS_move_pages, 0, 1UL, &page, nullptr, &status, 0) == 0 ? std::string() : in_words(errno);
}

Errno move_to_another_node(pid_t process, std::uint64_t address) {
  const void* page = reinterpret_cast<const void*>(address);
  int here = -1;
  if (::syscall(SYS_move_pages, process, 1UL, &page, nullptr, &here, 0) != 0) return static_cast<Errno>(errno);
  for (const int node : nodes()) {
    if (node == here) continue;
    int status = 0;
    const long moved = ::syscall(SYS_move_pages, process, 1UL, &page, &node, &status, kForAll);
    return moved < 0 ? static_cast<Errno>(errno) : Errno{0};
  }
  return Errno::kBusy;
}

}  // namespace cowherd::live
