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
  /// Moves the end of `vma`, which is in the tree, up or down; precondition: it overlaps nothing then.
  void set_end(Ref<Vma> vma, Vpn end);

  /// The lowest hole of `count` pages within [from, end), or end.
  [[nodiscard]] Vpn find_hole(PageCount count, Vpn from, Vpn end) const;

 private:
  [[nodiscard]] Vma& vma(Ref<Vma> ref) const { return objects_.at(ref); }
  [[nodiscard]] std::uint64_t priority(Ref<Vma> ref) const;
  [[nodiscard]] PageCount subtree_gap(Ref<Vma> ref) const { return ref ? vma(ref).subtree_gap : PageCount{0}; }
  /// Recounts the gaps before `ref` and along the way to it. Null does nothing.
  void refresh(Ref<Vma> ref);
  void refresh_path(Ref<Vma> node, Vpn begin);
  /// The first VMA after address `page` with at least `count` free pages before it.
  [[nodiscard]] Ref<Vma> first_after_gap(Ref<Vma> node, Vpn page, PageCount count) const;

  ObjectSpace objects_;
  Ref<Vma>& root_;
};

}  // namespace cowherd
