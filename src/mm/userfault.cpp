#include "mm/userfault.hpp"

#include "base/mutant.hpp"
#include "mm/files.hpp"

namespace cowherd::mm {

namespace {

/// Of a page that nothing maps here. What a file has is asked without its lock: who brings a page in, or takes it out,
/// changes what the next fault comes to.
template <class G>
bool is_missing(System<G>& system, const Vma& vma, Vpn page) {
  if (!vma.mapping) return has(vma.flags.uffd, UffdFlags::kMissing);
  const Ref<File> file = file_of(system, vma);
  const auto index = static_cast<std::uint32_t>(vma.index_of(page).value());
  if (index >= system.at(file).size()) return false;
  // Or in swap: it is not missing there.
  const bool cached = !find_place(system.frames(), system.at(file), index).none();
  return has(vma.flags.uffd, cached ? UffdFlags::kMinor : UffdFlags::kMissing);
}

/// What a thread waits for that has met such a fault.
template <class G>
struct Question {
  System<G>& system;
  Mm& mm;
  Vpn page;
  FaultKind kind;

  [[nodiscard]] bool is_answered() const {
    const Ref<Vma> vma = system.areas(mm).at(page);
    if (!vma) return true;
    return !is_userfault(system, system.at(vma), page, system.tables(mm).walk_to(page).load(), kind);
  }
};

}  // namespace

template <class G>
bool is_userfault(System<G>& system, const Vma& vma, Vpn page, Entry entry, FaultKind kind) {
  if (entry.is_empty()) return is_missing(system, vma, page) && !COWHERD_MUTANT(uffd_missing_ignored);
  return entry.present() && kind == FaultKind::kWrite && entry.uffd_wp() &&
         has(vma.flags.uffd, UffdFlags::kWriteProtect) && !COWHERD_MUTANT(uffd_wp_ignored) &&
         (!has(vma.flags.uffd, UffdFlags::kWpAsync) || COWHERD_MUTANT(uffd_async_asks));
}

/// The handler may have been faster:
///
///   fault                                  handler
///   the page is missing: let go of the mmap lock
///                                          put a page there
///   wait
///
/// and nobody would wake the thread any more. Allowed because what it waits for is how things are, not a call.
template <class G>
Result<void> wait_for_handler(System<G>& system, Mm& mm, Vpn page, Errno asked) {
  const FaultKind kind = asked == kAsksToWrite ? FaultKind::kWrite : FaultKind::kRead;
  system.note({.kind = EventKind::kUserfault, .decision = Decision::kUffdFork, .page = page});
  if constexpr (G::kExplored) {
    const Live live(system, "wait-for-handler", page, kind);
    const Question<G> question{system, mm, page, kind};
    const bool answered = wait_until<G, Question<G>>(system, Point::kUserfault, question,
                                                     [](const Question<G>& q) { return q.is_answered(); });
    return answered ? Result<void>() : Errno::kWouldBlock;
  } else {
    // Whoever embeds the machine lets its handler act, and tries again.
    return Errno::kWouldBlock;
  }
}

#define COWHERD_INSTANTIATE(G)                                                  \
  template bool is_userfault<G>(System<G>&, const Vma&, Vpn, Entry, FaultKind); \
  template Result<void> wait_for_handler<G>(System<G>&, Mm&, Vpn, Errno);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
