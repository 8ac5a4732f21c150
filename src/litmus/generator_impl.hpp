#pragma once

// The class behind generator.hpp: generator.cpp has what a program is made of, draw_statement.cpp its statements.

#include <cstdint>
#include <optional>
#include <vector>

#include "litmus/generator.hpp"
#include "litmus/random.hpp"

namespace cowherd::litmus {

class Generator {
 public:
  Generator(std::uint64_t seed, const GeneratorOptions& options);
  Program run();

 private:
  struct BlockState {
    bool ended = false;
    /// After exec: an access would only fault.
    bool no_memory = false;
    std::uint8_t process = 0;
    /// Started in this block and not waited for.
    std::vector<std::uint8_t> children;
  };

  struct DeviceState {
    /// The block that pins to it and lets go again: nobody else, so that every unpin has its pin in any schedule.
    std::optional<std::uint8_t> owner;
    bool held = false;
    bool get = false;
    bool write = false;
    std::uint8_t pages = 1;
  };

  void declare();
  /// The variable maps the file, which gets as many pages as that takes; or is shared anonymous memory.
  void map_file(Variable& variable);
  /// How many pages the pool has that the variable is of, and whether it is promised any.
  void declare_pool(Variable& variable);
  /// Makes it another view of the file of hugetlb pages, if there is room.
  bool map_hugetlb_file(Variable& variable);
  [[nodiscard]] std::uint32_t weight(OpCode code) const { return options_.weights[static_cast<std::size_t>(code)]; }
  /// For a process block or a snapshot, beside a device block and a kernel block.
  [[nodiscard]] bool room_for_one() const { return program_.blocks.size() + (has_snapshot_ ? 1 : 0) < kMaxBlocks - 2; }
  std::uint8_t add_block();
  /// Appends to a block, if the operation leaves room for the reads.
  void emit(Block& block, Operation op, bool has_result);
  /// A block that still runs; P0 as often as all others together.
  std::uint8_t pick_block();
  OpCode pick_code();
  /// 1, 2, 3, ... in the order of the text.
  void number_values();
  static bool needs_memory(OpCode code);
  Place pick_word();
  Place pick_pages();
  /// Numbered when all are known.
  static Operand pick_value();
  std::optional<std::uint8_t> pick_device(bool held);
  void draw();
  /// Mostly to another variable, as many pages as go; else some pages of one variable grow, shrink or move within it.
  void draw_mremap(std::uint8_t b, Operation op);
  void draw_mapping(std::uint8_t b, Operation op);
  void draw_start(std::uint8_t b, Operation op);
  void draw_end(std::uint8_t b, Operation op);
  void draw_pin(std::uint8_t b, Operation op);
  void draw_unpin(std::uint8_t b, Operation op);
  void draw_dma(std::uint8_t b, Operation op);
  void draw_ptrace(std::uint8_t b, Operation op);
  /// Both at once and in a block of their own: a lock that nobody gives back would only hang the program.
  void draw_lock();
  /// Of the own memory, or by the kernel, at any time.
  void draw_swap(std::uint8_t b, Operation op);
  /// What userfaultfd's handler does, whom any block may play.
  void draw_uffd(std::uint8_t b, Operation op);
  void draw_clear_refs(std::uint8_t b, Operation op);
  void draw_file(std::uint8_t b, Operation op);
  /// KSM scans by itself: in a block of its own. The mapping has to allow it.
  void draw_ksm_merge(OpCode code);
  /// One snapshot at most; any process may go back to it, once it is taken in some schedule.
  void draw_snapshot(std::uint8_t b, Operation op);
  /// A read at the end: of what a device holds, or of memory by a process that has not ended.
  void observe();

  Random random_;
  GeneratorOptions options_;
  Program program_;
  Block device_block_;
  Block kernel_block_;
  std::vector<BlockState> states_;
  std::vector<DeviceState> devices_;
  bool has_snapshot_ = false;
  bool has_handler_ = false;
  /// Whether a device was given a page for itself.
  bool has_exclusive_ = false;
  std::uint32_t count_ = 0;
};

}  // namespace cowherd::litmus
