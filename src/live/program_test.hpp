#pragma once

#include <gtest/gtest.h>

#include <string>

#include "litmus/parser.hpp"

namespace cowherd::live {

/// A test with these blocks, and this memory in its init block.
inline litmus::Program program(const std::string& blocks, const std::string& memory = "x = anon(1); d = device;") {
  const litmus::ParseResult parsed = litmus::parse("COW t\n{ " + memory + " }\n" + blocks, "t");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  return *parsed.program;
}

}  // namespace cowherd::live
