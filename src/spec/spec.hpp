#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cowherd/flags.hpp"
#include "spec/promise.hpp"
#include "spec/state.hpp"

namespace cowherd::spec {

// What may be observed, under no rules at all. Nothing is shared here: an address space is a function from page and
// word to a value, and fork copies it.

/// How far a pin has got that takes hold of its pages one by one.
struct PinSoFar {
  /// Pages that it has taken hold of.
  std::uint8_t bound = 0;
  /// It met a page that it was refused, and takes no further one.
  bool stopped = false;
};

/// Where mremap takes pages from and to.
struct Remap {
  std::uint8_t first = 0;
  std::uint8_t count = 0;
  std::uint8_t to = 0;
  std::uint8_t to_count = 0;
  RemapFlags flags = RemapFlags::kNone;

  /// Pages that stay pages: the others are given up, or come new.
  [[nodiscard]] std::uint8_t kept() const { return count < to_count ? count : to_count; }
  /// Its parts, one to each page that moves, goes or comes.
  [[nodiscard]] std::uint8_t parts() const { return count < to_count ? to_count : count; }
};

/// What a mapping shows: pages of a file with a name from `first` on, or memory that begins as zeros.
struct Backing {
  FileNumber file = kAnonymous;
  /// Of hugetlb memory: within the mapping, which begins with a whole hugetlb page.
  std::uint8_t first = 0;
  bool shared = false;
};

/// Linux's slow path asks the mapping, which knows PROT_WRITE without PROT_READ; its fast path asks the page table,
/// which does not. Compare Linux mm/gup.c: check_vma_flags(), gup_fast_pte_range().
enum class Grant : std::uint8_t { kNo, kEither, kYes };

/// Of the first pages of a range that an madvise is about to take: how many they are, and whether userfaultfd's handler
/// is told that they go. Where mappings begin and end is not known here.
struct Removal {
  std::uint8_t least = 0;
  std::uint8_t most = 0;
  bool tells = false;
  /// Whether mlock keeps some of it is not known: anything may be said.
  bool vague = false;

  [[nodiscard]] bool allows(std::uint8_t pages, bool told) const {
    return vague || (told == tells && least <= pages && pages <= most);
  }
};

/// Advice that is not taken about what mlock keeps.
[[nodiscard]] bool takes_from_memory(Advice advice);

/// The reference state of one machine, and the judge of what is seen of it. Plain memory: copying bytes() and assigning
/// them back is a snapshot, equal states have equal bytes. Each call is one atomic operation. Not thread-safe.
///
/// Operations that overlap are told in parts: an operation on several pages as one operation on each, and a pin page by
/// page. Which parts and in which order is for the caller to know (check/reference.hpp).
///
/// Preconditions of every call: the space exists; first + count <= kMaxPages, count >= 1; page < kMaxPages (of a pin:
/// any number); word < kWordsPerPage.
class Spec {
 public:
  Spec();

  /// The used part of the state; its size varies. Valid until the next call that changes the state.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  /// Precondition: `bytes` came from bytes(), of this or another Spec.
  void assign(std::span<const std::byte> bytes);

  /// A new, empty address space. Precondition: fewer than kMaxSpaces exist.
  SpaceId create_space();
  /// Under a number that the caller chose. Precondition: it names no space.
  void create_space(SpaceId space);
  /// The last user of `space` has gone (exit, exec): its pages are discarded, pins on them detach.
  void drop_space(SpaceId space);
  /// What fork gives the child. Precondition: fewer than kMaxSpaces exist.
  SpaceId fork(SpaceId parent);
  /// Precondition: `child` names no space.
  void fork(SpaceId parent, SpaceId child, bool told = true);
  /// `space` gives up its pages, as at exec, and gets what fork would give a child of `from`, which it stays.
  void restore(SpaceId space, SpaceId from);
  [[nodiscard]] bool exists(SpaceId space) const { return space.value() < kMaxSpaces && state_.alive(space); }

