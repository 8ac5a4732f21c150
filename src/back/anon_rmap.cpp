#include "back/anon_rmap.hpp"

#include "base/mutant.hpp"
#include "base/try.hpp"

namespace cowherd {

namespace {

template <class G>
void link(Frames<G>& frames, Ref<AnonVmaChain> added, Ref<Vma> vma, Ref<AnonVma> anon_vma) {
  AnonVma& list = frames.at(anon_vma);
  AnonVmaChain& chain = frames.at(added);
  chain.vma = vma;
  chain.anon_vma = anon_vma;
  chain.next_of_vma = frames.at(vma).chain;
  chain.next_of_anon_vma = list.first;
  frames.at(vma).chain = added;
  if (list.first) {
    frames.at(list.first).previous_of_anon_vma = added;
  }
  list.first = added;
  ++list.chains;
}

/// Puts `to`, which has no chains, on every list that `from` is on; or on none.
template <class G>
Result<void> link_all(Frames<G>& frames, Ref<Vma> to, Ref<Vma> from) {
  for (Ref<AnonVmaChain> chain = frames.at(from).chain; chain; chain = frames.at(chain).next_of_vma) {
    auto copy = frames.template make<AnonVmaChain>();
    if (!copy) {
      unlink_anon_vmas(frames, to);
      free_unlinked(frames, to);
      return copy.error();
    }
    link(frames, *copy, to, frames.at(chain).anon_vma);
  }
  return {};
}

template <class G>
void make_own(Frames<G>& frames, Ref<Vma> vma, Ref<AnonVma> anon_vma) {
  ++frames.at(anon_vma).active;
  frames.at(vma).set_own_anon_vma(anon_vma);
}

template <class G>
bool is_on_list(const Frames<G>& frames, Ref<Vma> vma, Ref<AnonVma> anon_vma) {
  Ref<AnonVmaChain> chain = frames.at(vma).chain;
  while (chain && frames.at(chain).anon_vma != anon_vma) chain = frames.at(chain).next_of_vma;
  return static_cast<bool>(chain);
}

/// Makes `anon_vma`, which `vma` is not on the list of, its own; a fresh one where that is null. ENOMEM.
template <class G>
Result<void> link_own(Frames<G>& frames, Ref<Vma> vma, Ref<AnonVma> anon_vma) {
  if (!anon_vma) {
    return anon_vma_prepare(frames, vma);
  }
  COWHERD_TRY_ASSIGN(chain, frames.template make<AnonVmaChain>());
  link(frames, chain, vma, anon_vma);
  make_own(frames, vma, anon_vma);
  return {};
}

/// Among those that `vma` is on the list of: one that nobody gives birth in any more. Null if there is none. With more
/// than one child its list is that of a whole family, and no place for the pages of one.
template <class G>
Ref<AnonVma> find_deserted(Frames<G>& frames, Ref<Vma> vma) {
  for (Ref<AnonVmaChain> chain = frames.at(vma).chain; chain; chain = frames.at(chain).next_of_vma) {
    const AnonVma& candidate = frames.at(frames.at(chain).anon_vma);
    if (candidate.active == 0 && candidate.children < 2) {
      return frames.at(chain).anon_vma;
    }
  }
  return {};
}

}  // namespace

template <class G>
Result<FreshAnonVma> make_anon_vma(Frames<G>& frames) {
  auto anon_vma = frames.template make<AnonVma>();
  if (!anon_vma) {
    return anon_vma.error();
  }
  auto chain = frames.template make<AnonVmaChain>();
  if (!chain) {
    frames.destroy(*anon_vma);
    return chain.error();
  }
  frames.at(*anon_vma).root = *anon_vma;
  return FreshAnonVma{*anon_vma, *chain};
}

template <class G>
void destroy_fresh(Frames<G>& frames, FreshAnonVma fresh) {
  frames.destroy(fresh.chain);
  frames.destroy(fresh.anon_vma);
}

template <class G>
void adopt_fresh(Frames<G>& frames, Ref<Vma> vma, FreshAnonVma fresh) {
  link(frames, fresh.chain, vma, fresh.anon_vma);
  make_own(frames, vma, fresh.anon_vma);
}

template <class G>
Result<void> anon_vma_prepare(Frames<G>& frames, Ref<Vma> vma) {
  if (frames.at(vma).anon_vma) {
    return {};
  }
  COWHERD_TRY_ASSIGN(fresh, make_anon_vma(frames));
  adopt_fresh(frames, vma, fresh);
  return {};
}

template <class G>
Result<void> anon_vma_clone(Frames<G>& frames, Ref<Vma> to, Ref<Vma> from) {
  if (auto linked = link_all(frames, to, from); !linked) {
    return linked;
  }
  if (frames.at(from).anon_vma) {
    make_own(frames, to, frames.at(from).anon_vma);
  }
  return {};
}

template <class G>
Result<void> anon_vma_fork(Frames<G>& frames, Ref<Vma> child, Ref<Vma> parent, TakeOver take_over,
                           ForkedAnonVma& last) {
  const Ref<AnonVma> parents = frames.at(parent).anon_vma;
  if (!parents) {
    return {};
  }
  if (auto linked = link_all(frames, child, parent); !linked) {
    return linked;
  }
  const bool together = last.parents == parents;
  Ref<AnonVma> taken;
  if (together) {
    taken = last.childs;
  } else if (take_over == TakeOver::kAllowed) {
    taken = find_deserted(frames, child);
  }
  const bool listed = taken && is_on_list(frames, child, taken);
  if (auto own = listed ? Result<void>() : link_own(frames, child, taken); !own) {
    unlink_anon_vmas(frames, child);
    if (!COWHERD_MUTANT(failed_fork_leaks_chains)) free_unlinked(frames, child);
    return own;
  }
  if (listed) make_own(frames, child, taken);
  last = {parents, frames.at(child).anon_vma};
  if (!taken) {
    AnonVma& own = frames.at(last.childs);
    own.parent = parents;
    own.root = frames.at(parents).root;
    ++frames.at(parents).children;
  }
  return {};
}

template <class G>
void anon_vma_adopt(Frames<G>& frames, Ref<Vma> to, Ref<Vma> from) {
  for (Ref<AnonVmaChain> chain = frames.at(from).chain; chain; chain = frames.at(chain).next_of_vma) {
    frames.at(chain).vma = to;
  }
  frames.at(to).chain = frames.at(from).chain;
  frames.at(to).anon_vma = frames.at(from).anon_vma;
  frames.at(from).chain = {};
  frames.at(from).anon_vma = {};
}

template <class G>
void unlink_anon_vmas(Frames<G>& frames, Ref<Vma> vma) {
  if (frames.at(vma).anon_vma) {
    --frames.at(frames.at(vma).anon_vma).active;
    frames.at(vma).anon_vma = {};
  }
  // An anon_vma and its parent may both go here, in any order: first the counts, then the objects.
  for (Ref<AnonVmaChain> ref = frames.at(vma).chain; ref; ref = frames.at(ref).next_of_vma) {
    AnonVmaChain& chain = frames.at(ref);
    AnonVma& list = frames.at(chain.anon_vma);
    if (chain.previous_of_anon_vma) {
      frames.at(chain.previous_of_anon_vma).next_of_anon_vma = chain.next_of_anon_vma;
    } else {
      list.first = chain.next_of_anon_vma;
    }
    if (chain.next_of_anon_vma) {
      frames.at(chain.next_of_anon_vma).previous_of_anon_vma = chain.previous_of_anon_vma;
    }
    if (--list.chains != 0 && !COWHERD_MUTANT(anon_vma_freed_early)) {
      // Somebody else's now; who drops the last chain frees it.
      chain.anon_vma = {};
    } else if (list.parent) {
      --frames.at(list.parent).children;
    }
  }
}

template <class G>
void free_unlinked(Frames<G>& frames, Ref<Vma> vma) {
  while (const Ref<AnonVmaChain> gone = frames.at(vma).chain) {
    const Ref<AnonVma> anon_vma = frames.at(gone).anon_vma;
    frames.at(vma).chain = frames.at(gone).next_of_vma;
    frames.destroy(gone);
    if (anon_vma) {
      frames.destroy(anon_vma);
    }
  }
}

#define COWHERD_INSTANTIATE(G)                                                                      \
  template Result<void> anon_vma_prepare<G>(Frames<G>&, Ref<Vma>);                                  \
  template Result<void> anon_vma_clone<G>(Frames<G>&, Ref<Vma>, Ref<Vma>);                          \
  template Result<void> anon_vma_fork<G>(Frames<G>&, Ref<Vma>, Ref<Vma>, TakeOver, ForkedAnonVma&); \
  template void anon_vma_adopt<G>(Frames<G>&, Ref<Vma>, Ref<Vma>);                                  \
  template void unlink_anon_vmas<G>(Frames<G>&, Ref<Vma>);                                          \
  template void free_unlinked<G>(Frames<G>&, Ref<Vma>);                                             \
  template Result<FreshAnonVma> make_anon_vma<G>(Frames<G>&);                                       \
  template void destroy_fresh<G>(Frames<G>&, FreshAnonVma);                                         \
  template void adopt_fresh<G>(Frames<G>&, Ref<Vma>, FreshAnonVma);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
