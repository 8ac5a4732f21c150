#include "live/soft_roce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "live/host.hpp"
#include "live/rdma_netlink.hpp"

namespace cowherd::live {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOwnName = "cowherd-rxe";
constexpr const char* kLoopback = "lo";
constexpr unsigned kMostGids = 16;
constexpr std::string_view kOfIpv4 = "0000:0000:0000:0000:0000:ffff:";

std::string line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// By name, so that the choice is the same every time.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::string verbs_file_of(const fs::path& classes, const std::string& device) {
  for (const fs::path& entry : entries_of(classes / "infiniband_verbs")) {
    if (line_of(entry / "ibdev") == device) return "/dev/infiniband/" + entry.filename().string();
  }
  return {};
}

/// An IPv4 address needs no neighbour to be found first; any other does where there is none.
bool choose_gid(const fs::path& port, SoftRoceDevice& device) {
  bool chosen = false;
  for (unsigned i = 0; i < kMostGids; ++i) {
    const std::string text = line_of(port / "gids" / std::to_string(i));
    const std::optional<Gid> gid = gid_of(text);
    if (!gid || *gid == Gid{}) continue;
    const bool is_ipv4 = text.starts_with(kOfIpv4);
    if (chosen && !is_ipv4) continue;
    device.gid = *gid;
    device.gid_index = static_cast<std::uint8_t>(i);
    chosen = true;
    if (is_ipv4) break;
  }
  return chosen;
}

/// A device that is down has no address. Empty, or why it is down.
std::string bring_up(Keeper& keeper, const char* network_device) {
  const std::optional<bool> is_up = is_network_device_up(network_device);
  if (!is_up) return fmt::format("no network device {}", network_device);
  if (*is_up) return {};
  if (!keeper.later_down(network_device)) return "no process that puts back what is changed";
  const int error = set_network_device(network_device, true);
  return error == 0 ? std::string() : fmt::format("{} is down: {}", network_device, in_words(error));
}

std::string why_not_added(int error) {
  switch (error) {
    case EPROTONOSUPPORT:
      return "no RDMA in this kernel";
    case EINVAL:
      return "no soft-RoCE (rdma_rxe) in this kernel";
    case EPERM:
      return "no RDMA device, and only root may add one";
    default:
      return "a soft-RoCE device cannot be added: " + in_words(error);
  }
}

}  // namespace

std::optional<Gid> gid_of(std::string_view text) {
  constexpr std::size_t kGroup = 4;
  Gid gid{};
  if (text.size() != gid.size() / 2 * (kGroup + 1) - 1) return std::nullopt;
  for (std::size_t i = 0; i < gid.size(); ++i) {
    const std::size_t at = i / 2 * (kGroup + 1) + i % 2 * 2;
    const char* const from = text.data() + at;
    const auto [end, error] = std::from_chars(from, from + 2, gid[i], 16);
    if (error != std::errc{} || end != from + 2) return std::nullopt;
  }
  return gid;
}

FoundSoftRoce find_soft_roce(const std::string& root) {
  const fs::path classes = root + "/sys/class";
  std::string problem = "no soft-RoCE device in /sys/class/infiniband";
  for (const fs::path& entry : entries_of(classes / "infiniband")) {
    SoftRoceDevice device;
    device.name = entry.filename().string();
    // Soft-RoCE alone names the network device so.
    device.network_device = line_of(entry / "parent");
    if (device.network_device.empty()) continue;
    device.file = verbs_file_of(classes, device.name);
    if (device.file.empty()) {
      problem = device.name + " gives no verbs to processes: ib_uverbs is not there";
    } else if (!choose_gid(entry / "ports" / "1", device)) {
      problem = fmt::format("{} has no address: {} is down", device.name, device.network_device);
    } else {
      return {device, {}};
    }
  }
  return {std::nullopt, problem};
}

std::string SoftRoce::open(Keeper& keeper) {
  // One that another program of this kind has made goes away with that program.
  constexpr const char* kDevices = "/sys/class/infiniband";
  std::error_code ignored;
  if (fs::exists(kDevices, ignored)) {
    if (std::string problem = keeper.lock(kDevices); !problem.empty()) return problem;
  }
  FoundSoftRoce soft_roce = find_soft_roce();
  if (soft_roce.device) {
    found_ = fmt::format("{} over {}", soft_roce.device->name, soft_roce.device->network_device);
    return {};
  }
  if (!says_copy_on_fork()) return why_not_added(EPROTONOSUPPORT);
  // Before it has a device on it: that one takes its addresses from it as they are then.
  if (std::string problem = bring_up(keeper, kLoopback); !problem.empty()) return problem;
  if (!keeper.later_remove_rdma(kOwnName)) return "no process that puts back what is changed";
  if (const int error = add_soft_roce(kOwnName, kLoopback); error != 0) return why_not_added(error);
  soft_roce = find_soft_roce();
  if (!soft_roce.device) return soft_roce.problem;
  found_ = fmt::format("soft-RoCE over {}, our own", kLoopback);
  return {};
}

}  // namespace cowherd::live
