#include "area/vma_tree.hpp"

namespace cowherd {

std::uint64_t VmaTree::priority(Ref<Vma> ref) const {
  // The finaliser of SplitMix64: a bijection, so that no two addresses tie.
  std::uint64_t mixed = vma(ref).pages.begin.value() + 0x9E3779B97F4A7C15;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
  return mixed ^ (mixed >> 31);
}

Ref<Vma> VmaTree::find(Vpn page) const {
  Ref<Vma> found;
  for (Ref<Vma> node = root_; node;) {
    if (vma(node).pages.end > page) {
      found = node;
      node = vma(node).left;
    } else {
      node = vma(node).right;
    }
  }
  return found;
}

Ref<Vma> VmaTree::at(Vpn page) const {
  const Ref<Vma> found = find(page);
  return found && vma(found).pages.begin <= page ? found : Ref<Vma>{};
}

Ref<Vma> VmaTree::before(Vpn page) const {
  Ref<Vma> found;
  for (Ref<Vma> node = root_; node;) {
    if (vma(node).pages.end <= page) {
      found = node;
      node = vma(node).right;
    } else {
      node = vma(node).left;
    }
  }
  return found;
}

void VmaTree::insert(Ref<Vma> added) {
  Ref<Vma>* link = &root_;
  while (*link && priority(*link) > priority(added)) {
    link = vma(added).pages.begin < vma(*link).pages.begin ? &vma(*link).left : &vma(*link).right;
  }
  // Split the subtree at the new address: what lies below goes to the left of the new node, the rest to its right.
  Ref<Vma> rest = *link;
  *link = added;
  Ref<Vma>* below = &vma(added).left;
  Ref<Vma>* above = &vma(added).right;
  while (rest) {
    if (vma(rest).pages.begin < vma(added).pages.begin) {
      *below = rest;
      below = &vma(rest).right;
      rest = *below;
    } else {
      *above = rest;
      above = &vma(rest).left;
      rest = *above;
    }
  }
  *below = {};
  *above = {};
}

void VmaTree::erase(Ref<Vma> gone) {
  Ref<Vma>* link = &root_;
  while (*link != gone) {
    link = vma(gone).pages.begin < vma(*link).pages.begin ? &vma(*link).left : &vma(*link).right;
  }
  Ref<Vma> left = vma(gone).left;
  Ref<Vma> right = vma(gone).right;
  while (left && right) {
    if (priority(left) > priority(right)) {
      *link = left;
      link = &vma(left).right;
      left = *link;
    } else {
      *link = right;
      link = &vma(right).left;
      right = *link;
    }
  }
  *link = left ? left : right;
  vma(gone).left = {};
  vma(gone).right = {};
}

Vpn VmaTree::find_hole(PageCount count, Vpn from, Vpn end) const {
  Vpn candidate = from;
  for (Ref<Vma> next_vma = find(candidate); next_vma; next_vma = next(next_vma)) {
    if (vma(next_vma).pages.begin >= candidate + count) {
      break;
    }
    candidate = vma(next_vma).pages.end;
  }
  return candidate + count <= end ? candidate : end;
}

}  // namespace cowherd
