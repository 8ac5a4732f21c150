#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

// Lists of objects that name their neighbours in `next` and `previous`.

template <class G, class T>
void push_front(System<G>& system, Ref<T>& head, Ref<T> added) {
  system.at(added).next = head;
  if (head) {
    system.at(head).previous = added;
  }
  head = added;
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
