#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "cow/rule_rows.hpp"
#include "mm/test_stress.hpp"

// Bytes become operations on a small machine and on the model beside it: the first byte chooses the rules and the size
// of RAM, each later one answers a question.

namespace cowherd::mm {
namespace {

using G = CheckedGeometry;

void require(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  }
}

const Rules& rules_for(std::uint8_t byte) {
  const auto rows = all_rows();
  const RuleRow& row = rows[byte / 2 % rows.size()];
  // Half of all inputs for our own rules, which promise most; and the sketch's books are wrong by design.
  return byte % 2 == 0 || row.rules.copy_accounting == CopyAccounting::kSourcePage ? kCowherdRules : row.rules;
}

void run(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return;
  }
  std::size_t at = 2;
  Stress<G> stress(rules_for(data[0]), 30 + data[1] % 4 * 40u,
                   [&](std::uint32_t n) { return at < size ? data[at++] % n : 0u; });
  // Not every step asks: at most one to a byte.
  for (std::size_t step = 0; at < size && step < size; ++step) {
    stress.step();
    require(stress.trouble().empty(), stress.trouble().c_str());
    require(verify(stress.system()).none(), "verify() found something");
  }
  stress.compare();
  stress.finish();
  require(stress.trouble().empty(), stress.trouble().c_str());
}

}  // namespace
}  // namespace cowherd::mm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cowherd::mm::run(data, size);
  return 0;
}
