#include "check/outcome.hpp"

#include <algorithm>

#include "check/oracle.hpp"
#include "litmus/condition.hpp"

namespace cowherd::check {

namespace {

using litmus::Term;

std::int64_t read_memory(World& world, std::uint8_t process, const litmus::Place& place) {
  std::int64_t word = 0;
  const mm::Access access = mm::read<G>(world.system(), world.control.processes[process].id,
                                        world.scene().address_of(place), std::as_writable_bytes(std::span(&word, 1)));
  if (access.error == Errno::kWouldBlock) return -static_cast<std::int64_t>(Errno::kAgain);
  return access.error == Errno{0} ? word : -static_cast<std::int64_t>(access.error);
}

std::int64_t read_file(World& world, std::uint8_t file, const litmus::Place& place) {
  std::int64_t word = 0;
  const ByteCount offset{place.page * Geometry<G>::kPageBytes + place.word * sizeof(std::int64_t)};
  const mm::Access access =
      mm::read_file<G>(world.system(), world.file(file), offset, std::as_writable_bytes(std::span(&word, 1)));
  return access.error == Errno{0} ? word : -static_cast<std::int64_t>(access.error);
}

std::int64_t disk_word(World& world, std::uint8_t file, const litmus::Place& place) {
  if (world.scene().program().files[file].kind != litmus::FileKind::kDisk) return 0;
  std::int64_t word = 0;
  const ByteCount offset{place.page * Geometry<G>::kPageBytes + place.word * sizeof(std::int64_t)};
  mm::read_disk<G>(world.system(), world.file(file), offset, std::as_writable_bytes(std::span(&word, 1)));
  return word;
}

std::int64_t inspect(World& world, std::uint8_t process, const Term& term) {
  constexpr std::int64_t kNothing = -1;
  if (!world.alive(process)) return kNothing;
  const mm::PageView view = mm::inspect(world.system(), world.control.processes[process].id,
                                        world.scene().address_of_page(world.scene().page_of(term.place)));
  if (term.kind == Term::Kind::kSoftDirty) return view.in_vma ? std::int64_t{view.soft_dirty} : kNothing;
  if (term.kind == Term::Kind::kUffdWp) return view.entry.uffd_wp() ? 1 : 0;
  if (term.kind == Term::Kind::kSwapped) return view.in_swap ? 1 : 0;
  if (term.kind == Term::Kind::kSwapCache) return view.in_swap_cache ? 1 : 0;
  if (term.kind == Term::Kind::kSwapCount) return view.has_slot ? view.swap_entries : kNothing;
  if (term.kind == Term::Kind::kOnDevice) return view.entry.on_device() ? 1 : 0;
  if (!view.entry.present() && !view.entry.on_device()) return kNothing;
  switch (term.kind) {
    case Term::Kind::kFrame:
      return view.frame.value();
    case Term::Kind::kRefcount:
      return view.references;
    case Term::Kind::kMapcount:
      return view.mapcount;
    case Term::Kind::kPins:
      return view.pins;
    case Term::Kind::kExclusive:
      return view.exclusive ? 1 : 0;
    case Term::Kind::kWritable:
      return view.entry.writable() ? 1 : 0;
    case Term::Kind::kHuge:
      return view.huge ? 1 : 0;
    case Term::Kind::kFolio:
      return std::int64_t{1} << view.folio_order;
    case Term::Kind::kMovable:
      return world.system().frames().is_movable(view.frame) ? 1 : 0;
    case Term::Kind::kDirty:
      return view.entry.dirty() || view.dirty ? 1 : 0;
    default:
      return kNothing;
  }
}

}  // namespace

std::int64_t value_of(World& world, const Term& term) {
  const bool of_block = term.kind != Term::Kind::kLiteral && term.kind != Term::Kind::kFinding &&
                        term.kind != Term::Kind::kPool && term.kind != Term::Kind::kFileWord &&
                        term.kind != Term::Kind::kDiskWord;
  const std::uint8_t process = of_block ? world.scene().process_of(term.block) : std::uint8_t{0};
  switch (term.kind) {
    case Term::Kind::kLiteral:
      return term.literal;
    case Term::Kind::kRegister:
      return world.reg(term.block, term.reg);
    case Term::Kind::kMemory:
      return world.alive(process) ? read_memory(world, process, term.place)
                                  : -static_cast<std::int64_t>(Errno::kSigSegv);
    case Term::Kind::kFileWord:
      return read_file(world, term.file, term.place);
    case Term::Kind::kDiskWord:
      return disk_word(world, term.file, term.place);
    case Term::Kind::kFaults:
      return world.control.agents[term.block].faults;
    case Term::Kind::kPool: {
      const HugePool& pool = world.system().pool();
      return term.label == "free" ? pool.free : pool.reserved;
    }
    case Term::Kind::kFinding:
      return broke(world.control, term.label) ? 1 : 0;
    case Term::Kind::kWaiting:
      return contains(world.waiting(), term.block) ? 1 : 0;
    case Term::Kind::kRss:
      return world.alive(process)
                 ? static_cast<std::int64_t>(mm::rss(world.system(), world.control.processes[process].id).value())
                 : 0;
    default:
      return inspect(world, process, term);
  }
}

Outcomes::Outcomes(const litmus::Program& program)
    : program_(&program), terms_(litmus::observed_terms(program)), values_(terms_.size()) {}

void Outcomes::add(World& world, std::span<const std::byte> packed) {
  const bool broken = world.broken();
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    values_[i] = value_of(world, terms_[i]);
    const bool reads = terms_[i].kind == Term::Kind::kMemory || terms_[i].kind == Term::Kind::kFileWord;
    if (reads) world.restore(packed);
  }
  count(values_, broken);
}

void Outcomes::count(const std::vector<std::int64_t>& values, bool broken) {
  const auto valuation = [&](const Term& term) {
    const auto at = std::find(terms_.begin(), terms_.end(), term);
    return at == terms_.end() ? std::int64_t{0} : values[static_cast<std::size_t>(at - terms_.begin())];
  };
  if (program_->filter && !litmus::evaluate(*program_->filter, valuation)) return;
  const bool satisfied =
      program_->quantifier == litmus::Quantifier::kNone ? broken : litmus::evaluate(program_->condition, valuation);
  Count& seen = counts_[values];
  ++seen.states;
  seen.broken += broken ? 1 : 0;
  seen.satisfied += satisfied ? 1 : 0;
  seen.broken_and_satisfied += broken && satisfied ? 1 : 0;
}

void Outcomes::fill(CheckResult& result) const {
  result.observed = terms_;
  result.stuck = stuck_;
  for (const auto& [values, count] : counts_) {
    result.outcomes.push_back({values, count.states, count.broken, count.satisfied});
    result.positive += count.satisfied;
    result.negative += count.states - count.satisfied;
    result.reference_positive += count.satisfied - count.broken_and_satisfied;
    result.reference_negative += count.states - count.broken - (count.satisfied - count.broken_and_satisfied);
    result.stats.final_states += count.states;
  }
  if (program_->quantifier == litmus::Quantifier::kNone) result.positive += stuck_;
}

}  // namespace cowherd::check
