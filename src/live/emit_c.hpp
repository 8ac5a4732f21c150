#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "litmus/program.hpp"
#include "live/pin_by.hpp"

namespace cowherd::live {

/// One interleaving of a test's operations.
struct EmittedCase {
  /// The block of each step.
  std::vector<std::uint8_t> order;
};

/// A test, the interleavings that are to be run, and what is asked of each at its end.
struct EmittedTest {
  const litmus::Program* program = nullptr;
  std::vector<EmittedCase> cases;
  /// What the condition is to be: false, or true. Nothing: either, it is only shown.
  std::optional<bool> wanted;
  /// What takes hold of the pages that it pins: what there is in C, or RDMA. Not what is not written in C.
  PinBy pin_by = PinBy::kClosest;
};

/// Why the test cannot be written as a C program; empty: it can.
std::string problem_in_c(const litmus::Program& program, PinBy pin_by = PinBy::kClosest);

/// One C program in the style of the kernel's selftests: KTAP on stdout, a case to each interleaving; needs nothing but
/// a C library. Compiles with `cc test.c`. Precondition: problem_in_c() is empty for each.
std::string emit_c(const std::vector<EmittedTest>& tests);

}  // namespace cowherd::live
