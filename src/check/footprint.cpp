#include "check/footprint.hpp"

namespace cowherd::check {

namespace {

using F = Footprint;

struct Clash {
  std::uint32_t one;
  std::uint32_t other;
};

// A device's access and a discard are not among them: before it the device reaches the page through its owner, after it
// the same page without.
constexpr Clash kWordClashes[] = {
    {F::kReadsWords | F::kDeviceReads, F::kWritesWords | F::kDeviceWrites},
    {F::kWritesWords | F::kDeviceWrites, F::kWritesWords | F::kDeviceWrites | F::kRemembersValue},
};

constexpr Clash kSlotClashes[] = {
    {F::kReadsWords | F::kDeviceReads | F::kKeepsWords | F::kDiscards, F::kWritesWords | F::kDeviceWrites},
    {F::kWritesWords | F::kDeviceWrites, F::kWritesWords | F::kDeviceWrites | F::kRemembersValue},
};

constexpr Clash kPageClashes[] = {
    {F::kDiscards, F::kDiscards | F::kHolds | F::kReadsWords | F::kWritesWords},
    {F::kWritesMapped, F::kReadsMapped | F::kWritesMapped},
    {F::kWritesReadable, F::kReadsReadable},
    {F::kWritesWritable, F::kReadsWritable},
    {F::kWritesProtection, F::kReadsProtection | F::kWritesProtection},
    {F::kWritesMarks, F::kReadsMarks | F::kWritesMarks},
};

bool clashes(const Clash& clash, unsigned a, unsigned b) {
  return ((a & clash.one) != 0 && (b & clash.other) != 0) || ((b & clash.one) != 0 && (a & clash.other) != 0);
}

}  // namespace

bool conflict(const Footprint& a, const Footprint& b) {
  if ((a.files & b.files) != 0 && ((a.touches | b.touches) & F::kWritesSize) != 0) return true;
  if ((a.slots & b.slots) != 0) {
    for (const Clash& clash : kSlotClashes) {
      if (clashes(clash, a.touches, b.touches)) return true;
    }
  }
  if (a.space != b.space && a.space != F::kEverySpace && b.space != F::kEverySpace) return false;
  if ((a.pages & b.pages) != 0) {
    for (const Clash& clash : kPageClashes) {
      if (clashes(clash, a.touches, b.touches)) return true;
    }
  }
  if ((a.word_pages & b.word_pages) != 0) {
    for (const Clash& clash : kWordClashes) {
      if (clashes(clash, a.touches, b.touches)) return true;
    }
  }
  return false;
}

}  // namespace cowherd::check