  /// Whether pages [first, first + count) begin or end within a hugetlb page: what would unmap them fails with EINVAL
  /// then. It is for the caller of the operations below to ask.
  [[nodiscard]] bool cuts_hugetlb(SpaceId space, std::uint8_t first, std::uint8_t count) const;
  /// Whether they do, and the protection of a page that they cut would change: EINVAL.
  [[nodiscard]] bool protects_part(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection) const;
  /// How many of the pages MADV_DONTNEED discards: where they end within a hugetlb page it leaves that alone.
  [[nodiscard]] std::uint8_t discarded(SpaceId space, std::uint8_t first, std::uint8_t count) const;
  /// Whether some page is of hugetlb.
  [[nodiscard]] bool has_hugetlb(SpaceId space) const;
  /// Whether one of them is a hugetlb page that cannot be advised so, or the advice would change a part of one: EINVAL
  /// too.
  [[nodiscard]] bool refuses_advice(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice) const;

  // Mapping operations on pages [first, first + count). Each judges the result and moves on.

  /// Placed at `first` whatever the flags say; kFixedNoReplace refuses where anything is mapped, all else replaces.
  Judgement mmap(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection, MapFlags flags,
                 Observation seen, Backing backing = {});
  Judgement munmap(SpaceId space, std::uint8_t first, std::uint8_t count, Observation seen);
  /// Changes the pages before the first hole; with a hole the result is ENOMEM.
  Judgement mprotect(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection, Observation seen);
  /// Changes all pages that are mapped; with a hole the result is ENOMEM. kFree: the words of a page, until they are
  /// written again, may read 0; kCold, kPageOut and kSync change nothing. kDontNeed, kFree, kCold, kPageOut and
  /// kRemove end with EINVAL where mlock keeps a page, kRemove also where it is no file's, and with EACCES where the
  /// mapping is private.
  Judgement madvise(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice, Observation seen);
  /// What MADV_REMOVE of pages [first, first + count) does to one of them, which ends well or as it has to. Of a
  /// hugetlb page that is among them whole private copies go too; a part of one becomes zeros.
  Judgement remove(SpaceId space, std::uint8_t page, std::uint8_t first, std::uint8_t count);
  /// What mlock and munlock say of the pages before the first hole, before they do anything else.
  void note_locked(SpaceId space, std::uint8_t first, std::uint8_t count, Mark locked);
  /// What ends an madvise at a page that is there: what is locked, or cannot be removed. Zero: nothing does. `surely`:
  /// as of any_locked().
  [[nodiscard]] Errno advice_stops(SpaceId space, std::uint8_t page, Advice advice, bool surely) const;
  /// Whether mlock keeps one of the pages, or may.
  [[nodiscard]] bool any_locked(SpaceId space, std::uint8_t first, std::uint8_t count, bool surely) const;

  /// Without MREMAP_FIXED: in place, so that to == first. Pages that come new are mapped as the last old one is.
  Judgement mremap(SpaceId space, const Remap& remap, Observation seen);
  /// With which error it has to fail now; Errno{0}: with none. A range of several pages may also be several mappings,
  /// which is not known here: then it may fail with EFAULT, and change nothing.
  [[nodiscard]] Errno remap_error(SpaceId space, const Remap& remap) const;
  /// Part `part` of one that may not fail; `last_moved`: that of the last page that is kept has been done.
  void remap_part(SpaceId space, const Remap& remap, std::uint8_t part, bool last_moved);
  // Files, by number: fewer than kMaxFiles, of at most kMaxPages pages.

