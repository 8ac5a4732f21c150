#pragma once

#include <cstdint>

#include "back/anon_rmap.hpp"
#include "mm/system.hpp"
#include "mm/violation.hpp"

namespace cowherd::mm {

/// Objects that a walk from the header reaches.
struct Reached {
  std::uint32_t processes = 0;
  std::uint32_t mms = 0;
  std::uint32_t vmas = 0;
  std::uint32_t anon_vmas = 0;
  std::uint32_t chains = 0;
  std::uint32_t pins = 0;
  std::uint32_t mappings = 0;
};

/// The part of verify() that is about kernel objects: all that are alive are reached.
template <class G>
class ObjectVerifier {
 public:
  ObjectVerifier(System<G>& system, Violations& found) : system_(system), found_(found) {}

  /// Whether each chain of `vma` hangs in the list of its anon_vma.
  void check_chains(Ref<Vma> vma) {
    bool has_own = !system_.at(vma).anon_vma;
    for (Ref<AnonVmaChain> link = system_.at(vma).chain; link; link = system_.at(link).next_of_vma) {
      const AnonVmaChain& chain = system_.at(link);
      ++reached.chains;
      reached.anon_vmas += system_.at(chain.anon_vma).first == link ? 1 : 0;
      has_own = has_own || chain.anon_vma == system_.at(vma).anon_vma;
      const bool linked = chain.previous_of_anon_vma ? system_.at(chain.previous_of_anon_vma).next_of_anon_vma == link
                                                     : system_.at(chain.anon_vma).first == link;
      if (chain.vma != vma || !linked) {
        found_.add(Violation::kVma);
      }
    }
    if (!has_own) {
      found_.add(Violation::kVma);
    }
  }

  /// After all have been counted.
  void check() {
    for (Ref<Process> process = system_.processes(); process; process = system_.at(process).next) {
      ++reached.processes;
    }
    const auto& frames = system_.frames();
    const bool all = frames.template alive<Process>() == reached.processes &&
                     frames.template alive<Mm>() == reached.mms && frames.template alive<Vma>() == reached.vmas &&
                     frames.template alive<AnonVma>() == reached.anon_vmas &&
                     frames.template alive<AnonVmaChain>() == reached.chains &&
                     frames.template alive<PinRecord<G>>() == reached.pins &&
                     frames.template alive<FileMapping>() == reached.mappings;
    if (!all) {
      found_.add(Violation::kFrameLost);
    }
  }

  Reached reached;

 private:
  System<G>& system_;
  Violations& found_;
};

}  // namespace cowherd::mm
