#include <vector>

#include "back/anon_rmap.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// What a recount finds for one frame.
struct Tally {
  std::uint32_t mappings = 0;
  std::uint64_t held = 0;
  std::uint64_t pins = 0;
  bool dirty_entry = false;
  bool is_table = false;
};

/// Objects that a walk from the header reaches.
struct Reached {
  std::uint32_t processes = 0;
  std::uint32_t mms = 0;
  std::uint32_t vmas = 0;
  std::uint32_t anon_vmas = 0;
  std::uint32_t chains = 0;
  std::uint32_t pins = 0;
  std::uint32_t pin_frames = 0;
};

template <class G>
class Verifier {
 public:
  Verifier(System<G>& system, std::vector<Tally>& tallies) : system_(system), tallies_(tallies) {
    tallies_.assign(system.frames().used_frames().value(), Tally{});
  }

  Violations run() {
    for (Ref<Process> process = system_.processes(); process; process = system_.at(process).next) {
      ++reached_.processes;
      const Ref<Mm> mm = system_.at(process).mm;
      if (mm && first_user(process, mm)) {
        ++reached_.mms;
        check_mm(mm);
      }
    }
    for (Ref<PinRecord> pin = system_.pins(); pin; pin = system_.at(pin).next) {
      ++reached_.pins;
      tally_pin(system_.at(pin));
    }
    for (std::size_t frame = 0; frame < tallies_.size(); ++frame) {
      check_frame(FrameNumber{static_cast<std::uint32_t>(frame)}, tallies_[frame]);
    }
    check_objects();
    return found_;
  }

 private:
  /// Whether no process earlier in the list lives in the same address space.
  bool first_user(Ref<Process> process, Ref<Mm> mm) {
    for (Ref<Process> other = system_.processes(); other != process; other = system_.at(other).next) {
      if (system_.at(other).mm == mm) {
        return false;
      }
    }
    return true;
  }

  void check_mm(Ref<Mm> ref) {
    Mm& mm = system_.at(ref);
    if (mm.mmap_lock.held || mm.page_table_lock.held) {
      found_.add(Violation::kLockHeld);
    }
    auto tables = system_.tables(mm);
    tables.for_each_table([&](FrameNumber table, unsigned level) {
      tallies_[table.value()].is_table = true;
      std::uint32_t used = 0;
      for (std::size_t i = 0; i < Geometry<G>::kEntries; ++i) {
        used += reinterpret_cast<const Entry*>(system_.frames().bytes(table))[i].none() ? 0 : 1;
      }
      const bool empty = used == 0 && level + 1 != G::kLevels;
      if (used != system_.descriptor(table).mapcount() || empty ||
          system_.descriptor(table).use() != FrameUse::kTable) {
        found_.add(Violation::kTable);
      }
    });
    std::uint32_t mapped = 0;
    std::uint32_t entries = 0;
    Vpn last{0};
    VmaTree areas = system_.areas(mm);
    for (Ref<Vma> vma = areas.first(); vma; vma = areas.next(vma)) {
      ++reached_.vmas;
      const Vma& area = system_.at(vma);
      if (area.pages.empty() || area.pages.begin < last || area.mm != ref ||
          area.pages.end.value() > Geometry<G>::kUserPages) {
        found_.add(Violation::kVma);
      }
      last = area.pages.end;
      check_chains(vma);
      tables.for_each(area.pages, [&](Vpn page, Entry* slot) {
        ++entries;
        mapped += check_entry(vma, area, page, *slot) ? 1 : 0;
        return true;
      });
    }
    tables.for_each({Vpn{0}, Vpn{Geometry<G>::kUserPages}}, [&](Vpn, Entry*) {
      --entries;
      return true;
    });
    if (entries != 0) {
      found_.add(Violation::kOutsideVma);
    }
    if (mapped != mm.anon_rss) {
      found_.add(Violation::kRss);
    }
  }

  void check_chains(Ref<Vma> vma) {
    for (Ref<AnonVmaChain> link = system_.at(vma).chain; link; link = system_.at(link).next_of_vma) {
      const AnonVmaChain& chain = system_.at(link);
      ++reached_.chains;
      reached_.anon_vmas += system_.at(chain.anon_vma).first == link ? 1 : 0;
      if (chain.vma != vma) {
        found_.add(Violation::kVma);
      }
    }
  }

