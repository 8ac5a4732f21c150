#include <gtest/gtest.h>

#include <random>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_stress.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class StressTest : public testing::Test {
 protected:
  /// Checks everything after every step where pages are small, else now and then.
  static constexpr int kPeriod = G::kScrubFreed ? 1 : 50;

  static void run(const Rules& rules, std::size_t frames, unsigned seed, int steps, std::size_t swap = 0,
                  bool huge = false, unsigned folio_order = 0) {
    SCOPED_TRACE(testing::Message() << frames << " frames, " << swap << " slots, seed " << seed);
    std::mt19937 random(seed);
    Stress<G> stress(
        rules, frames, [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }, swap, huge,
        folio_order);
    for (int step = 0; step < steps; ++step) {
      stress.step();
      if (step % kPeriod == 0) {
        ASSERT_EQ(names_of(verify(stress.system())), "") << "after step " << step;
      }
      if (step % (kPeriod * 10) == 0) stress.compare();
      ASSERT_EQ(stress.trouble(), "") << "in step " << step;
    }
    stress.compare();
    stress.finish();
    ASSERT_EQ(stress.trouble(), "");
    ASSERT_EQ(names_of(verify(stress.system())), "");
  }
};
TYPED_TEST_SUITE(StressTest, Geometries);

TYPED_TEST(StressTest, OurRulesWithDevices) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    this->run(kCowherdRules, 400, seed, 1500);
    this->run(kCowherdRules, 70, seed, 1500);
    this->run(kCowherdRules, 35, seed, 1500);
  }
}

TYPED_TEST(StressTest, OurRulesWithSwap) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    this->run(kCowherdRules, 400, seed, 1500, 60);
    this->run(kCowherdRules, 70, seed, 1500, 12);
    this->run(kCowherdRules, 40, seed, 1500, 60);
  }
}

TYPED_TEST(StressTest, OurRulesWithHugePages) {
  // In the production geometry no mapping is large enough for one.
  if (!TypeParam::kExplored) return;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    this->run(kCowherdRules, 400, seed, 1500, 0, true);
    this->run(kCowherdRules, 90, seed, 1500, 0, true);
    this->run(kCowherdRules, 120, seed, 1500, 40, true);
  }
}

TYPED_TEST(StressTest, EveryRowWithHugePages) {
  if (!TypeParam::kExplored) return;
  for (const RuleRow& row : all_rows()) {
    if (row.rules.copy_accounting == CopyAccounting::kSourcePage) continue;
    SCOPED_TRACE(row.id);
    this->run(row.rules, 200, 1, 700, 20, true);
  }
}

TYPED_TEST(StressTest, OurRulesWithLargeFolios) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    for (const unsigned order : {1U, 2U}) {
      this->run(kCowherdRules, 400, seed, 1500, 0, true, order);
      this->run(kCowherdRules, 90, seed, 1500, 40, true, order);
    }
  }
}

TYPED_TEST(StressTest, EveryRowWithLargeFolios) {
  for (const RuleRow& row : all_rows()) {
    if (row.rules.copy_accounting == CopyAccounting::kSourcePage) continue;
    SCOPED_TRACE(row.id);
    this->run(row.rules, 200, 1, 700, 20, true, 2);
  }
}

TYPED_TEST(StressTest, EveryRowWithSwap) {
  for (const RuleRow& row : all_rows()) {
    if (row.rules.copy_accounting == CopyAccounting::kSourcePage) continue;
    SCOPED_TRACE(row.id);
    // A reference that these rules do not protect parts from its owner: only memory is looked at then.
    this->run(row.rules, 120, 1, 500, 40);
  }
}

TYPED_TEST(StressTest, EveryRowWithSoundBooks) {
  for (const RuleRow& row : all_rows()) {
    if (row.rules.copy_accounting == CopyAccounting::kSourcePage) continue;
    SCOPED_TRACE(row.id);
    this->run(row.rules, 400, 1, 700);
    this->run(row.rules, 60, 2, 700);
  }
  for (const RuleRow& row : variant_rows()) {
    SCOPED_TRACE(row.id);
    this->run(row.rules, 100, 3, 700);
  }
}

}  // namespace
}  // namespace cowherd::mm
