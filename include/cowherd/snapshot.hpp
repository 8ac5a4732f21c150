#pragma once

#include <utility>

#include "cowherd/machine.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

/// An address space as it was at one moment, kept to be restored: take, run, restore, run, ... drop. It is a fork that
/// nobody runs in, so it shares every page until somebody writes it, and costs and leaves out what fork() does: ranges
/// with Advice::kDontFork are not in it, those with kWipeOnFork are empty.
///
/// Pins. A page that is pinned when the snapshot is taken is copied at once: the pin stays with the address space, and
/// what its device writes later is not in the snapshot. restore() is a new set of mappings, as an exec and a fork are:
/// the address space gives up every page that it had, pinned or not, and maps those of the snapshot. So pins that were
/// taken before keep their pages, as after unmap(): they are the devices' alone then, and who wants a device to see
/// the restored memory pins it anew. A snapshot itself is never pinned, since nobody reaches its pages by an address.
///
/// It belongs to the machine, not to the address space: it may be restored into another one, and by several threads at
/// once, and outlive the one that it was taken of. It must go before its Machine does.
class Snapshot {
 public:
  /// Anonymous pages in it.
  [[nodiscard]] PageCount resident() const { return space_.resident(); }

 private:
  friend class AddressSpace;
  explicit Snapshot(AddressSpace space) : space_(std::move(space)) {}

  AddressSpace space_;
};

}  // namespace cowherd
