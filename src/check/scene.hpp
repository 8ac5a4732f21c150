#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/geometry.hpp"
#include "cowherd/types.hpp"
#include "litmus/program.hpp"
#include "spec/spec.hpp"

namespace cowherd::check {

/// The geometry that states are searched in: a whole machine is a few kilobytes.
using G = CheckedGeometry;

static_assert(Geometry<G>::kPageBytes == litmus::kWordsPerPage * sizeof(std::int64_t), "a page holds a test's words");

constexpr spec::FileStore store_of(litmus::FileKind kind) {
  switch (kind) {
    case litmus::FileKind::kDisk:
      return spec::FileStore::kDisk;
    case litmus::FileKind::kHugetlb:
      return spec::FileStore::kHugetlb;
    case litmus::FileKind::kMemfd:
      break;
  }
  return spec::FileStore::kMemory;
}

/// What does not change while a program runs: where its variables lie, whose thread each block is, how large a machine
/// it needs. Refers to the program, which must outlive it.
class Scene {
 public:
  /// Precondition: the program is resolved.
  explicit Scene(const litmus::Program& program);

  [[nodiscard]] const litmus::Program& program() const { return *program_; }
  [[nodiscard]] std::uint8_t blocks() const { return static_cast<std::uint8_t>(program_->blocks.size()); }
  /// Snapshots are processes in which nobody runs; their numbers follow those of the blocks.
  [[nodiscard]] std::uint8_t process_of_snapshot(std::uint8_t snapshot) const {
    return static_cast<std::uint8_t>(blocks() + snapshot);
  }
  /// Over all variables.
  [[nodiscard]] std::uint8_t pages() const { return static_cast<std::uint8_t>(program_->page_count()); }
  [[nodiscard]] std::uint8_t devices() const { return static_cast<std::uint8_t>(program_->devices.size()); }
  [[nodiscard]] std::uint8_t files() const { return static_cast<std::uint8_t>(program_->files.size()); }
  /// Whether a disk is behind some file, so that something is left when all is over.
  [[nodiscard]] bool has_disk() const { return has_disk_; }
  /// Whether some memory is a file's, or shared: others come by it through the file.
  [[nodiscard]] bool has_files() const { return has_files_; }
  [[nodiscard]] const litmus::Block& block(std::uint8_t block) const { return program_->blocks[block]; }
  /// The block that runs the first thread of the process of `block`.
  [[nodiscard]] std::uint8_t process_of(std::uint8_t block) const { return process_of_[block]; }
  /// The blocks that run in the process whose first block is `process`, as a set of bits.
  [[nodiscard]] std::uint8_t threads_of(std::uint8_t process) const { return threads_of_[process]; }
  /// Where the registers of `block` begin among those of all blocks.
  [[nodiscard]] std::uint8_t first_register(std::uint8_t block) const { return first_register_[block]; }
  [[nodiscard]] std::uint8_t registers() const { return registers_; }

  /// Number of a page among those of all variables.
  [[nodiscard]] std::uint8_t page_of(const litmus::Place& place) const {
    return static_cast<std::uint8_t>(program_->variables[place.variable].first_page + place.page);
  }
  /// Number of the first page that operation `pc` of `block` is about: of the device's for one on a device, 0 for one
  /// that names no page.
  [[nodiscard]] std::uint8_t page_of_operation(std::uint8_t block, std::uint8_t pc) const {
    return page_of_operation_[block][pc];
  }
  /// What an mmap of these pages of a variable maps, and with which flags.
  [[nodiscard]] spec::Backing backing_of(const litmus::Place& place) const;
  [[nodiscard]] MapFlags map_flags_of(const litmus::Place& place, MapFlags flags) const {
    const litmus::Variable& variable = program_->variables[place.variable];
    if (variable.shared) flags = flags | MapFlags::kShared;
    if (litmus::is_hugetlb(variable.kind)) flags = flags | MapFlags::kHugetlb;
    return variable.noreserve ? flags | MapFlags::kNoReserve : flags;
  }
  /// Where page number `page` is mapped, in every process that has it.
  [[nodiscard]] Vaddr address_of_page(std::uint8_t page) const { return Geometry<G>::address_of(vpn_[page]); }
  [[nodiscard]] Vaddr address_of(const litmus::Place& place) const {
    return address_of_page(page_of(place)) + ByteCount{place.word * sizeof(std::int64_t)};
  }
  /// Where all pages are mapped, by number.
  [[nodiscard]] std::span<const Vpn> vpns() const { return std::span(vpn_).first(pages()); }
  /// The pages that loads and stores of `block` from operation `pc` on go to, bits by number.
  [[nodiscard]] std::uint32_t pages_accessed_from(std::uint8_t block, std::uint8_t pc) const {
    return accessed_from_[block][pc];
  }
  /// The one block that can ever touch the memory of `process` as it is after its start, plus one; 0 where there may be
  /// several.
  [[nodiscard]] std::uint8_t only_user_of(std::uint8_t process) const { return only_user_of_[process]; }
  /// Whether some operation chooses which of its allocations fails.
  [[nodiscard]] bool fails_by_choice() const { return fails_by_choice_; }
  /// The page number at `vpn`; kMaxPages where no variable lies.
  [[nodiscard]] std::uint8_t page_at(Vpn vpn) const;
  /// "x", "x[2]"
  [[nodiscard]] std::string page_name(std::uint8_t page) const;
  /// "P0/T1": process and thread; "D0", "K0".
  [[nodiscard]] std::string agent_name(std::uint8_t block) const;

