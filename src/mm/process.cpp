#include <atomic>
#include <utility>

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/lifecycle.hpp"
#include "mm/list.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// Precondition: the list lock is held.
template <class G>
void forget_process(System<G>& system, Ref<Process> gone) {
  unlink(system, system.processes(), gone);
  system.frames().destroy(gone);
}

/// Uses of an address space are counted from several threads.
std::uint16_t add_users(Mm& mm, std::int16_t users) {
  const auto step = static_cast<std::uint16_t>(users);
  return static_cast<std::uint16_t>(std::atomic_ref(mm.users).fetch_add(step, std::memory_order_acq_rel) + step);
}
bool last_user(Mm& mm) { return std::atomic_ref(mm.users).load(std::memory_order_acquire) == 1; }

}  // namespace

template <class G>
Result<Ref<Mm>> create_mm(System<G>& system) {
  auto made = system.frames().template make<Mm>();
  if (!made) {
    return made;
  }
  auto root = Tables<G>::create(system.frames());
  if (!root) {
    system.frames().destroy(*made);
    return root.error();
  }
  Mm& mm = system.at(*made);
  mm.root = *root;
  mm.users = 1;
  return made;
}

template <class G>
void put_mm(System<G>& system, Ref<Mm> ref) {
  Mm& mm = system.at(ref);
  if (add_users(mm, -1) != 0) {
    return;
  }
  Removed<G> removed(system, mm);
  const Live live(system, "put-mm", ref, removed.vmas, removed.tables, removed.flush.range());
  {
    const MmapWriteGuard<G> guard(system, mm);
    remove_vmas(system, mm, {Vpn{0}, Vpn{Geometry<G>::kUserPages}}, removed);
  }
  free_removed(system, removed);
  Tables<G>::destroy(system.frames(), mm.root);
  system.frames().destroy(ref);
}

template <class G>
Result<Ref<Process>> create_process(System<G>& system, Ref<Mm> mm, Ref<Process> parent) {
  auto made = system.frames().template make<Process>();
  if (!made) {
    return made;
  }
  Process& process = system.at(*made);
  process.mm = mm;
  process.parent = parent;
  const ListGuard<G> guard(system, true);
  insert(system, system.processes(), *made);
  return made;
}

template <class G>
Ref<Mm> hold_mm(System<G>& system, ProcessId id) {
  const ListGuard<G> guard(system, true);
  const Process& process = system.at(process_ref<G>(id));
  if (process.exiting) return {};
  (void)add_users(system.at(process.mm), 1);
  return process.mm;
}

template <class G>
Ref<Mm> hold_next_mm(System<G>& system, Ref<Process>& at) {
  const ListGuard<G> guard(system, true);
  Ref<Process> next = system.processes();
  for (Ref<Process> process = next; process && at; process = system.at(process).next) {
    if (process == at) next = system.at(process).next;
  }
  while (next && (system.at(next).exiting || !system.at(next).mm)) next = system.at(next).next;
  at = next;
  if (!next) return {};
  (void)add_users(system.at(system.at(next).mm), 1);
  return system.at(next).mm;
}

template <class G>
Result<ProcessId> spawn(System<G>& system) {
  COWHERD_TRY_ASSIGN(mm, create_mm(system));
  auto made = create_process(system, mm, {});
  if (!made) {
    put_mm(system, mm);
    return made.error();
  }
  return ProcessId{made->unit};
}

template <class G>
Result<ProcessId> vfork(System<G>& system, ProcessId parent) {
  const Ref<Process> caller = process_ref<G>(parent);
  const Ref<Mm> mm = system.at(caller).mm;
  COWHERD_TRY_ASSIGN(made, create_process(system, mm, caller));
  (void)add_users(system.at(mm), COWHERD_MUTANT(vfork_leaks_user) ? 2 : 1);
  system.at(made).suspends_parent = true;
  return ProcessId{made.unit};
}

template <class G>
bool suspended(System<G>& system, ProcessId process) {
  const ListGuard<G> guard(system, true);
  for (Ref<Process> other = system.processes(); other; other = system.at(other).next) {
    if (system.at(other).suspends_parent && system.at(other).parent == process_ref<G>(process)) {
      return true;
    }
  }
  return false;
}

