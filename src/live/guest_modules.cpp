#include "live/guest_modules.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>

#include "live/child.hpp"

namespace cowherd::live {
namespace {

namespace fs = std::filesystem;

/// zram asks for a compressor, ext4 and rdma_rxe for a checksum, by a name that stands in none of their dependencies.
constexpr std::string_view kWantedModules[] = {"lzo_rle",        "lz4",  "zram",          "loop",      "fuse",
                                               "crc32c_generic", "ext4", "crc32_generic", "ib_uverbs", "rdma_rxe"};

/// The folder of the modules that belong to the kernel.
std::optional<fs::path> module_folder(const fs::path& kernel) {
  std::error_code ignored;
  const fs::path beside = fs::absolute(kernel, ignored).parent_path().parent_path();
  constexpr std::string_view kPrefix = "vmlinuz-";
  const std::string name = kernel.filename().string();
  for (const char* const folder : {"lib/modules", "lib/uml/modules"}) {
    if (name.starts_with(kPrefix)) {
      fs::path of_release = beside / folder / name.substr(kPrefix.size());
      if (fs::is_directory(of_release, ignored)) return of_release;
      continue;
    }
    // Without a release in its name it has the modules that are there, if there is one set of them.
    std::vector<fs::path> releases;
    for (const auto& entry : fs::directory_iterator(beside / folder, ignored)) releases.push_back(entry.path());
    if (releases.size() == 1) return releases.front();
  }
  return std::nullopt;
}

/// As names are compared: file names have dashes where the names of modules have underscores.
std::string module_name(std::string_view file) {
  std::string name(file.substr(0, file.find(".ko")));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string bytes_of(const fs::path& path) {
  if (path.extension() == ".xz") return Child({"xz", "-dc", path.string()}).words();
  if (path.extension() == ".zst") return Child({"zstd", "-dcq", path.string()}).words();
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// Appends a module, after those that it depends on.
void append(const std::map<std::string, fs::path>& files, const std::string& name, std::vector<GuestModule>& modules) {
  const auto file = files.find(name);
  const auto known = [&name](const GuestModule& module) { return module_name(module.name) == name; };
  if (file == files.end() || std::any_of(modules.begin(), modules.end(), known)) return;
  std::string bytes = bytes_of(file->second);
  if (bytes.empty()) return;
  for (const std::string& needed : dependencies_of(bytes)) append(files, needed, modules);
  modules.push_back({name + ".ko", std::move(bytes)});
}

}  // namespace

std::vector<std::string> dependencies_of(std::string_view module) {
  constexpr std::string_view kMark{"\0depends=", 9};
  const std::size_t at = module.find(kMark);
  if (at == std::string_view::npos) return {};
  std::string_view list = module.substr(at + kMark.size());
  list = list.substr(0, list.find('\0'));
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    names.push_back(module_name(list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

std::vector<GuestModule> modules_of(const std::string& kernel) {
  std::vector<GuestModule> modules;
  const std::optional<fs::path> folder = module_folder(kernel);
  if (!folder) return modules;
  std::map<std::string, fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(*folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file(ignored) && name.find(".ko") != std::string::npos) {
      files.emplace(module_name(name), entry.path());
    }
  }
  for (const std::string_view wanted : kWantedModules) append(files, std::string(wanted), modules);
  return modules;
}

}  // namespace cowherd::live
