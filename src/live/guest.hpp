#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cowherd::live {

/// A second kernel on this machine, without hardware for it.
struct GuestKernel {
  enum class Kind {
    /// An image for x86-64, in QEMU with emulated instructions.
    kEmulated,
    /// User Mode Linux: the kernel is a program.
    kUserMode,
  };
  Kind kind = Kind::kEmulated;
  std::string path;
  /// Of the guest; User Mode Linux has one.
  unsigned processors = 1;
};

/// What came of a run in a guest.
struct GuestRun {
  /// Not empty: it did not run to its end, and why.
  std::string problem;
  int status = 0;
  std::string out;
  std::string err;
};

/// Runs this program with `words` (without the program's name) under another kernel, in a root folder that has nothing
/// but this program, the libraries that it has loaded, and the files and folders that `words` name. `interrupted` is
/// asked many times a second. All processes of the guest end with the call.
GuestRun run_in_guest(const GuestKernel& kernel, const std::vector<std::string>& words,
                      const std::function<bool()>& interrupted);

}  // namespace cowherd::live