  /// Precondition: it does not exist.
  void create_file(FileNumber file, std::uint8_t pages, FileStore store = FileStore::kMemory) {
    change().create_file(file, pages, store);
  }
  /// What it holds before anybody has it. Precondition: within the file.
  void fill_file(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t value) {
    change().store(file, page, word, value);
  }
  [[nodiscard]] bool exists(FileNumber file) const { return state_.exists(file); }
  [[nodiscard]] std::uint8_t size(FileNumber file) const { return state_.size(file); }
  /// A read behind the end reads nothing: 0.
  Judgement read_file(FileNumber file, std::uint8_t page, std::uint8_t word, Observation seen);
  /// Makes the file longer where it lies behind the end.
  Judgement write_file(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);
  Judgement truncate(FileNumber file, std::uint8_t pages, Observation seen);
  Judgement punch(FileNumber file, std::uint8_t first, std::uint8_t count, Observation seen);
  [[nodiscard]] std::int64_t peek(FileNumber file, std::uint8_t page, std::uint8_t word) const {
    return state_.load(file, page, word);
  }
  /// What the disk has to hold in the end; `seen`: what it holds.
  [[nodiscard]] Judgement judge_disk(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t seen) const;

  // Userfaultfd: a handler decides about faults in registered memory, and whoever meets one waits. Who waits for ever
  // breaks nothing where may_wait() says so.

  /// Before anything is mapped: see State::track_handlers().
  void track_handlers(bool huge) { change().track_handlers(huge); }
  [[nodiscard]] bool tracks_handlers() const { return state_.tracks_handlers(); }
  /// Whether an access to the page may have to wait for the handler now; and whether it has to.
  [[nodiscard]] bool may_wait(SpaceId space, std::uint8_t page, bool write) const;
  [[nodiscard]] bool must_wait(SpaceId space, std::uint8_t page, bool write) const;
  /// The page is there from now on, if an access may bring it in; whoever does comes to it later, if it is still there.
  void fault_in(SpaceId space, std::uint8_t page, bool write);
  /// kNone: the pages are registered no more.
  Judgement uffd_register(SpaceId space, std::uint8_t first, std::uint8_t count, UffdFlags modes, Observation seen);
  /// The handler puts a page there that holds `value` in one word.
  /// Or zeros, or nothing that anybody may have.
  Judgement uffd_fill(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen,
                      Fill fill = Fill::kBytes);
  Judgement uffd_continue(SpaceId space, std::uint8_t page, Observation seen);
  Judgement uffd_protect(SpaceId space, std::uint8_t first, std::uint8_t count, bool protect, Observation seen);
  Judgement uffd_move(SpaceId space, std::uint8_t to, std::uint8_t from, Observation seen);
  /// The handler reads the oldest event that it is told. Whoever has caused it must have waited until then.
  Judgement uffd_read(SpaceId space, Observation seen);
  /// As its number; 0: there is none.
  [[nodiscard]] std::uint8_t next_event(SpaceId space) const { return state_.next_event(space); }
  /// The handler is told of a move that is about to be done, if it wants to be.
  void tell_of(SpaceId space, const Remap& remap);
  /// Whether it wants to be told of pages [first, first + count) if they are unmapped. The caller of mmap() and
  /// munmap() asks that before, and says so once they have succeeded.
  [[nodiscard]] bool tells_of_unmap(SpaceId space, unsigned first, unsigned count) const;
  void tell_of_unmap(SpaceId space) { change().tell(space, UffdEvent::kUnmap); }
  /// What is said before such advice takes pages of a range; nothing changes.
  [[nodiscard]] Removal removal(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice) const;
  void tell_of_removal(SpaceId space) { change().tell(space, UffdEvent::kRemove); }

