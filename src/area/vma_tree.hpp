#pragma once

#include <cstdint>

#include "area/vma.hpp"
#include "base/ref.hpp"

namespace cowherd {

/// The VMAs of one address space, disjoint and ordered by address: a treap whose priorities are a hash of the address,
/// so that its shape is a function of what it holds. All takes time logarithmic in the number of VMAs.
///
/// A view on the root, which the owner keeps. It allocates nothing, and so cannot fail. Not thread-safe.
class VmaTree {
 public:
  VmaTree(ObjectSpace objects, Ref<Vma>& root) : objects_(objects), root_(root) {}

  /// The first VMA that ends after `page`; null if there is none. Compare Linux find_vma().
  [[nodiscard]] Ref<Vma> find(Vpn page) const;
  /// The VMA that holds `page`; null if none does.
  [[nodiscard]] Ref<Vma> at(Vpn page) const;
  /// The last VMA that ends at or before `page`; null if there is none.
  [[nodiscard]] Ref<Vma> before(Vpn page) const;
  /// The VMA after `vma`.
  [[nodiscard]] Ref<Vma> next(Ref<Vma> vma) const { return find(objects_.at(vma).pages.end); }
  [[nodiscard]] Ref<Vma> first() const { return find(Vpn{0}); }

  /// Precondition: `vma` overlaps nothing in the tree.
  void insert(Ref<Vma> vma);
  /// Precondition: `vma` is in the tree.
  void erase(Ref<Vma> vma);
  /// Takes out every VMA that begins in `range`, where none lies across an edge of it; they are returned as a list in
  /// address order, linked by `right`.
  Ref<Vma> take(PageRange range);
  /// Moves the end of `vma`, which is in the tree, up or down; precondition: it overlaps nothing then.
  void set_end(Ref<Vma> vma, Vpn end);

  /// The lowest hole of `count` pages within [from, end), or end.
  [[nodiscard]] Vpn find_hole(PageCount count, Vpn from, Vpn end) const;

 private:
  [[nodiscard]] Vma& vma(Ref<Vma> ref) const { return objects_.at(ref); }
  [[nodiscard]] std::uint64_t priority(Ref<Vma> ref) const;
  void recount(Ref<Vma> ref);
  struct Halves {
    Ref<Vma> below;
    Ref<Vma> above;
  };
  /// Parts the VMAs under `node` into those that begin before `at` and the rest.
  Halves split(Ref<Vma> node, Vpn at);
  /// One tree of two, the first of which lies before the second.
  Ref<Vma> join(Ref<Vma> below, Ref<Vma> above);
  [[nodiscard]] PageCount subtree_gap(Ref<Vma> ref) const {
    return ref ? PageCount{vma(ref).subtree_gap} : PageCount{0};
  }
  [[nodiscard]] Vpn end_of(Ref<Vma> ref) const { return ref ? vma(ref).pages.end : Vpn{0}; }
  /// The VMA before `ref` ends at `end_before` now. Null does nothing.
  void set_gap(Ref<Vma> ref, Vpn end_before);
  /// Recounts along the way from `node` to the VMA that begins at `begin`.
  void recount_path(Ref<Vma> node, Vpn begin);
  /// The first VMA after address `page` with at least `count` free pages before it.
  [[nodiscard]] Ref<Vma> first_after_gap(Ref<Vma> node, Vpn page, PageCount count) const;

  ObjectSpace objects_;
  Ref<Vma>& root_;

  friend class VmaWalk;
  friend class VmaTreeBuilder;
};

/// Goes over the VMAs of a tree in address order, with one step down or up to a VMA where next() searches from the
/// root. The tree must not change meanwhile. What it remembers follows from the tree and the VMA that it is at; where
/// it must not rely on that, because defects are looked for, it remembers nothing and searches too.
class VmaWalk {
 public:
  VmaWalk(VmaTree tree, bool remembers) : tree_(tree), remembers_(remembers) {
    if (remembers_) descend(tree_.root_);
  }

  /// The first VMA, then each one after the other; null after the last.
  Ref<Vma> next();

 private:
  static constexpr unsigned kMostAbove = 8;

  /// To the first VMA under `node` that begins at `from_` or after.
  void descend(Ref<Vma> node);

  VmaTree tree_;
  bool remembers_;
  /// Where the walk has gone left and comes back to: the lowest ones. The rest it finds from the root again.
  Ref<Vma> above_[kMostAbove];
  unsigned depth_ = 0;
  bool forgot_ = false;
  Vpn from_{0};
};

/// Builds an empty tree from VMAs that come in address order, in constant time for each on average. Until finish()
/// nobody may look at the tree.
///
/// The nodes on the right edge are those that may still get children: each has its parent in `right` meanwhile.
class VmaTreeBuilder {
 public:
  /// The state: nothing else is remembered between two calls.
  struct Edge {
    Ref<Vma> lowest;
    Ref<Vma> last;
  };

  VmaTreeBuilder(ObjectSpace objects, Edge& edge) : objects_(objects), edge_(edge) {}

  void append(Ref<Vma> added);
  void finish(Ref<Vma>& root);

 private:
  /// Gives the lowest node of the edge its right child, `below`, for good. Returns it.
  Ref<Vma> close(VmaTree& tree, Ref<Vma> below);

  ObjectSpace objects_;
  Edge& edge_;
};

}  // namespace cowherd
