#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

// Lists of objects that name their neighbours in `next` and `previous`.

/// In an explored geometry the list is kept in order of its objects' places: two agents that add to it in either order
/// leave the same state.
template <class G, class T>
void insert(System<G>& system, Ref<T>& head, Ref<T> added) {
  Ref<T> before;
  Ref<T> after = head;
  if constexpr (G::kExplored) {
    for (; after && after.unit < added.unit; after = system.at(after).next) before = after;
  }
  system.at(added).previous = before;
  system.at(added).next = after;
  if (after) {
    system.at(after).previous = added;
  }
  if (before) {
    system.at(before).next = added;
  } else {
    head = added;
  }
}

/// Precondition: `gone` is in the list that begins at `head`.
template <class G, class T>
void unlink(System<G>& system, Ref<T>& head, Ref<T> gone) {
  const Ref<T> next = system.at(gone).next;
  const Ref<T> previous = system.at(gone).previous;
  if (previous) {
    system.at(previous).next = next;
  } else {
    head = next;
  }
  if (next) {
    system.at(next).previous = previous;
  }
}

}  // namespace cowherd::mm
