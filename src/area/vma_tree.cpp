#include "area/vma_tree.hpp"

#include <algorithm>
#include <utility>

#include "base/mutant.hpp"

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
  // Whoever has other children now lies on the way to one of these.
  const Ref<Vma> previous = before(vma(added).pages.begin);
  if (previous) recount_path(root_, vma(previous).pages.begin);
  set_gap(added, end_of(previous));
  set_gap(next(added), vma(added).pages.end);
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
  const Ref<Vma> previous = before(vma(gone).pages.begin);
  if (previous) recount_path(root_, vma(previous).pages.begin);
  set_gap(find(vma(gone).pages.begin), end_of(previous));
}

VmaTree::Halves VmaTree::split(Ref<Vma> node, Vpn at) {
  if (!node) return {};
  Halves halves;
  if (vma(node).pages.begin < at) {
    halves = split(vma(node).right, at);
    vma(node).right = halves.below;
    halves.below = node;
  } else {
    halves = split(vma(node).left, at);
    vma(node).left = halves.above;
    halves.above = node;
  }
  recount(node);
  return halves;
}

Ref<Vma> VmaTree::join(Ref<Vma> below, Ref<Vma> above) {
  if (!below || !above) return below ? below : above;
  if (priority(below) > priority(above)) {
    vma(below).right = join(vma(below).right, above);
    recount(below);
    return below;
  }
  vma(above).left = join(below, vma(above).left);
  recount(above);
  return above;
}

Ref<Vma> VmaTree::take(PageRange range) {
  const Halves outer = split(root_, range.begin);
  const Halves inner = split(outer.above, range.end);
  root_ = join(outer.below, inner.above);
  set_gap(find(range.end), end_of(before(range.begin)));
  // Turns the subtree of what goes to the right until it is a list.
  Ref<Vma> first;
  Ref<Vma>* link = &first;
  for (Ref<Vma> rest = inner.below; rest;) {
    if (const Ref<Vma> left = vma(rest).left) {
      vma(rest).left = vma(left).right;
      vma(left).right = rest;
      rest = left;
    } else {
      *link = rest;
      link = &vma(rest).right;
      rest = vma(rest).right;
    }
  }
  return first;
}

void VmaTree::set_end(Ref<Vma> changed, Vpn end) {
  vma(changed).pages.end = end;
  if (!COWHERD_MUTANT(merge_keeps_gap)) set_gap(next(changed), end);
}

void VmaTree::set_gap(Ref<Vma> ref, Vpn end_before) {
  if (!ref) return;
  vma(ref).gap = vma(ref).pages.begin - end_before;
  recount_path(root_, vma(ref).pages.begin);
}

void VmaTree::recount_path(Ref<Vma> node, Vpn begin) {
  if (vma(node).pages.begin != begin) {
    recount_path(begin < vma(node).pages.begin ? vma(node).left : vma(node).right, begin);
  }
  recount(node);
}

void VmaTree::recount(Ref<Vma> ref) {
  vma(ref).subtree_gap = std::max({PageCount{vma(ref).gap}, subtree_gap(vma(ref).left), subtree_gap(vma(ref).right)});
}

Ref<Vma> VmaTree::first_after_gap(Ref<Vma> node, Vpn page, PageCount count) const {
  if (subtree_gap(node) < count) {
    return {};
  }
  if (vma(node).pages.begin > page) {
    if (const Ref<Vma> found = first_after_gap(vma(node).left, page, count)) {
      return found;
    }
    if (PageCount{vma(node).gap} >= count) {
      return node;
    }
  }
  return first_after_gap(vma(node).right, page, count);
}

Vpn VmaTree::find_hole(PageCount count, Vpn from, Vpn end) const {
  Vpn candidate = from;
  Ref<Vma> after = find(candidate);
  if (after && vma(after).pages.begin <= candidate) {
    candidate = vma(after).pages.end;
    after = next(after);
  }
  if (after && vma(after).pages.begin < candidate + count) {
    const Ref<Vma> found = first_after_gap(root_, vma(after).pages.begin, count);
    candidate =
        found ? vma(found).pages.begin - PageCount{vma(found).gap} : vma(before(Vpn{~std::uint64_t{0}})).pages.end;
  }
  return candidate + count <= end ? candidate : end;
}

void VmaWalk::descend(Ref<Vma> node) {
  while (node) {
    if (tree_.vma(node).pages.begin < from_) {
      node = tree_.vma(node).right;
      continue;
    }
    if (depth_ == kMostAbove) {
      std::copy(above_ + 1, above_ + kMostAbove, above_);
      --depth_;
      forgot_ = true;
    }
    above_[depth_++] = node;
    node = tree_.vma(node).left;
  }
}

Ref<Vma> VmaWalk::next() {
  if (!remembers_) {
    const Ref<Vma> found = tree_.find(from_);
    if (found) from_ = tree_.vma(found).pages.end;
    return found;
  }
  if (depth_ == 0 && std::exchange(forgot_, false)) descend(tree_.root_);
  if (depth_ == 0) return {};
  const Ref<Vma> found = above_[--depth_];
  from_ = tree_.vma(found).pages.end;
  descend(tree_.vma(found).right);
  return found;
}

Ref<Vma> VmaTreeBuilder::close(VmaTree& tree, Ref<Vma> below) {
  const Ref<Vma> closed = edge_.lowest;
  edge_.lowest = objects_.at(closed).right;
  objects_.at(closed).right = below;
  tree.recount(closed);
  return closed;
}

void VmaTreeBuilder::append(Ref<Vma> added) {
  Ref<Vma> nothing;
  VmaTree tree(objects_, nothing);
  Vma& vma = objects_.at(added);
  vma.gap = vma.pages.begin - (edge_.last ? objects_.at(edge_.last).pages.end : Vpn{0});
  Ref<Vma> below;
  while (edge_.lowest && tree.priority(edge_.lowest) < tree.priority(added)) below = close(tree, below);
  vma.left = below;
  vma.right = edge_.lowest;
  edge_ = {added, added};
}

void VmaTreeBuilder::finish(Ref<Vma>& root) {
  VmaTree tree(objects_, root);
  root = {};
  while (edge_.lowest) root = close(tree, root);
  edge_ = {};
}

}  // namespace cowherd
