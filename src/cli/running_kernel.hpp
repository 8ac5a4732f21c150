#pragma once

#include <string>
#include <string_view>

#include "cli/rule_choice.hpp"

namespace cowherd::cli {

/// What stands for the running kernel where a result names rules: "live-linux-6.18.44".
std::string running_kernel_name(std::string_view release);

/// The rules that published sources give for the kernel of that release ("6.18.44-1-amd64"): those of the newest named
/// version that is not newer. No row where the release is no Linux version.
RuleChoice rules_of_release(std::string_view release);

}  // namespace cowherd::cli
