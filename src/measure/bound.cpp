#include "measure/bound.hpp"

#include <fmt/format.h>

namespace cowherd::measure {
namespace {

Met met(bool yes) { return yes ? Met::kYes : Met::kNo; }

bool paired(const std::vector<double>& a, const std::vector<double>& b) { return !a.empty() && a.size() == b.size(); }

}  // namespace

Met judge(const Bound& bound, const Rounds& rounds) {
  if (rounds.ours.empty()) return Met::kUnknown;
  const bool has_floor = paired(rounds.floor, rounds.ours);
  switch (bound.kind) {
    case Bound::Kind::kAtMost:
      return met(spread_of(rounds.ours).median <= bound.value);
    case Bound::Kind::kAtLeast:
      return met(spread_of(rounds.ours).median >= bound.value);
    case Bound::Kind::kAtMostTimesFloor:
      return has_floor ? met(spread_of(ratios(rounds.ours, rounds.floor)).median <= bound.value) : Met::kUnknown;
    case Bound::Kind::kAtLeastTimesFloor:
      return has_floor ? met(spread_of(ratios(rounds.ours, rounds.floor)).median >= bound.value) : Met::kUnknown;
    case Bound::Kind::kAtMostFloorPlus: {
      if (!has_floor) return Met::kUnknown;
      std::vector<double> over;
      for (std::size_t i = 0; i < rounds.ours.size(); ++i) over.push_back(rounds.ours[i] - rounds.floor[i]);
      return met(spread_of(over).median <= bound.value);
    }
    case Bound::Kind::kTimesBetterThanLinux:
      return paired(rounds.of_linux, rounds.ours)
                 ? met(spread_of(ratios(rounds.of_linux, rounds.ours)).median >= bound.value)
                 : Met::kUnknown;
  }
  return Met::kUnknown;
}

Met judge(const std::vector<Bound>& bounds, const Rounds& rounds) {
  Met worst = bounds.empty() ? Met::kUnknown : Met::kYes;
  for (const Bound& bound : bounds) {
    const Met one = judge(bound, rounds);
    if (one == Met::kNo) return Met::kNo;
    if (one == Met::kUnknown) worst = Met::kUnknown;
  }
  return worst;
}

std::vector<Bound> at_pace(std::vector<Bound> bounds, double pace) {
  for (Bound& bound : bounds) {
    switch (bound.kind) {
      case Bound::Kind::kAtMost:
      case Bound::Kind::kAtMostFloorPlus:
        bound.value *= pace;
        break;
      case Bound::Kind::kAtLeast:
        bound.value /= pace;
        break;
      case Bound::Kind::kAtMostTimesFloor:
      case Bound::Kind::kAtLeastTimesFloor:
      case Bound::Kind::kTimesBetterThanLinux:
        break;
    }
  }
  return bounds;
}

std::string text_of(const Bound& bound) {
  switch (bound.kind) {
    case Bound::Kind::kAtMost:
      return fmt::format("<= {:.5g}", bound.value);
    case Bound::Kind::kAtLeast:
      return fmt::format(">= {:.5g}", bound.value);
    case Bound::Kind::kAtMostTimesFloor:
      return fmt::format("<= {:g}x floor", bound.value);
    case Bound::Kind::kAtLeastTimesFloor:
      return fmt::format(">= {:g}x floor", bound.value);
    case Bound::Kind::kAtMostFloorPlus:
      return fmt::format("<= floor + {:.5g}", bound.value);
    case Bound::Kind::kTimesBetterThanLinux:
      return fmt::format(">= {:g}x Linux", bound.value);
  }
  return {};
}

std::string text_of(const std::vector<Bound>& bounds) {
  std::string text;
  for (const Bound& bound : bounds) text += (text.empty() ? "" : ", ") + text_of(bound);
  return text;
}

}  // namespace cowherd::measure
