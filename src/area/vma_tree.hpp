#pragma once

#include <cstdint>

#include "area/vma.hpp"
#include "base/ref.hpp"

namespace cowherd {

/// The VMAs of one address space, disjoint and ordered by address: a treap whose priorities are a hash of the address,
/// so that its shape is a function of what it holds.
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

  /// The lowest hole of `count` pages within [from, end), or end.
  [[nodiscard]] Vpn find_hole(PageCount count, Vpn from, Vpn end) const;

 private:
  [[nodiscard]] Vma& vma(Ref<Vma> ref) const { return objects_.at(ref); }
  [[nodiscard]] std::uint64_t priority(Ref<Vma> ref) const;

  ObjectSpace objects_;
  Ref<Vma>& root_;
};

}  // namespace cowherd
