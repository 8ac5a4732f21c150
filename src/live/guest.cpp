#include "live/guest.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "live/archive.hpp"
#include "live/child.hpp"
#include "live/guest_modules.hpp"
#include "live/guest_words.hpp"
#include "live/host.hpp"

namespace cowherd::live {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMemoryMiB = 768;
/// A guest that says nothing for so long is given up.
constexpr std::chrono::minutes kLongestSilence{30};
constexpr int kLookMilliseconds = 100;

std::optional<std::string> contents_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

bool pack_file(Archive& archive, const fs::path& path, std::uint32_t mode) {
  const std::optional<std::string> bytes = contents_of(path);
  if (bytes) archive.add_file(path.string(), *bytes, mode);
  return bytes.has_value();
}

/// Every object that is loaded, under the name by which it was found.
std::vector<std::string> loaded_objects() {
  std::vector<std::string> names;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        if (info->dlpi_name[0] == '/') static_cast<std::vector<std::string>*>(to)->emplace_back(info->dlpi_name);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          // The loader, by the name that the kernel looks for.
          if (header.p_type == PT_INTERP) {
            static_cast<std::vector<std::string>*>(to)->emplace_back(
                reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr));
          }
        }
        return 0;
      },
      &names);
  return names;
}

void pack_named(Archive& archive, std::string_view word) {
  std::error_code ignored;
  const bool index = word.starts_with('@');
  if (index) word.remove_prefix(1);
  if (word.empty() || word.starts_with('-')) return;
  fs::path path = fs::absolute(fs::path(word), ignored).lexically_normal();
  if (!fs::exists(path, ignored)) return;
  // What an index names lies beside it.
  if (index) path = path.parent_path();
  if (!fs::is_directory(path, ignored)) {
    pack_file(archive, path, 0644);
    return;
  }
  archive.add_folder(path.string());
  for (const auto& entry : fs::recursive_directory_iterator(path, ignored)) {
    if (entry.is_regular_file(ignored)) pack_file(archive, entry.path(), 0644);
  }
}

/// Empty: this program cannot be read.
std::string root_folder(const std::vector<std::string>& words, const std::vector<GuestModule>& modules) {
  Archive archive;
  const std::optional<std::string> program = contents_of("/proc/self/exe");
  if (!program) return {};
  archive.add_device("/dev/console", 5, 1);
  archive.add_device("/dev/null", 1, 3);
  archive.add_file("/init", *program, 0755);
  for (const std::string& object : loaded_objects()) pack_file(archive, object, 0755);
  std::error_code ignored;
  const std::string folder = fs::current_path(ignored).string();
  archive.add_folder(folder);
  std::string told = folder + '\0';
  for (const std::string& word : words) {
    told += word + '\0';
    pack_named(archive, word);
  }
  archive.add_file(kGuestWords, told, 0644);
  std::size_t number = 0;
  for (const GuestModule& module : modules) {
    // In the order of their names they are loaded.
    archive.add_file(fmt::format("{}/{:02}-{}", kGuestModules, number++, module.name), module.bytes, 0644);
  }
  for (const char* mountpoint : {"/proc", "/sys", "/tmp"}) archive.add_folder(mountpoint);
  return archive.finish();
}

