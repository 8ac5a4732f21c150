#pragma once

#include <cstdint>

#include "mm/huge.hpp"
#include "mm/system.hpp"
#include "mm/violation.hpp"

namespace cowherd::mm {

/// The part of verify() that is about huge pages: each huge entry takes its share out of the run's count, and the first
/// one that is met those of the run's frames; what is left then is wrong, and a second walk gives everything back.
template <class G>
class HugeVerifier {
 public:
  HugeVerifier(System<G>& system, Violations& found) : system_(system), found_(found) {}

  /// Whether `entry`, of a table one level above the lowest, may be a huge one at all.
  [[nodiscard]] bool may_be_huge(Entry entry) const {
    const std::uint32_t head = entry.frame().value();
    return system_.has_huge() && head % Frames<G>::kHugeFrames == 0 &&
           head + Frames<G>::kHugeFrames <= system_.frames().frame_count().value();
  }

  /// Whether no other huge entry maps the run; before take_entry().
  [[nodiscard]] bool is_only_entry(Entry entry) const {
    const HugePage& huge = system_.frames().huge(entry.frame());
    return huge.mapcount() == 1 && !huge.seen();
  }

  /// Takes the run's share once it has been counted. Returns whether the frames' shares are to be taken with it.
  bool take_entry(Entry entry) {
    HugePage& huge = system_.frames().huge(entry.frame());
    const bool first = !huge.seen();
    huge.set_seen(true);
    const std::uint32_t left = huge.mapcount();
    if (left == 0) found_.add(Violation::kHugeCount);
    // Counted before, or counted still.
    if (entry.writable() && (!first || left != 1)) found_.add(Violation::kWritableShared);
    huge.add_mapcount(-1);
    return first;
  }

  /// After all entries.
  void check_runs() {
    if (!system_.has_huge()) return;
    for_each_run([&](HugePage& huge) {
      if (huge.mapcount() != 0 || huge.seen() == huge.none()) found_.add(Violation::kHugeCount);
    });
  }

  /// Returns whether the frames' shares are to be given back with it.
  bool give_back_entry(Entry entry) {
    HugePage& huge = system_.frames().huge(entry.frame());
    const bool first = huge.seen();
    huge.set_seen(false);
    huge.add_mapcount(1);
    return first;
  }

 private:
  template <class Visit>
  void for_each_run(Visit&& visit) {
    const std::uint32_t frames = static_cast<std::uint32_t>(system_.frames().frame_count().value());
    for (std::uint32_t head = 0; head + Frames<G>::kHugeFrames <= frames; head += Frames<G>::kHugeFrames) {
      visit(system_.frames().huge(FrameNumber{head}));
    }
  }

  System<G>& system_;
  Violations& found_;
};

}  // namespace cowherd::mm
