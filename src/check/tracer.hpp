#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "check/oracle.hpp"
#include "check/result.hpp"
#include "check/step.hpp"
#include "check/world.hpp"

namespace cowherd::check {

/// One page of a pin, and what its owner's address maps.
struct Holding {
  std::uint8_t device = 0;
  /// Page of the pin.
  std::uint8_t index = 0;
  /// The process, and the number of the page among the test's, through which the pin was taken.
  std::uint8_t owner = 0;
  std::uint8_t page = 0;
  FrameNumber frame;
  /// The owner has not discarded the page.
  bool attached = false;
  PinFlags flags = PinFlags::kNone;
  /// Nothing where the owner maps no page there.
  std::optional<FrameNumber> mapped;
};

/// What a step did, beside what the trace shows.
struct StepDetail {
  std::uint8_t block = 0;
  Move move = 0;
  StepReport report;
  /// What recounting found beyond the report.
  mm::Violations recount;
  std::vector<mm::Event> events;
  /// After the step.
  std::vector<Holding> holdings;
};

/// Runs one schedule slowly and writes down everything. Not thread-safe.
class Tracer {
 public:
  /// `scene` must outlive the tracer.
  Tracer(const Scene& scene, const CheckOptions& options);

  /// Empty, or why the program cannot begin. Call once, first.
  std::string begin();
  /// False, and nothing has changed, where the block cannot go on.
  bool step(Move move);

  /// Whether some block has not ended and none can go on. Changes nothing.
  [[nodiscard]] bool deadlocked();
  /// Of the state now, 16 hexadecimal digits.
  [[nodiscard]] std::string state_hash();

  /// Its schedule strings are complete up to the last step.
  [[nodiscard]] Trace& trace() { return trace_; }
  [[nodiscard]] const std::vector<StepDetail>& details() const { return details_; }
  [[nodiscard]] const Scene& scene() const { return *scene_; }
  [[nodiscard]] const Rules& rules() const { return rules_; }

 private:
  [[nodiscard]] bool could_go_on(Move move);
  [[nodiscard]] std::vector<PageSight> look_at_pages();
  [[nodiscard]] std::vector<DeviceSight> look_at_devices();
  [[nodiscard]] std::vector<StaleSight> look_at_stale();
  [[nodiscard]] std::vector<Holding> look_at_holdings();
  [[nodiscard]] std::string describe(const mm::Event& event) const;
  void write_schedule();

  /// Through whose memory each device took hold.
  struct Owner {
    std::uint8_t process = 0;
    std::uint8_t page = 0;
  };

  const Scene* scene_;
  Rules rules_;
  Setting setting_;
  World world_;
  Trace trace_;
  std::vector<StepDetail> details_;
  Owner owners_[litmus::kMaxDevices];
};

/// What the allowed results of a step were; empty where the step was right.
std::vector<std::int64_t> expected_of(const spec::Judgement& judgement);

}  // namespace cowherd::check