  /// Returns whether the entry maps an anonymous page.
  bool check_entry(Ref<Vma> vma_ref, const Vma& vma, Vpn page, Entry entry) {
    const bool may_write = has(vma.flags.protection, Protection::kWrite);
    if ((entry.writable() && !may_write) || entry.user() != (vma.flags.protection != Protection::kNone)) {
      found_.add(Violation::kOutsideVma);
    }
    const FrameNumber frame = entry.frame();
    if (frame == Frames<G>::kZeroPage) {
      if (entry.writable()) {
        found_.add(Violation::kWritableShared);
      }
      return false;
    }
    if (frame.value() >= tallies_.size() || system_.descriptor(frame).use() != FrameUse::kAnon) {
      found_.add(Violation::kFreedInUse);
      return true;
    }
    Tally& tally = tallies_[frame.value()];
    ++tally.mappings;
    tally.dirty_entry = tally.dirty_entry || entry.dirty();
    if (entry.writable() && !system_.descriptor(frame).exclusive()) {
      found_.add(Violation::kWritableShared);
    }
    if (!vma.anon_vma) {
      found_.add(Violation::kVma);
    }
    bool leads_here = false;
    rmap_walk(system_.frames(), frame,
              [&](Ref<Vma> other, Vpn at) { leads_here = leads_here || (other == vma_ref && at == page); });
    if (!leads_here) {
      found_.add(Violation::kNoRmap);
    }
    return true;
  }

  void tally_pin(const PinRecord& pin) {
    std::uint32_t left = pin.pages;
    for (Ref<PinFrames> chunk = pin.first; chunk; chunk = system_.at(chunk).next) {
      ++reached_.pin_frames;
      for (std::uint32_t i = 0; i < PinFrames::kCapacity && left != 0; ++i, --left) {
        const FrameNumber frame = system_.at(chunk).frames[i];
        if (frame == Frames<G>::kZeroPage && system_.rules().zero_page == ZeroPage::kUncounted) {
          continue;
        }
        const FrameUse use = system_.descriptor(frame).use();
        if (frame.value() >= tallies_.size() || (use != FrameUse::kAnon && use != FrameUse::kZeroPage)) {
          found_.add(Violation::kFreedInUse);
          continue;
        }
        tallies_[frame.value()].held += pin.times;
        tallies_[frame.value()].pins += counts_as_pin(system_.rules(), pin.flags) ? pin.times : 0;
      }
    }
  }

  void check_frame(FrameNumber frame, const Tally& tally) {
    const FrameDescriptor& descriptor = system_.descriptor(frame);
    switch (descriptor.use()) {
      case FrameUse::kTable:
        if (!tally.is_table) {
          found_.add(Violation::kFrameLost);
        }
        return;
      case FrameUse::kZeroPage:
        for (std::size_t i = 0; i < Geometry<G>::kPageBytes; i += sizeof(std::uint64_t)) {
          if (*reinterpret_cast<const std::uint64_t*>(system_.frames().bytes(frame) + i) != 0) {
            found_.add(Violation::kZeroPage);
          }
        }
        break;
      case FrameUse::kAnon:
        check_anon_frame(descriptor, tally);
        break;
      case FrameUse::kFree:
      case FrameUse::kSlab:
        return;
    }
    if (descriptor.references() != tally.mappings + tally.held) {
      found_.add(Violation::kReferences);
    }
    if (descriptor.mapcount() != tally.mappings) {
      found_.add(Violation::kMapcount);
    }
    if (descriptor.pins() != tally.pins) {
      found_.add(Violation::kPins);
    }
  }

  void check_anon_frame(const FrameDescriptor& descriptor, const Tally& tally) {
    if (tally.mappings == 0 && tally.held == 0) {
      found_.add(Violation::kFrameLost);
    }
    if (descriptor.exclusive() && tally.mappings > 1) {
      found_.add(Violation::kExclusiveShared);
    }
    if (tally.mappings == 0) {
      return;
    }
    if (!tally.dirty_entry && !descriptor.dirty()) {
      found_.add(Violation::kNotDirty);
    }
    // Only rules that decide by the mark promise to keep it on pinned pages.
    const Rules& rules = system_.rules();
    if (rules.fork_pinned == ForkPinned::kCopyExclusive && tally.pins != 0 && !descriptor.exclusive()) {
      found_.add(Violation::kPinnedShared);
    }
  }

  void check_objects() {
    const auto& frames = system_.frames();
    const bool all = frames.template alive<Process>() == reached_.processes &&
                     frames.template alive<Mm>() == reached_.mms && frames.template alive<Vma>() == reached_.vmas &&
                     frames.template alive<AnonVma>() == reached_.anon_vmas &&
                     frames.template alive<AnonVmaChain>() == reached_.chains &&
                     frames.template alive<PinRecord>() == reached_.pins &&
                     frames.template alive<PinFrames>() == reached_.pin_frames;
    if (!all) {
      found_.add(Violation::kFrameLost);
    }
  }

  System<G>& system_;
  std::vector<Tally>& tallies_;
  Reached reached_;
  Violations found_;
};

}  // namespace

template <class G>
Violations verify(System<G>& system) {
  // Grows once, then serves every check of this thread; nothing of a Machine stays in it.
  thread_local std::vector<Tally> tallies;
  Violations found = system.take_violations();
  found.add(Verifier<G>(system, tallies).run());
  return found;
}

#define COWHERD_INSTANTIATE(G) template Violations verify<G>(System<G>&);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
