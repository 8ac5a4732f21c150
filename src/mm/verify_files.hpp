#pragma once

#include <algorithm>
#include <cstdint>

#include "back/page_cache.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// What verify() looks at in files and in what maps them. Changes counts as verify() does: take() takes the caches'
/// share out of them, give_back() puts it back.
template <class G>
class VerifiedFiles {
 public:
  VerifiedFiles(System<G>& system, Violations& found) : system_(system), found_(found) {}

  /// Each file's reference to each of its cached pages.
  void take() {
    system_.frames().template for_each<File>([&](Ref<File> ref) { take_file(ref); });
  }
  void give_back() {
    system_.frames().template for_each<File>([&](Ref<File> ref) {
      for_each_cached(system_.at(ref),
                      [&](FrameNumber frame, std::uint32_t) { system_.descriptor(frame).add_references(1); });
      for_each_slot(system_.at(ref), [&](BlockNumber slot, std::uint32_t) {
        if (names_slot(slot)) system_.swap().give_count(slot);
      });
      for_each_block(system_.at(ref), [&](BlockNumber block, std::uint32_t) { system_.swap().give_count(block); });
    });
  }

  /// Whether `vma` is on the list of the file that it says it maps. Returns how many mappings it has: one or none.
  std::uint32_t check_mapping(Ref<Vma> vma) {
    const Ref<FileMapping> ref = system_.at(vma).mapping;
    if (!ref) {
      if (system_.at(vma).flags.shared) found_.add(Violation::kVma);
      return 0;
    }
    const FileMapping& mapping = system_.at(ref);
    const bool linked = mapping.previous ? system_.at(mapping.previous).next == ref
                                         : static_cast<bool>(mapping.file) && system_.at(mapping.file).first == ref;
    if (mapping.vma != vma || !linked) found_.add(Violation::kCache);
    return 1;
  }

  /// An entry that maps a page of a file.
  void check_entry(const Vma& vma, Vpn page, Entry entry) {
    const FrameDescriptor& descriptor = system_.descriptor(entry.frame());
    const Ref<File> file = vma.mapping ? system_.at(vma.mapping).file : Ref<File>{};
    if (!file || descriptor.owner() != file.unit || descriptor.index() != vma.index_of(page)) {
      found_.add(Violation::kNoRmap);
      return;
    }
    const bool written = entry.writable() || entry.dirty();
    // UFFDIO_CONTINUE may have said so of an entry that nobody wrote through.
    const bool unwritten = !entry.writable() && system_.rules().uffd_continue == UffdContinue::kDirty;
    if (written && !vma.flags.shared && !unwritten) found_.add(Violation::kWritableShared);
    const bool said_dirty = descriptor.dirty() && descriptor.prepared();
    if (written && system_.at(file).on_disk() && !said_dirty) found_.add(Violation::kDirtyLost);
  }

 private:
  using Seen = FrameDescriptor::Seen;

  void take_file(Ref<File> ref) {
    const File& file = system_.at(ref);
    if (file.mapping_lock.held() || file.file_lock.held()) found_.add(Violation::kLockHeld);
    std::uint32_t users = file.open ? 1 : 0;
    for (Ref<FileMapping> at = file.first; at; at = system_.at(at).next) {
      ++users;
      if (system_.at(at).file != ref) found_.add(Violation::kCache);
    }
    if (users != file.users || users == 0) found_.add(Violation::kCache);
    auto hold = [&](FrameNumber node) {
      if (system_.descriptor(node).use() != FrameUse::kPinFrames) found_.add(Violation::kCache);
      system_.descriptor(node).set_seen(Seen::kHeld);
    };
    for_each_cache_node(system_.frames(), file.root, file.height, hold);
    for_each_cache_node(system_.frames(), file.blocks, file.block_height, hold);
    for_each_cached(file, [&](FrameNumber frame, std::uint32_t index) { take_cached(ref, frame, index); });
    for_each_slot(file, [&](BlockNumber slot, std::uint32_t index) {
      const bool alone = names_slot(slot) && system_.swap().count(slot) == 1;
      if (!alone || index >= file.pages || file.on_disk()) found_.add(Violation::kSwapCount);
      if (names_slot(slot)) system_.swap().take_count(slot);
    });
    for_each_block(file, [&](BlockNumber block, std::uint32_t index) {
      if (index >= file.pages || system_.swap().count(block) != 1) found_.add(Violation::kCache);
      system_.swap().take_count(block);
    });
  }

  [[nodiscard]] bool names_slot(BlockNumber slot) {
    return system_.has_swap() && slot.value() < system_.swap().block_count().value();
  }

  /// Pages that are in swap.
  template <class Visit>
  void for_each_slot(const File& file, Visit&& visit) {
    if (file.is_hugetlb()) return;
    for (FilePlace at = next_place(system_.frames(), file, 0); !at.none();
         at = next_place(system_.frames(), file, at.index + 1)) {
      if (at.slot) visit(*at.slot, at.index);
    }
  }

  template <class Visit>
  void for_each_block(const File& file, Visit&& visit) {
    for (auto at = next_block(system_.frames(), file, 0); at; at = next_block(system_.frames(), file, at->index + 1)) {
      visit(at->block, at->index);
    }
  }

  /// A clean page that nobody may be writing holds what the disk holds. Where it is held, whoever holds it has yet to
  /// say what he wrote.
  void check_clean(const File& file, FrameNumber frame, std::uint32_t index) {
    const FrameDescriptor& page = system_.descriptor(frame);
    const auto block = find_block(system_.frames(), file, index);
    const auto* bytes = reinterpret_cast<const std::uint64_t*>(system_.frames().bytes(frame));
    const auto* behind = block ? reinterpret_cast<const std::uint64_t*>(system_.swap().bytes(*block)) : nullptr;
    if (page.dirty() || page.references() != page.mapcount()) return;
    for (std::size_t i = 0; i < Geometry<G>::kPageBytes / sizeof *bytes; ++i) {
      if (bytes[i] != (behind != nullptr ? behind[i] : 0)) found_.add(Violation::kDirtyLost);
    }
  }

  void take_cached(Ref<File> ref, FrameNumber frame, std::uint32_t index) {
    FrameDescriptor& page = system_.descriptor(frame);
    const bool in_order = page.use() == FrameUse::kFile && page.owner() == ref.unit && page.index() == Vpn{index};
    if (!in_order || index >= system_.at(ref).pages || page.references() == 0) found_.add(Violation::kCache);
    page.drop_references(1);
    if (in_order && system_.at(ref).on_disk()) check_clean(system_.at(ref), frame, index);
    page.set_seen(std::max(page.seen(), Seen::kHeld));
  }

  template <class Visit>
  void for_each_cached(const File& file, Visit&& visit) {
    CachedPage at = next_cached(system_.frames(), file, 0);
    for (; at.frame != Frames<G>::kZeroPage; at = next_cached(system_.frames(), file, at.index + 1)) {
      visit(at.frame, at.index);
    }
  }

  System<G>& system_;
  Violations& found_;
};

}  // namespace cowherd::mm
