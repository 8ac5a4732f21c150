#pragma once

#include <cstdint>

#include "area/vma.hpp"
#include "base/lock_word.hpp"
#include "base/ref.hpp"
#include "cowherd/result.hpp"
#include "frame/frames.hpp"

namespace cowherd {

/// All VMAs in which a set of anonymous pages may be mapped: those of the address space where the pages were born and
/// of every one forked from it since. Compare Linux struct anon_vma.
struct AnonVma {
  static constexpr SlabKind kSlab = SlabKind::kAnonVma;

  /// Chains that name it; freed with the last one.
  std::uint32_t chains = 0;
  /// VMAs whose own it is: where its next page may be born (Linux: num_active_vmas).
  std::uint32_t active = 0;
  /// Anon_vmas made for children of its VMAs that are still there.
  std::uint32_t children = 0;
  /// The one that it was made a child of. It lives as long: who is on this list is on that one too.
  Ref<AnonVma> parent;
  Ref<AnonVmaChain> first;
  /// The oldest of its line, itself for the first; it lives as long as the parent does. Its lock guards the lists of
  /// the whole family. Compare Linux: anon_vma->root->rwsem.
  Ref<AnonVma> root;
  LockWord lock;
};

/// One VMA on the list of one anon_vma. Compare Linux struct anon_vma_chain.
struct AnonVmaChain {
  static constexpr SlabKind kSlab = SlabKind::kAnonVmaChain;

  Ref<Vma> vma;
  Ref<AnonVma> anon_vma;
  Ref<AnonVmaChain> next_of_vma;
  Ref<AnonVmaChain> next_of_anon_vma;
  Ref<AnonVmaChain> previous_of_anon_vma;
};

// Changes to the lists of a family need its root's lock for writing, walks along them for reading.

/// An anon_vma that nobody knows yet, and the chain that is to link it.
struct FreshAnonVma {
  Ref<AnonVma> anon_vma;
  Ref<AnonVmaChain> chain;
};
/// ENOMEM, and then nothing was made.
template <class G>
Result<FreshAnonVma> make_anon_vma(Frames<G>& frames);
template <class G>
void destroy_fresh(Frames<G>& frames, FreshAnonVma fresh);
/// Makes `fresh` the own anon_vma of `vma`, which has none.
template <class G>
void adopt_fresh(Frames<G>& frames, Ref<Vma> vma, FreshAnonVma fresh);

/// Gives `vma` an anon_vma of its own, if it has none. ENOMEM. For a VMA that nobody else can reach.
/// Compare Linux mm/rmap.c: __anon_vma_prepare().
template <class G>
Result<void> anon_vma_prepare(Frames<G>& frames, Ref<Vma> vma);

/// The anon_vma whose lock guards the lists that `vma` is on; null if it is on none.
template <class G>
Ref<AnonVma> anon_vma_root(const Frames<G>& frames, Ref<Vma> vma) {
  const Ref<AnonVmaChain> chain = frames.at(vma).chain;
  return chain ? frames.at(frames.at(chain).anon_vma).root : Ref<AnonVma>{};
}

/// Puts `to`, which has no chains, on the list of every anon_vma that `from` is on. ENOMEM, and then on none.
/// Compare Linux mm/rmap.c: anon_vma_clone().
template <class G>
Result<void> anon_vma_clone(Frames<G>& frames, Ref<Vma> to, Ref<Vma> from);

/// Whether a child may take over an anon_vma that no living VMA gives birth in.
enum class TakeOver : std::uint8_t { kAllowed, kForbidden };

/// The anon_vma of the parent's VMA that anon_vma_fork() was last called for, and the one of the child's.
struct ForkedAnonVma {
  Ref<AnonVma> parents;
  Ref<AnonVma> childs;
};

/// As anon_vma_clone() for the child's VMA at fork, which also gets an anon_vma of its own for the pages born in it. In
/// a line of processes that fork and exit that is one whose own VMA is gone: else each generation would add one to the
/// chains of all that follow. Who tells first owners apart by anon_vma has to forbid it. VMAs that were split, and so
/// have one anon_vma in the parent, have one in the child too, where they come one after the other: `last` is from the
/// call before for the same child. Compare Linux mm/rmap.c: anon_vma_fork().
template <class G>
Result<void> anon_vma_fork(Frames<G>& frames, Ref<Vma> child, Ref<Vma> parent, TakeOver take_over, ForkedAnonVma& last);

/// Moves all chains of `from` to `to`, which has none: the VMAs are being merged.
template <class G>
void anon_vma_adopt(Frames<G>& frames, Ref<Vma> to, Ref<Vma> from);

/// Takes `vma` off every list. What nobody else needs stays with it for free_unlinked(), which needs no lock: the
/// root, and with it the lock, may be part of that. Compare Linux mm/rmap.c: unlink_anon_vmas().
template <class G>
void unlink_anon_vmas(Frames<G>& frames, Ref<Vma> vma);
template <class G>
void free_unlinked(Frames<G>& frames, Ref<Vma> vma);

/// Calls `visit(vma, page)` for every VMA and page at which `frame` may be mapped; whether it is, the caller looks up.
/// Precondition: `frame` was mapped when the caller took his reference. Compare Linux mm/rmap.c: rmap_walk_anon().
template <class G, class Visit>
void rmap_walk(const Frames<G>& frames, FrameNumber frame, Visit&& visit) {
  const FrameDescriptor& descriptor = frames.descriptor(frame);
  const Ref<AnonVma> anon_vma{descriptor.owner()};
  if (!anon_vma || descriptor.poisoned()) {
    return;
  }
  for (Ref<AnonVmaChain> chain = frames.at(anon_vma).first; chain; chain = frames.at(chain).next_of_anon_vma) {
    const Ref<Vma> ref = frames.at(chain).vma;
    const Vma& vma = frames.at(ref);
    if (descriptor.index() >= vma.index && descriptor.index() - vma.index < vma.pages.count()) {
      visit(ref, vma.pages.begin + (descriptor.index() - vma.index));
    }
  }
}

}  // namespace cowherd
