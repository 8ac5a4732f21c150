#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace cowherd::cli {

/// Says "cowherd: MESSAGE" on stderr.
void complain(std::string_view message);

/// What the system calls the error `error` of errno.
std::string text_of_error(int error);

/// Where results go: stdout, or a file that appears complete under its name or not at all. Not thread-safe.
class Output {
 public:
  /// An empty `path` and "-" mean stdout. The file is written beside its final place.
  explicit Output(std::string path);
  /// Without finish() before, nothing is left of a file.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(std::string_view text);
  /// Lets a reader of a pipe or a terminal see what was written so far.
  void flush();
  /// Ends the output. False, and one line on stderr, if any part of it could not be written.
  [[nodiscard]] bool finish();

  [[nodiscard]] bool to_stdout() const { return path_.empty(); }

 private:
  void fail(int error);

  std::string path_;
  std::string temporary_;
  std::FILE* file_ = nullptr;
  bool failed_ = false;
};

/// Replaces the file in one step. False, and one line on stderr, if it could not be.
[[nodiscard]] bool write_file(const std::string& path, std::string_view text);

}  // namespace cowherd::cli
