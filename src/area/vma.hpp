#pragma once

#include <atomic>
#include <cstdint>

#include "base/ref.hpp"
#include "base/slab_kind.hpp"
#include "cowherd/flags.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

struct AnonVma;
struct AnonVmaChain;
struct FileMapping;
namespace mm {
struct Mm;
}

/// What is said of every page of a VMA. Compare Linux vm_flags.
struct VmaFlags {
  Protection protection = Protection::kNone;
  /// MADV_DONTFORK: the child does not get it (VM_DONTCOPY).
  bool dont_fork : 1 = false;
  /// MADV_WIPEONFORK: the child gets it empty.
  bool wipe_on_fork : 1 = false;
  /// MAP_SHARED: what is stored goes to the file (VM_SHARED).
  bool shared : 1 = false;
  /// Pages that have no entry count as written: the mapping is new, or has moved, since the last round of soft-dirty
  /// tracking began (VM_SOFTDIRTY). Neighbours that differ in it may merge.
  bool soft_dirty : 1 = false;
  /// mlock: what is mapped stays resident (VM_LOCKED). The child does not inherit it.
  bool locked : 1 = false;
  /// No reference is taken through an address, not even by force. Compare Linux memfd_secret().
  bool secret : 1 = false;
  /// MADV_MERGEABLE (VM_MERGEABLE).
  bool mergeable : 1 = false;
  /// MADV_HUGEPAGE (VM_HUGEPAGE).
  bool huge : 1 = false;
  /// Pages of the hugetlb pool (VM_HUGETLB); the VMA begins and ends with one.
  bool hugetlb : 1 = false;
  /// Of a hugetlb mapping: a page of the pool is promised to each place that has no entry, and was to each that has one
  /// (HPAGE_RESV_OWNER). A child does not inherit it.
  bool reserved : 1 = false;
  /// Which faults userfaultfd's handler decides. Compare Linux VM_UFFD_MISSING, VM_UFFD_WP, VM_UFFD_MINOR. As many bits
  /// as are left of a word.
  UffdFlags uffd : 14 = UffdFlags::kNone;

  /// For who comes by a reverse map, without a mmap lock: as of some moment.
  [[nodiscard]] Protection protection_unlocked() const {
    return std::atomic_ref(const_cast<Protection&>(protection)).load(std::memory_order_relaxed);
  }
  /// With the mmap lock held for writing.
  void set_protection(Protection now) { std::atomic_ref(protection).store(now, std::memory_order_relaxed); }

  [[nodiscard]] bool like(const VmaFlags& other) const {
    return protection == other.protection && dont_fork == other.dont_fork && wipe_on_fork == other.wipe_on_fork &&
           locked == other.locked && secret == other.secret && mergeable == other.mergeable && huge == other.huge &&
           hugetlb == other.hugetlb && reserved == other.reserved && uffd == other.uffd;
  }
};

/// A number of pages of user space, in five bytes that need no alignment.
class UserPages {
 public:
  constexpr UserPages() = default;
  constexpr UserPages(PageCount pages) {  // NOLINT(google-explicit-constructor): it is one
    for (unsigned i = 0; i < sizeof bytes_; ++i) bytes_[i] = static_cast<std::uint8_t>(pages.value() >> (8 * i));
  }
  constexpr operator PageCount() const {  // NOLINT(google-explicit-constructor)
    std::uint64_t pages = 0;
    for (unsigned i = 0; i < sizeof bytes_; ++i) pages |= std::uint64_t{bytes_[i]} << (8 * i);
    return PageCount{pages};
  }

 private:
  std::uint8_t bytes_[5] = {};
};

/// A run of pages of an address space that are mapped alike. Compare Linux struct vm_area_struct.
struct Vma {
  static constexpr SlabKind kSlab = SlabKind::kVma;

  PageRange pages;
  /// The index by which reverse maps know the first page, and the file's page where there is a file (Linux: vm_pgoff).
  /// Pages keep theirs when the VMA is split.
  Vpn index;
  Ref<mm::Mm> mm;
  Ref<AnonVma> anon_vma;
  /// First of the chain that links this VMA to every anon_vma its pages may belong to.
  Ref<AnonVmaChain> chain;
  /// Its place on the list of the file that it maps; null where it maps none.
  Ref<FileMapping> mapping;
  VmaFlags flags;
  // What the tree keeps (vma_tree.hpp).
  Ref<Vma> left;
  Ref<Vma> right;
  /// Free pages between the VMA before and this one, and the most of them within this subtree (Linux: rb_subtree_gap).
  UserPages gap;
  UserPages subtree_gap;

  /// As it is now: a fault may give the VMA its first while others look.
  [[nodiscard]] Ref<AnonVma> own_anon_vma() const {
    return {std::atomic_ref(const_cast<std::uint32_t&>(anon_vma.unit)).load(std::memory_order_acquire)};
  }
  void set_own_anon_vma(Ref<AnonVma> own) { std::atomic_ref(anon_vma.unit).store(own.unit, std::memory_order_release); }
  [[nodiscard]] Vpn index_of(Vpn page) const { return index + (page - pages.begin); }
};

static_assert(sizeof(Vma) <= 64 && sizeof(VmaFlags) == 4);

}  // namespace cowherd
