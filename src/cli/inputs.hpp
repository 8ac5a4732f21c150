#pragma once

#include <string>
#include <vector>

namespace cowherd::cli {

/// The texts that a command line names.
struct Inputs {
  /// In the order of the command line; "-" is standard input.
  std::vector<std::string> names;
  /// One line to each argument that leads nowhere.
  std::vector<std::string> errors;
  /// A folder, an index or several names: short answers are wanted.
  bool batch = false;
};

/// Finds the files behind `arguments`: a file stands for itself, a folder for every *.litmus below it, sorted by path;
/// an index file, whose name begins with '@' (`@all`, `litmus/@all`) or which is named as `@FILE`, for the names in it:
/// one to a line, relative to its folder, `#` begins a comment, folders and further indices are allowed.
Inputs find_inputs(const std::vector<std::string>& arguments);

/// A text, or why it could not be read.
struct Loaded {
  bool ok = false;
  std::string text;
  /// One line without a line end.
  std::string error;
};

/// Reads at most `limit` + 1 bytes, so that a reader with a limit can tell that there are more. "-": standard input.
Loaded load(const std::string& name, std::size_t limit);

/// The name to show for an input.
std::string display_name(const std::string& name);

}  // namespace cowherd::cli
