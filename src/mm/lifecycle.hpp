#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// An empty address space with one user. ENOMEM. Compare Linux kernel/fork.c: mm_alloc().
template <class G>
Result<Ref<Mm>> create_mm(System<G>& system);

/// Gives up one use; with the last everything in the address space goes. Compare Linux kernel/fork.c: mmput().
template <class G>
void put_mm(System<G>& system, Ref<Mm> mm);

/// One more use of the address space of `process`, for operations of others on it; null where it is exiting. put_mm()
/// gives it back.
/// Compare Linux kernel/fork.c: get_task_mm().
template <class G>
Ref<Mm> hold_mm(System<G>& system, ProcessId process);

/// As hold_mm(), of the process behind `at` in the list, or of the first one where that is null or gone; `at` is that
/// process then. Null: there is none behind it.
template <class G>
Ref<Mm> hold_next_mm(System<G>& system, Ref<Process>& at);

/// hold_mm() for a scope.
template <class G>
class HeldMm {
 public:
  HeldMm(System<G>& system, ProcessId process) : system_(system), ref_(hold_mm(system, process)) {}
  ~HeldMm() {
    if (ref_) put_mm(system_, ref_);
  }
  HeldMm(const HeldMm&) = delete;
  HeldMm& operator=(const HeldMm&) = delete;

  /// False: the process is exiting.
  explicit operator bool() const { return static_cast<bool>(ref_); }
  [[nodiscard]] Mm& mm() const { return system_.at(ref_); }
  /// For the state of a suspended operation.
  [[nodiscard]] const Ref<Mm>& ref() const { return ref_; }

 private:
  System<G>& system_;
  Ref<Mm> ref_;
};

/// A running process in `mm`, whose use it takes over. ENOMEM.
template <class G>
Result<Ref<Process>> create_process(System<G>& system, Ref<Mm> mm, Ref<Process> parent);

}  // namespace cowherd::mm
