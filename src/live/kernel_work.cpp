#include "live/kernel_work.hpp"

#include <fstream>

namespace cowherd::live {

namespace {

std::string advise_huge(Keeper& keeper) {
  constexpr const char* kEnabled = "/sys/kernel/mm/transparent_hugepage/enabled";
  std::ifstream file(kEnabled);
  std::string now;
  std::getline(file, now);
  if (now.find("[madvise]") != std::string::npos) return {};
  if (std::string problem = keeper.lock(kEnabled); !problem.empty()) return problem;
  return keeper.set_choice(kEnabled, "madvise");
}

}  // namespace

std::string KernelWork::open(const KernelUses& uses) {
  lacks_memory_ = false;
  if (uses.swap) {
    if (!swap_problem_) swap_problem_ = swap_.open(keeper_);
    if (!swap_problem_->empty()) return *swap_problem_;
  }
  if (uses.merging) {
    if (!merging_problem_) merging_problem_ = same_pages_.open(keeper_);
    if (!merging_problem_->empty()) return *merging_problem_;
  }
  if (uses.huge) {
    if (!huge_problem_) huge_problem_ = advise_huge(keeper_);
    if (!huge_problem_->empty()) return *huge_problem_;
  }
  // As large as this test says: the one before may have had another.
  if (uses.pool != 0) {
    std::string problem = pool_.open(keeper_, uses.pool, uses.exact_pool);
    lacks_memory_ = !problem.empty();
    if (lacks_memory_) return problem;
  }
  if (uses.rdma) {
    if (!rdma_problem_) rdma_problem_ = soft_roce_.open(keeper_);
    if (!rdma_problem_->empty()) return *rdma_problem_;
  }
  if (uses.disk) {
    if (!disk_problem_) disk_problem_ = disk_.open();
    if (!disk_problem_->empty()) return *disk_problem_;
  }
  return {};
}

void KernelWork::put_back() {
  keeper_.restore();
  swap_problem_.reset();
  merging_problem_.reset();
  disk_.close();
  disk_problem_.reset();
  pool_.close();
  huge_problem_.reset();
  rdma_problem_.reset();
}

}  // namespace cowherd::live
