#pragma once

#include <string_view>

namespace cowherd::live {

/// What every emitted C program begins with: processes that take turns, devices, KTAP.
extern const std::string_view kCRuntime;

/// Behind it: memory that is registered for RDMA, or that no test has such memory.
extern const std::string_view kCRdma;
extern const std::string_view kCNoRdma;

}  // namespace cowherd::live
