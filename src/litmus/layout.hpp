#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "litmus/program.hpp"

namespace cowherd::litmus {

// The pieces of a test that are written on lines of their own. The printer makes one line of each; the parser says
// where each one stood in a text; the formatter brings the two together to give every comment its place.

enum class UnitKind : std::uint8_t {
  kHeader,
  kDoc,
  /// The expectations as a whole; they have no place in the text, as they are comments there.
  kExpectations,
  kInitOpen,
  kHugepages,
  kFolios,
  kMovable,
  kFile,
  kVariable,
  kDevice,
  kInitClose,
  kBlockHead,
  kBlockOpen,
  kStatement,
  kBlockClose,
  kFilter,
  kLocations,
  kCondition,
  kEnd,
};

struct Unit {
  UnitKind kind = UnitKind::kEnd;
  /// Number of the variable, device or block.
  std::size_t index = 0;
  /// Number of the statement within its block.
  std::size_t statement = 0;

  bool operator==(const Unit&) const = default;
};

struct PlacedUnit {
  Unit unit;
  /// Bytes of the text, one past the last for `end`.
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct PrintedUnit {
  Unit unit;
  /// Without a newline at the end; expectations may have some inside.
  std::string text;
  /// How many spaces a comment above it is indented by.
  std::size_t indent = 0;
};

}  // namespace cowherd::litmus
