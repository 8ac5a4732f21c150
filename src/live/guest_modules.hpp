#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cowherd::live {

/// A module of a guest's kernel.
struct GuestModule {
  /// "zram.ko"
  std::string name;
  std::string bytes;
};

/// What a kernel needs for the tests and may have as modules: swap in memory, loop devices, FUSE. With all that each
/// depends on, in an order in which they can be loaded. They lie where Debian's packages have them: beside the kernel's
/// folder, in lib/modules/RELEASE or, of User Mode Linux, lib/uml/modules/RELEASE. What is not found is left out.
std::vector<GuestModule> modules_of(const std::string& kernel);

/// The names after "depends=" in a module, without ".ko".
std::vector<std::string> dependencies_of(std::string_view module);

}  // namespace cowherd::live
