#include "cli/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "cli/output.hpp"

namespace cowherd::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxIndexDepth = 8;
constexpr std::size_t kMaxIndexBytes = 16 * 1024 * 1024;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

class Finder {
 public:
  explicit Finder(Inputs& out) : out_(out) {}

  void take(const std::string& argument, int depth = 0) {
    if (argument == "-") {
      out_.names.push_back(argument);
      return;
    }
    std::error_code ignored;
    const fs::path path(argument);
    const bool exists = fs::exists(path, ignored);
    const bool index_by_name = path.filename().string().starts_with('@');
    if (exists && fs::is_directory(path, ignored)) {
      out_.batch = true;
      take_folder(path);
    } else if (exists && index_by_name) {
      take_index(argument, depth);
    } else if (!exists && argument.starts_with('@')) {
      take_index(argument.substr(1), depth);
    } else {
      out_.names.push_back(argument);
    }
  }

 private:
  void take_folder(const fs::path& folder) {
    std::vector<std::string> found;
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      std::error_code ignored;
      if (at->path().extension() == ".litmus" && !at->is_directory(ignored)) found.push_back(at->path().string());
    }
    if (error) {
      out_.errors.push_back(fmt::format("{}: {}", folder.string(), error.message()));
    } else if (found.empty()) {
      out_.errors.push_back(fmt::format("{}: no file in this folder is called *.litmus", folder.string()));
    }
    std::sort(found.begin(), found.end());
    out_.names.insert(out_.names.end(), found.begin(), found.end());
  }

  void take_index(const std::string& name, int depth) {
    out_.batch = true;
    if (depth >= kMaxIndexDepth) {
      out_.errors.push_back(fmt::format("{}: index files name each other {} deep", name, kMaxIndexDepth));
      return;
    }
    const Loaded index = load(name, kMaxIndexBytes);
    if (!index.ok || index.text.size() > kMaxIndexBytes) {
      out_.errors.push_back(index.ok ? fmt::format("{}: too long for an index", name) : index.error);
      return;
    }
    const fs::path folder = fs::path(name).parent_path();
    std::string_view rest = index.text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      line = trimmed(line.substr(0, line.find('#')));
      if (!line.empty()) take((folder / fs::path(line)).lexically_normal().string(), depth + 1);
    }
  }

  Inputs& out_;
};

}  // namespace

Inputs find_inputs(const std::vector<std::string>& arguments) {
  Inputs found;
  Finder finder(found);
  for (const std::string& argument : arguments) finder.take(argument);
  if (found.names.size() > 1) found.batch = true;
  return found;
}

Loaded load(const std::string& name, std::size_t limit) {
  const auto failed = [&name](int error) {
    return Loaded{.ok = false, .text = {}, .error = fmt::format("{}: {}", display_name(name), text_of_error(error))};
  };
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };
  const std::unique_ptr<std::FILE, Closer> file(name == "-" ? stdin : std::fopen(name.c_str(), "rb"));
  if (!file) return failed(errno);
  Loaded loaded;
  loaded.ok = true;
  char buffer[16 * 1024];
  while (loaded.text.size() <= limit) {
    const std::size_t room = std::min(sizeof buffer, limit + 1 - loaded.text.size());
    const std::size_t got = std::fread(buffer, 1, room, file.get());
    loaded.text.append(buffer, got);
    if (got == room) continue;
    if (std::ferror(file.get()) != 0) return failed(errno);
    break;
  }
  return loaded;
}

std::string display_name(const std::string& name) { return name == "-" ? "standard input" : name; }

}  // namespace cowherd::cli
