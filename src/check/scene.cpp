#include "check/scene.hpp"

#include <fmt/format.h>

#include "back/huge_pool.hpp"
#include "litmus/resolve.hpp"
#include "litmus/spelling.hpp"

namespace cowherd::check {

static_assert(litmus::kMaxBlocks * litmus::kMaxRegisters <= 255);
static_assert(litmus::kHugePages == Geometry<G>::kEntries, "what one lowest table maps");
static_assert(1 + litmus::kMaxPages + litmus::kMaxVariables <= Geometry<G>::kUserPages, "the variables and a gap each");

namespace {

bool needs_swap(const litmus::Program& program) {
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      const bool advises = op.code == litmus::OpCode::kMadvise &&
                           (op.advice == Advice::kCold || op.advice == Advice::kPageOut || op.advice == Advice::kFree);
      if (advises || op.code == litmus::OpCode::kSwapOut || op.code == litmus::OpCode::kSwapIn) return true;
    }
  }
  return false;
}

bool needs_migration(const litmus::Program& program) {
  if (program.movable) return true;
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      if (op.code == litmus::OpCode::kMigrate || op.code == litmus::OpCode::kPoison ||
          op.code == litmus::OpCode::kCompact || op.code == litmus::OpCode::kMakeExclusive) {
        return true;
      }
    }
  }
  return false;
}

bool uses(const litmus::Program& program, litmus::OpCode code) {
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      if (op.code == code) return true;
    }
  }
  return false;
}

bool registers_for(const litmus::Program& program, UffdFlags flags) {
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      if (op.code == litmus::OpCode::kUffdRegister && has(op.uffd, flags)) return true;
    }
  }
  return false;
}

bool needs_huge(const litmus::Program& program) {
  using litmus::VariableKind;
  if (program.folios) return true;
  for (const litmus::Variable& variable : program.variables) {
    if (litmus::is_huge(variable.kind) && !litmus::is_hugetlb(variable.kind)) return true;
  }
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      const bool advises =
          op.code == litmus::OpCode::kMadvise && (op.advice == Advice::kHugePage || op.advice == Advice::kCollapse);
      if (advises || op.code == litmus::OpCode::kCollapse) return true;
    }
  }
  return false;
}

}  // namespace

Scene::Scene(const litmus::Program& program) : program_(&program) {
  std::uint64_t processes = 0;
  std::uint64_t forks = 0;
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    process_of_[b] = litmus::process_of(program, b);
    threads_of_[process_of_[b]] = static_cast<std::uint8_t>(threads_of_[process_of_[b]] | 1u << b);
    first_register_[b] = registers_;
    registers_ = static_cast<std::uint8_t>(registers_ + block(b).registers.size());
    if (block(b).kind == litmus::BlockKind::kProcess && block(b).start != litmus::BlockStart::kThread) ++processes;
    if (block(b).start == litmus::BlockStart::kFork) ++forks;
    for (const litmus::Operation& op : block(b).operations) {
      if (op.code != litmus::OpCode::kRestore) continue;
      // The process that it makes on the way; one at a time to each block.
      ++processes;
      ++forks;
      break;
    }
  }
  processes += program.snapshot_count();
  forks += program.snapshot_count();
  // A gap before each variable: pages that lie side by side are one variable's.
  std::uint64_t next = 0;
  std::size_t page = 0;
  uses_huge_ = needs_huge(program);
  if (program.folios) folio_order_ = static_cast<unsigned>(std::countr_zero(unsigned{*program.folios}));
  reads_events_ = uses(program, litmus::OpCode::kUffdRead);
  tells_of_removal_ = reads_events_ && registers_for(program, UffdFlags::kEventRemove);
  uses_userfault_ = reads_events_ || uses(program, litmus::OpCode::kUffdRegister);
  for (const litmus::Variable& variable : program.variables) {
    ++next;
    // Where a huge page may lie in it.
    const bool may_be_huge = uses_huge_ && variable.pages >= litmus::kHugePages;
    if (may_be_huge || litmus::is_hugetlb(variable.kind)) {
      next = (next + litmus::kHugePages - 1) / litmus::kHugePages * litmus::kHugePages;
    } else if (folio_order_ != 0 && variable.pages >= 2) {
      next = (next + 1) / 2 * 2;
    }
    for (std::uint32_t i = 0; i < variable.pages; ++i) vpn_[page++] = Vpn{next++};
  }
  has_files_ = !program.files.empty();
  for (const litmus::Variable& variable : program.variables) has_files_ = has_files_ || variable.shared;
  uses_swap_ = needs_swap(program);
  hugetlb_pages_ = program.pool_pages();
  uses_migration_ = needs_migration(program);
  look_at_accesses();
  // To each process its pages, its tables and, at worst, an object or two of several frames to each page; a pin of a
  // page that its owner gave up keeps one more.
  const std::uint64_t pages = program.page_count();
  const std::uint64_t tables = 2 + Geometry<G>::kUserPages / Geometry<G>::kEntries;
  std::uint64_t moves = 0;
  for (const litmus::Block& block : program.blocks) {
    for (const litmus::Operation& op : block.operations) {
      const bool makes = op.code == litmus::OpCode::kMremap || op.code == litmus::OpCode::kMigrate ||
                         op.code == litmus::OpCode::kPoison || op.code == litmus::OpCode::kUffdMove ||
                         op.code == litmus::OpCode::kUffdRegister || op.code == litmus::OpCode::kCompact ||
                         op.code == litmus::OpCode::kMakeExclusive ||
                         (program.movable && (op.code == litmus::OpCode::kPin || op.code == litmus::OpCode::kOffline));
      moves += makes ? 1 : 0;
    }
  }
  // A huge page needs frames that lie side by side, and a pinned piece keeps its neighbours from becoming one again.
  const std::uint64_t runs = uses_huge_ ? 2 * litmus::kHugePages * pages * (processes + program.devices.size()) : 0;
  const std::uint64_t held = pages * program.devices.size();
  const std::uint64_t wanted =
      64 + processes * (pages + tables + 8 * (pages + 2)) + 8 * pages * forks + held + moves * (tables + 8 * pages);
  // A page of each, the nodes that lead to it, and an object to each mapping; a shared mapping brings a file along.
  std::uint64_t for_files = 0;
  for (const litmus::FileVariable& file : program.files) {
    for_files += 8 + 2 * file.pages;
    if (file.kind != litmus::FileKind::kDisk) continue;
    has_disk_ = true;
    // A page that is cut off and comes back takes another block while the old one is given up.
    swap_ = swap_ + PageCount{file.pages + std::uint64_t{1}};
  }
  if (has_files_) for_files += (processes + program.operation_count()) * 3 * (pages + program.variables.size());
  constexpr std::uint64_t kStep = 64;
  const std::uint64_t pool = frames_for_pool<G>(hugetlb_pages_);
  if (program.movable) movable_ = PageCount{*program.movable};
  frames_ = PageCount{(wanted + runs + for_files + pool + movable_.value() + kStep - 1) / kStep * kStep};
  if (uses_swap_) swap_ = swap_ + PageCount{pages * (processes + 1)};
}

