#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "litmus/random.hpp"
#include "live/course.hpp"
#include "live/stage.hpp"

namespace cowherd::live {

/// Plays a test with operations of several blocks under way at the same time: what happens between the steps of one is
/// then the kernel's doing. Each round takes some of the blocks that can go on, and their next operations start within
/// a moment of each other, at random. Those that ask more than one process, or end one, are done alone. Not
/// thread-safe.
class Crowd final : public Executor {
 public:
  /// It must outlive this, and has all processors (Stage::Processors::kAll).
  explicit Crowd(Stage& stage) : stage_(&stage) {}

  /// One round of a run. Precondition: `course` was made with this executor, and some block can go on. The blocks whose
  /// operations are done, in the order in which the course was told of them; nothing with an answer that is lost.
  struct Round {
    BlockSet blocks = 0;
    /// By block.
    std::array<Answer, litmus::kMaxBlocks> answers;
    Answer lost;
  };
  Round round(Course& course, litmus::Random& random);

  Answer begin(const litmus::Program& program) override { return stage_->begin(program); }
  Answer perform(std::uint8_t block, std::uint8_t process, const litmus::Operation& operation,
                 std::int64_t value) override;
  Answer exit(std::uint8_t process) override { return stage_->exit(process); }
  Answer look(std::uint8_t process, const litmus::Place& place) override { return stage_->look(process, place); }
  Answer inspect(std::uint8_t process, const litmus::Term& term) override { return stage_->inspect(process, term); }
  Answer end_all() override { return stage_->end_all(); }

 private:
  void do_together(const Course& course, BlockSet blocks, litmus::Random& random);

  Stage* stage_;
  /// What has been done already, and waits for the course to ask for it.
  std::array<std::optional<Answer>, litmus::kMaxBlocks> done_;
};

}  // namespace cowherd::live