std::vector<std::string> command_of(const GuestKernel& kernel, const std::string& root) {
  // Nothing but panics from the kernel: the console is ours. An emulated timer looks broken to a kernel that tries it
  // while this machine is busy. Pages can move where there are two nodes of memory.
  const std::string common = "quiet loglevel=0 rdinit=/init panic=-1";
  if (kernel.kind == GuestKernel::Kind::kUserMode) {
    std::vector<std::string> command = {kernel.path, fmt::format("mem={}M", kMemoryMiB), "initrd=" + root,
                                        "con0=fd:0,fd:1", "con=null"};
    for (const char* word : {"quiet", "loglevel=0", "rdinit=/init", "panic=-1"}) command.emplace_back(word);
    return command;
  }
  const std::string processors = fmt::format("{0},sockets={0}", kernel.processors);
  std::vector<std::string> command = {"qemu-system-x86_64", "-accel", "tcg", "-cpu", "max",
                                      // Its memory is no business of the KSM here.
                                      "-machine", "mem-merge=off", "-smp", processors, "-m", std::to_string(kMemoryMiB),
                                      "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel",
                                      kernel.path, "-initrd", root, "-append",
                                      // Where there is no ACPI, the kernel is to see two nodes of memory by itself.
                                      "console=ttyS0 no_timer_check numa=fake=2 " + common};
  for (const char* node : {"0", "1"}) {
    command.insert(command.end(), {"-object", fmt::format("memory-backend-ram,id=m{},size={}M", node, kMemoryMiB / 2),
                                   "-numa", fmt::format("node,nodeid={0},memdev=m{0}", node)});
  }
  for (unsigned i = 0; i < kernel.processors; ++i) {
    command.insert(command.end(), {"-numa", fmt::format("cpu,node-id=0,socket-id={}", i)});
  }
  return command;
}

/// A file that is gone when this object is.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes)
      : path_((fs::temp_directory_path() / "cowherd-guest-XXXXXX").string()) {
    const int file = ::mkstemp(path_.data());
    if (file < 0) return;
    ::close(file);
    std::ofstream stream(path_, std::ios::binary);
    stream << bytes;
    good_ = static_cast<bool>(stream.flush());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool good() const { return good_; }

 private:
  std::string path_;
  bool good_ = false;
};

/// What lies between two marks; nothing where one is missing.
std::optional<std::string> between(const std::string& text, std::string_view from, std::string_view to) {
  const std::size_t begin = text.find(from);
  if (begin == std::string::npos) return std::nullopt;
  const std::size_t end = text.find(to, begin + from.size());
  if (end == std::string::npos) return std::nullopt;
  return text.substr(begin + from.size(), end - begin - from.size());
}

}  // namespace

GuestRun run_in_guest(const GuestKernel& kernel, const std::vector<std::string>& words,
                      const std::function<bool()>& interrupted) {
  GuestRun run;
  std::error_code ignored;
  if (!fs::exists(kernel.path, ignored) && kernel.kind == GuestKernel::Kind::kEmulated) {
    run.problem = fmt::format("{}: no such kernel", kernel.path);
    return run;
  }
  const TemporaryFile root(root_folder(words, modules_of(kernel.path)));
  if (!root.good()) {
    run.problem = "the guest's root folder cannot be written";
    return run;
  }
  const std::vector<std::string> command = command_of(kernel, root.path());
  Child child(command);
  std::string said;
  std::array<char, 65536> part{};
  auto until = std::chrono::steady_clock::now() + kLongestSilence;
  while (child.started()) {
    pollfd out{child.out(), POLLIN, 0};
    if (interrupted()) {
      run.problem = "interrupted";
      return run;
    }
    if (::poll(&out, 1, kLookMilliseconds) <= 0) {
      if (std::chrono::steady_clock::now() < until) continue;
      run.problem = "the guest says nothing any more";
      return run;
    }
    const ssize_t got = ::read(child.out(), part.data(), part.size());
    if (got <= 0) break;
    said.append(part.data(), static_cast<std::size_t>(got));
    until = std::chrono::steady_clock::now() + kLongestSilence;
    if (said.find(kGuestEnd) != std::string::npos && said.ends_with(kGuestLast)) break;
  }
  const std::optional<std::string> out = between(said, kGuestOut, kGuestErr);
  const std::optional<std::string> err = between(said, kGuestErr, kGuestEnd);
  const std::optional<std::string> status = between(said, kGuestEnd, kGuestLast);
  if (!out || !err || !status) {
    const bool missing = child.end() == 127;
    run.problem = missing ? fmt::format("{}: no such program", command.front())
                          : fmt::format("the guest did not come to its end; its last words: {}",
                                        said.substr(said.size() - std::min<std::size_t>(said.size(), 500)));
    return run;
  }
  run.out = *out;
  run.err = *err;
  std::from_chars(status->data(), status->data() + status->size(), run.status);
  return run;
}

}  // namespace cowherd::live