template <class G>
Result<void> exec(System<G>& system, ProcessId id) {
  Process& process = system.at(process_ref<G>(id));
  if (last_user(system.at(process.mm)) && stuck(system.at(process.mm))) {
    return would_block(system, Point::kMmapLock);
  }
  COWHERD_TRY_ASSIGN(fresh, create_mm(system));
  Ref<Mm> old;
  {
    // Others may reach in from outside meanwhile, a debugger say. The old address space goes after the exchange:
    //
    //   exec                                 debugger
    //   give up the last use of the mm
    //                                        find the mm, take a use of it
    //   free it
    //
    // Allowed because who looks under this lock finds one that is still used.
    const ListGuard<G> guard(system, true);
    old = std::exchange(process.mm, fresh);
    process.suspends_parent = false;
  }
  if (!COWHERD_MUTANT(exec_keeps_old_memory)) put_mm(system, old);
  return {};
}

template <class G>
Result<void> exit(System<G>& system, ProcessId id) {
  const Ref<Process> gone = process_ref<G>(id);
  const Ref<Mm> mm = system.at(gone).mm;
  if (last_user(system.at(mm)) && stuck(system.at(mm))) {
    return would_block(system, Point::kMmapLock);
  }
  {
    // From now on nobody takes another use of the address space. The process has not exited() before that is gone.
    const ListGuard<G> guard(system, true);
    system.at(gone).exiting = true;
  }
  put_mm(system, mm);
  const ListGuard<G> guard(system);
  system.at(gone).mm = {};
  system.at(gone).suspends_parent = false;
  for (Ref<Process> child = system.processes(); child;) {
    const Ref<Process> next = system.at(child).next;
    if (system.at(child).parent == gone) {
      system.at(child).parent = {};
      if (!system.at(child).mm) {
        forget_process(system, child);
      }
    }
    child = next;
  }
  if (!system.at(gone).parent) {
    forget_process(system, gone);
  }
  return {};
}

template <class G>
Result<void> wait(System<G>& system, ProcessId parent, ProcessId child) {
  const ListGuard<G> guard(system);
  for (Ref<Process> other = system.processes(); other; other = system.at(other).next) {
    if (other == process_ref<G>(child) && system.at(other).parent == process_ref<G>(parent)) {
      if (system.at(other).mm) {
        return Errno::kWouldBlock;
      }
      forget_process(system, other);
      return {};
    }
  }
  return Errno::kNoChild;
}

template <class G>
void disown(System<G>& system, ProcessId child) {
  const ListGuard<G> guard(system, true);
  system.at(process_ref<G>(child)).parent = {};
}

template <class G>
bool exited(System<G>& system, ProcessId process) {
  const ListGuard<G> guard(system, true);
  return !system.at(process_ref<G>(process)).mm;
}

#define COWHERD_INSTANTIATE(G)                                                        \
  template Result<Ref<Mm>> create_mm<G>(System<G>&);                                  \
  template void put_mm<G>(System<G>&, Ref<Mm>);                                       \
  template Ref<Mm> hold_mm<G>(System<G>&, ProcessId);                                 \
  template Ref<Mm> hold_next_mm<G>(System<G>&, Ref<Process>&);                        \
  template Result<Ref<Process>> create_process<G>(System<G>&, Ref<Mm>, Ref<Process>); \
  template Result<ProcessId> spawn<G>(System<G>&);                                    \
  template Result<ProcessId> vfork<G>(System<G>&, ProcessId);                         \
  template bool suspended<G>(System<G>&, ProcessId);                                  \
  template Result<void> exec<G>(System<G>&, ProcessId);                               \
  template Result<void> exit<G>(System<G>&, ProcessId);                               \
  template Result<void> wait<G>(System<G>&, ProcessId, ProcessId);                    \
  template void disown<G>(System<G>&, ProcessId);                                     \
  template bool exited<G>(System<G>&, ProcessId);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