  Judgement read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen);
  Judgement write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);
  /// The memory of the page fails, or does not: it may be busy, or no page that can. From then on an access to it is a
  /// SIGBUS, and may be one to every page that held the same, since the two may have been one.
  Judgement poison(SpaceId space, std::uint8_t page, Observation seen);
  /// A debugger's access: FOLL_FORCE, from another process.
  Judgement force_read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen);
  Judgement force_write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);

  /// A device gets the page for itself, as by a write of its own: or does not, which may be where it is no page for
  /// that.
  Judgement make_exclusive(SpaceId space, std::uint8_t page, Observation seen);
  /// The access of a device that has the page for itself: it sees and changes what the address space does. Whether it
  /// has, is not known here.
  Judgement device_read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen);
  Judgement device_write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);
  /// Adds `value` to the word, whichever of the values it holds that it may hold.
  Judgement device_add(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);

  /// Where pin succeeded on `seen.value` pages, `pin` receives its name; where the system or the spec refused it,
  /// kNoPin. Precondition: fewer than kMaxPins exist.
  Judgement pin(SpaceId space, std::uint8_t first, std::uint8_t count, PinFlags flags, Observation seen,
                SpecPinId& pin);
  /// The same under a name that the caller chose, of a pin that has got as far as `so_far` already. It exists from its
  /// first page on. Precondition: with no page bound, `name` names no pin; with some, they are the space's.
  Judgement pin(SpecPinId name, SpaceId space, std::uint8_t first, std::uint8_t count, PinFlags flags, PinSoFar so_far,
                Observation seen);
  /// Takes hold of the pin's next page, the one behind its last, or of `first` with none. False, and nothing happens,
  /// where the page may not be given.
  bool pin_next(SpecPinId name, SpaceId space, std::uint8_t first, PinFlags flags);
  /// Whether a pin that reaches the page now may be refused it.
  [[nodiscard]] bool may_refuse_pin(SpaceId space, std::uint8_t page, PinFlags flags) const;
  /// kNoPin is let go without effect.
  void unpin(SpecPinId pin);
  /// ENXIO for a page that the pin does not hold; kNoPin holds none.
  Judgement dma_read(SpecPinId pin, std::uint8_t page, std::uint8_t word, Observation seen);
  /// As dma_read(), and EPERM through a reference for reading; where both apply, either.
  Judgement dma_write(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);

  // While an operation that discards pages is under way, some CPU may not yet have forgotten its translation of them.

  /// Discarded pages stay within reach of CPUs for `keeper` until flush(keeper); State::kNobody: they do not.
  void keep_discarded(std::uint8_t keeper) { state_.keep_for(keeper); }
  void flush(std::uint8_t keeper);
  [[nodiscard]] std::span<const StalePage> stale() const { return state_.stale(); }
  /// Whether a thread may read `value` through a stale translation.
  [[nodiscard]] bool reads_stale(const StalePage& stale, std::uint8_t word, std::int64_t value) const;
  /// A thread's store through a stale translation; false, and nothing happens, where the translation forbids it.
  bool write_stale(const StalePage& stale, std::uint8_t word, std::int64_t value);

  /// The pages of the space that a pin is attached to, as a set of bits.
  [[nodiscard]] std::uint16_t pinned_pages(SpaceId space) const { return state_.attached_pages(space); }
  /// fork copied the word at another moment than the rest of the page: it holds `value`, as the parent's page did then.
  /// Precondition: mapped in the child.
  void tear(SpaceId child, std::uint8_t page, std::uint8_t word, std::int64_t value);

  /// What several may see of these pages, of a pin's page, of a file, as sets of bits in which two may share one.
  [[nodiscard]] std::uint64_t slots_seen(SpaceId space, std::uint16_t pages) const {
    return state_.slots_seen(space, pages);
  }
  [[nodiscard]] std::uint64_t slots_held(SpecPinId pin, std::uint8_t page) const {
    return state_.slots_held(pin, page);
  }
  [[nodiscard]] std::uint64_t slots_of(FileNumber file) const { return state_.slots_of(file); }
  /// The files that these pages show, as a set of bits.
  [[nodiscard]] std::uint8_t files_seen(SpaceId space, std::uint16_t pages) const {
    return state_.files_seen(space, pages);
  }

  /// Whether fork gives the child the contents of the page, as its own.
  [[nodiscard]] bool hands_on(SpaceId space, std::uint8_t page) const;
  /// Nothing where nothing is mapped.
  [[nodiscard]] std::optional<Protection> protection(SpaceId space, std::uint8_t page) const;
  /// What the word holds, whatever the protection; nothing where nothing is mapped.
  [[nodiscard]] std::optional<std::int64_t> peek(SpaceId space, std::uint8_t page, std::uint8_t word) const;
  /// Whether no reference may be taken to the page. Precondition: mapped.
  [[nodiscard]] bool secret(SpaceId space, std::uint8_t page) const { return state_.find(space, page)->secret; }
  /// Whether the memory of the page has failed, or may have. Nothing has where nothing is mapped.
  [[nodiscard]] bool failed(SpaceId space, std::uint8_t page) const;
  [[nodiscard]] bool may_have_failed(SpaceId space, std::uint8_t page) const;
  /// Whether a write may be forced there, or refused, as the rules like.
  [[nodiscard]] bool may_refuse_force(SpaceId space, std::uint8_t page) const;
  /// Pages that the pin holds; 0 for kNoPin.
  [[nodiscard]] std::uint8_t pages_held(SpecPinId pin) const { return state_.held(pin); }
  /// Precondition: the pin exists.
  [[nodiscard]] SpaceId owner(SpecPinId pin) const { return state_.owner(pin); }
  /// Where its owner has the pin's page `page` now. Precondition: attached().
  [[nodiscard]] std::uint8_t page_of(SpecPinId pin, std::uint8_t page) const { return state_.page_of(pin, page); }
  /// Whether the owner of the pin's page `page` has not discarded it. Precondition: page < pages_held(pin).
  [[nodiscard]] bool attached(SpecPinId pin, std::uint8_t page) const { return state_.attached(pin, page); }

  /// With which error the handler's work has to fail now, or may: where `either`, it may also have succeeded.
  struct Refusal {
    Errno error{0};
    bool either = false;
  };
  [[nodiscard]] Refusal register_refusal(SpaceId space, std::uint8_t first, std::uint8_t count, UffdFlags modes) const;
  [[nodiscard]] Refusal fill_refusal(SpaceId space, std::uint8_t page, Fill fill) const;
  [[nodiscard]] Refusal move_refusal(SpaceId space, std::uint8_t to, std::uint8_t from) const;

 private:
  /// A hugetlb file becomes as long as what it may be written through.
  void extend_file(const Page& mapped);
  void punch_page(SpaceId space, std::uint8_t page, std::uint8_t first, std::uint8_t count);
  /// An access has come by the page: whether it was allowed to without its handler. The page is there from then on.
  bool meets(SpaceId space, std::uint8_t page, bool write);
  static Judgement unasked();
  [[nodiscard]] bool tells_of(SpaceId space, unsigned first, unsigned count, UffdFlags event) const;
  Judgement judge_view(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t seen);
  /// As judge_view(), for a page that MADV_FREE may have lost words of; what is seen may settle that.
  Judgement judge_lazy_view(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t seen);
  Judgement judge_dma(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t seen);
  /// Of a word that a file, or shared memory, does not hold.
  [[nodiscard]] Judgement judge_shared(std::int64_t right, Writer last, std::int64_t seen) const;
  [[nodiscard]] bool allows_force(SpaceId space, std::uint8_t page) const;
  [[nodiscard]] Grant grant(SpaceId space, std::uint8_t page, PinFlags flags) const;
  /// Whether one of pages [`first`, `end`) has failed, or may have.
  [[nodiscard]] bool any_may_have_failed(SpaceId space, unsigned first, unsigned end) const;
  /// Whether the page has failed, or may have and was said to: by `told`.
  [[nodiscard]] bool may_be_exclusive(const Page* page) const;
  [[nodiscard]] bool is_told_of_failure(SpaceId space, std::uint8_t page, Errno told, Observation seen) const;
  Judgement judge_failed(SpaceId space, std::uint8_t page, Errno told, Observation seen);
  /// The state is about to change: what bytes() gave is out of date.
  State& change();

  State state_;
  mutable std::vector<std::byte> packed_;
  mutable std::size_t packed_size_ = 0;
  mutable bool packed_is_current_ = false;
};

}  // namespace cowherd::spec