void Scene::look_at_accesses() {
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    const auto& operations = block(b).operations;
    for (const litmus::Operation& op : operations) {
      page_of_operation_[b].push_back(litmus::names_variable(op) ? page_of(op.place) : op.place.page);
    }
    auto& accessed = accessed_from_[b];
    accessed.assign(operations.size() + 1, 0);
    for (std::size_t pc = operations.size(); pc-- > 0;) {
      const litmus::Operation& op = operations[pc];
      const bool own_access = op.code == litmus::OpCode::kRead || op.code == litmus::OpCode::kWrite;
      accessed[pc] = accessed[pc + 1] | (own_access ? 1u << page_of(op.place) : 0u);
      fails_by_choice_ = fails_by_choice_ || op.fail_any;
    }
    only_user_of_[b] = others_reach(b) ? std::uint8_t{0} : static_cast<std::uint8_t>(b + 1);
  }
}

/// Whether a block other than `process`, the first of its process, may touch the memory that it lives in.
bool Scene::others_reach(std::uint8_t process) const {
  // Who takes a page goes by its reverse map to all who have it.
  if (others_come_by_rmap()) return true;
  if (threads_of_[process] != 1u << process || block(process).start == litmus::BlockStart::kVfork) return true;
  for (std::uint8_t b = 0; b < blocks(); ++b) {
    if (block(b).start == litmus::BlockStart::kVfork && block(b).starter == process) return true;
    for (const litmus::Operation& op : block(b).operations) {
      if (op.target == process || op.to_target == process) return true;
    }
  }
  return false;
}

spec::Backing Scene::backing_of(const litmus::Place& place) const {
  const litmus::Variable& variable = program_->variables[place.variable];
  spec::Backing backing{.shared = variable.shared};
  if (litmus::is_hugetlb(variable.kind)) backing.first = place.page;
  if (!litmus::maps_file(variable.kind)) return backing;
  backing.file = spec::FileNumber{variable.file};
  backing.first = static_cast<std::uint8_t>(variable.file_page + place.page);
  return backing;
}

std::uint8_t Scene::page_at(Vpn vpn) const {
  const std::uint32_t pages = program_->page_count();
  for (std::uint8_t page = 0; page < pages; ++page) {
    if (vpn_[page] == vpn) return page;
  }
  return litmus::kMaxPages;
}

std::string Scene::page_name(std::uint8_t page) const {
  for (const litmus::Variable& variable : program_->variables) {
    if (page < variable.first_page || page >= variable.first_page + variable.pages) continue;
    return variable.pages == 1 ? variable.name : fmt::format("{}[{}]", variable.name, page - variable.first_page);
  }
  return "?";
}

std::string Scene::agent_name(std::uint8_t b) const {
  if (block(b).kind != litmus::BlockKind::kProcess) return block(b).name;
  const std::uint8_t process = process_of(b);
  int thread = 0;
  for (std::uint8_t other = 0; other < b; ++other) {
    if (process_of(other) == process && other != process && block(other).kind == litmus::BlockKind::kProcess) ++thread;
  }
  if (b != process) ++thread;
  return fmt::format("{}/T{}", block(process).name, b == process ? 0 : thread);
}

}  // namespace cowherd::check
