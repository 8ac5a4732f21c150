#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "base/schedule.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// What operations say where they share. Under threads of the host all of it is nothing.

/// Any other agent may run here.
template <class G>
void point(System<G>& system, Point next) {
  if constexpr (G::kExplored) {
    if (Scheduler* scheduler = system.scheduler()) scheduler->point(next);
  }
}

/// Whether the running agent is alone with `mm`: nobody else can tell in which order it does things there.
/// An agent that touches the address space of another one that is said to be alone is an error of whoever said so.
template <class G>
bool alone(System<G>& system, const Mm& mm) {
  if constexpr (G::kExplored) {
    Scheduler* scheduler = system.scheduler();
    if (scheduler == nullptr || mm.sole_agent == 0) return false;
    if (mm.sole_agent != scheduler->agent().number) {
      system.report(Violation::kUnguarded);
      return false;
    }
    return true;
  }
  return false;
}

/// Of the running agent, 0 where there is no scheduler.
template <class G>
std::uint8_t agent_number(System<G>& system) {
  return system.scheduler() != nullptr ? system.scheduler()->agent().number : std::uint8_t{0};
}

/// As point(), for what only agents in `mm` can see.
template <class G>
void point(System<G>& system, const Mm& mm, Point next) {
  if constexpr (G::kExplored) {
    if (system.scheduler() != nullptr && !alone(system, mm)) system.scheduler()->point(next);
  }
}

/// The running agent waits until `ready(what)`. False: nobody could make it so, since operations run to their end.
template <class G, class T>
bool wait_until(System<G>& system, Point next, const T& what, bool (*ready)(const T&)) {
  if constexpr (G::kExplored) {
    if (Scheduler* scheduler = system.scheduler()) {
      struct Question {
        const T* what;
        bool (*ready)(const T&);
      };
      const Question question{&what, ready};
      (void)scheduler->suspend(
          next,
          [](const void* asked) {
            const auto* q = static_cast<const Question*>(asked);
            return q->ready(*q->what) ? 1u : 0u;
          },
          &question);
      return true;
    }
  }
  return ready(what);
}

/// What an operation returns that has to wait for what no other operation will do. Under a scheduler it waits for ever.
template <class G>
Errno would_block(System<G>& system, Point next) {
  if constexpr (G::kExplored) {
    while (system.scheduler() != nullptr) {
      (void)system.scheduler()->suspend(
          next, [](const void*) { return 0u; }, nullptr);
    }
  }
  return Errno::kWouldBlock;
}

/// Declares which locals the rest of a scope needs (LiveScope). They are looked at whenever the operation is suspended,
/// and must not hold pointers.
template <class G, class... Locals>
class Live {
 public:
  static_assert((std::has_unique_object_representations_v<Locals> && ...), "equal values have equal bytes");
  static_assert((!std::is_pointer_v<Locals> && ...), "a state has no addresses");

  Live(System<G>& system, const char* scope, const Locals&... locals) {
    if constexpr (G::kExplored) {
      if (Scheduler* scheduler = system.scheduler()) {
        agent_ = &scheduler->agent();
        locals_ = {LiveScope::Local{&locals, sizeof(Locals)}...};
        scope_ = {agent_->live, hash_of_name(scope), sizeof...(Locals), locals_.data()};
        agent_->live = &scope_;
      }
    }
  }
  ~Live() {
    if constexpr (G::kExplored) {
      if (agent_ != nullptr) agent_->live = scope_.outer;
    }
  }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

 private:
  struct Nothing {};
  template <class T>
  using IfExplored = std::conditional_t<G::kExplored, T, Nothing>;

  [[no_unique_address]] IfExplored<AgentContext*> agent_{};
  [[no_unique_address]] IfExplored<std::array<LiveScope::Local, sizeof...(Locals)>> locals_{};
  [[no_unique_address]] IfExplored<LiveScope> scope_{};
};
template <class G, class... Locals>
Live(System<G>&, const char*, const Locals&...) -> Live<G, Locals...>;

}  // namespace cowherd::mm
