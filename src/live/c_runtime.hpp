#pragma once

#include <string_view>

namespace cowherd::live {

/// What every emitted C program begins with: processes that take turns, devices, KTAP.
extern const std::string_view kCRuntime;

}  // namespace cowherd::live
