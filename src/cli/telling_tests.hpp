#pragma once

#include <span>
#include <string>
#include <string_view>

#include "litmus/program.hpp"

namespace cowherd::cli {

/// A small test whose outcome differs between kernels, and what its owner wants to know by it.
struct TellingTest {
  std::string_view name;
  /// The interfaces that it speaks for: "pin" for whatever counts its references as pins, "get" for whatever takes
  /// ordinary ones, "odirect", "cuda", "debugger".
  std::string_view interface;
  /// What is promised, as a sentence; the reference semantics says whether the kernel keeps it.
  std::string_view promise;
  /// The parts of its text: init block, first process, second process (or nothing).
  std::string_view memory;
  std::string_view parent;
  std::string_view child;
};

std::span<const TellingTest> telling_tests();

/// The test as a program, with every register and all memory among its outcomes.
/// `direct_pins`: O_DIRECT takes pins here; before Linux 6.5 it took ordinary references, and the test says so then.
litmus::Program program_of(const TellingTest& test, bool direct_pins = true);

}  // namespace cowherd::cli
