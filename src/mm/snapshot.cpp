#include "cowherd/snapshot.hpp"

#include "mm/machine_impl.hpp"
#include "mm/reclaim.hpp"

namespace cowherd {

Result<Snapshot> AddressSpace::snapshot() {
  auto copy = fork(ForkMode::kSharedSubtrees);
  if (!copy) {
    return copy.error();
  }
  return Snapshot(*std::move(copy));
}

Result<void> AddressSpace::restore(const Snapshot& to) {
  if (to.space_.impl_ != impl_) {
    return Errno::kInvalid;
  }
  return at_border(
      mm::with_reclaim(impl_->system, [&] { return mm::restore(impl_->system, process_, to.space_.process_); }));
}

}  // namespace cowherd