  /// Enough for every block to be a process with memory of its own.
  [[nodiscard]] PageCount frames() const { return frames_; }
  /// Whether userfaultfd's handler decides about faults.
  [[nodiscard]] bool uses_userfault() const { return uses_userfault_; }
  /// Whether the test says when it reads what it is told beside faults: else somebody does at once.
  [[nodiscard]] bool reads_events() const { return reads_events_; }
  /// Whether somebody who takes memory may have to tell the handler before.
  [[nodiscard]] bool tells_of_removal() const { return tells_of_removal_; }
  /// What memory is registered for by such an operation.
  [[nodiscard]] UffdFlags uffd_of(const litmus::Operation& op) const {
    return reads_events_ && op.uffd != UffdFlags::kNone ? op.uffd | UffdFlags::kReadsEvents : op.uffd;
  }
  /// Whether huge pages may come to be.
  [[nodiscard]] bool uses_huge() const { return uses_huge_; }
  /// Large folios that small entries map have up to 2^folio_order pages; 0: there are none.
  [[nodiscard]] unsigned folio_order() const { return folio_order_; }
  /// Pages of the hugetlb pool; none where nothing is of it.
  [[nodiscard]] std::uint32_t hugetlb_pages() const { return hugetlb_pages_; }
  /// Frames that hold only what can be moved.
  [[nodiscard]] PageCount movable() const { return movable_; }
  /// Enough for every process to have every page there; none where no statement can bring one there.
  [[nodiscard]] PageCount swap() const { return swap_; }
  /// Whether a statement goes by reverse maps to whoever has a page.
  [[nodiscard]] bool others_come_by_rmap() const { return uses_swap_ || uses_migration_ || hugetlb_pages_ != 0; }

 private:
  void look_at_accesses();
  [[nodiscard]] bool others_reach(std::uint8_t process) const;

  const litmus::Program* program_;
  std::array<std::uint8_t, litmus::kMaxBlocks> process_of_{};
  std::array<std::uint8_t, litmus::kMaxBlocks> threads_of_{};
  std::array<std::uint8_t, litmus::kMaxBlocks> first_register_{};
  std::uint8_t registers_ = 0;
  std::array<std::vector<std::uint8_t>, litmus::kMaxBlocks> page_of_operation_;
  std::array<std::vector<std::uint32_t>, litmus::kMaxBlocks> accessed_from_;
  std::array<std::uint8_t, litmus::kMaxBlocks> only_user_of_{};
  bool fails_by_choice_ = false;
  bool has_files_ = false;
  bool has_disk_ = false;
  std::array<Vpn, litmus::kMaxPages> vpn_{};
  PageCount frames_;
  bool uses_swap_ = false;
  bool uses_migration_ = false;
  bool uses_huge_ = false;
  unsigned folio_order_ = 0;
  bool uses_userfault_ = false;
  bool tells_of_removal_ = false;
  bool reads_events_ = false;
  std::uint32_t hugetlb_pages_ = 0;
  PageCount swap_{0};
  PageCount movable_{0};
};

}  // namespace cowherd::check
