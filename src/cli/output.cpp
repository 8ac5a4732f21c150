#include "cli/output.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <utility>

namespace cowherd::cli {
namespace {

/// What a symbolic link leads to, so that writing through it does not replace the link.
std::string without_links(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

/// Devices and pipes are written where they are.
bool is_special(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

/// The mode that a file made by open() would get, or that of the file that is being replaced.
mode_t mode_for(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status.st_mode & 07777;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

std::string text_of_error(int error) { return std::error_code(error, std::generic_category()).message(); }

void complain(std::string_view message) { fmt::print(stderr, "cowherd: {}\n", message); }

Output::Output(std::string path) : path_(path == "-" ? std::string() : std::move(path)) {
  if (path_.empty()) {
    file_ = stdout;
    return;
  }
  if (is_special(path_)) {
    file_ = std::fopen(path_.c_str(), "w");
    if (file_ == nullptr) fail(errno);
    return;
  }
  const std::string target = without_links(path_);
  temporary_ = target + ".XXXXXX";
  const int descriptor = ::mkstemp(temporary_.data());
  if (descriptor < 0) {
    fail(errno);
    temporary_.clear();
    return;
  }
  // A failure here costs the mode, not the text.
  static_cast<void>(::fchmod(descriptor, mode_for(target)) == 0);
  file_ = ::fdopen(descriptor, "w");
  if (file_ == nullptr) fail(errno);
}

Output::~Output() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void Output::fail(int error) {
  if (!failed_) {
    complain(fmt::format("cannot write {}: {}", path_.empty() ? "standard output" : path_, text_of_error(error)));
  }
  failed_ = true;
}

void Output::write(std::string_view text) {
  if (failed_ || text.empty()) return;
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail(errno);
}

void Output::flush() {
  if (!failed_ && std::fflush(file_) != 0) fail(errno);
}

bool Output::finish() {
  flush();
  if (file_ != nullptr && file_ != stdout) {
    if (std::fclose(std::exchange(file_, nullptr)) != 0) fail(errno);
  }
  if (!failed_ && !temporary_.empty()) {
    if (std::rename(temporary_.c_str(), without_links(path_).c_str()) != 0) {
      fail(errno);
    } else {
      temporary_.clear();
    }
  }
  return !failed_;
}

bool write_file(const std::string& path, std::string_view text) {
  Output output(path);
  output.write(text);
  return output.finish();
}

}  // namespace cowherd::cli
