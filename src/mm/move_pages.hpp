#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// Whether what mremap moves is not registered for userfaultfd at its new address, though it was at the old one.
inline bool leaves_registration(UffdFlags flags) {
  return flags != UffdFlags::kNone && !has(flags, UffdFlags::kEventRemap);
}

/// Empty tables, taken before anything has changed, for what must not fail later. What is left of them goes back with
/// it.
template <class G>
class TableReserve {
 public:
  explicit TableReserve(System<G>& system) : system_(system) {}
  ~TableReserve();
  TableReserve(const TableReserve&) = delete;
  TableReserve& operator=(const TableReserve&) = delete;

  /// ENOMEM: holds some of them.
  Result<void> fill(std::uint64_t tables);
  /// Precondition: there is one.
  FrameNumber take();

  /// For the state of a suspended operation: the first one; they are linked by their owners.
  [[nodiscard]] const FrameNumber& first() const { return first_; }

 private:
  System<G>& system_;
  FrameNumber first_{0};
};

/// Tables that move_pages() will make for `from` to go to the beginning of `target`, once the caller has removed
/// everything in `target`. No VMA lies across an edge of `from`.
template <class G>
std::uint64_t tables_for_move(System<G>& system, Mm& mm, PageRange from, PageRange target)
    COWHERD_REQUIRES(mm.mmap_lock);

/// Moves what is mapped at `from`, part of `vma`, to `to`, where nothing is: pages, their dirty bits, and what is said
/// of pins below their tables. The VMAs of both places are there and are on the same reverse maps; the tables of `from`
/// are the address space's own. Takes tables from `reserve`, and cannot fail. Needs the mmap lock for writing.
/// Compare Linux mm/mremap.c: move_page_tables().
template <class G>
void move_pages(System<G>& system, Mm& mm, Ref<Vma> vma, PageRange from, Vpn to, TableReserve<G>& reserve)
    COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
