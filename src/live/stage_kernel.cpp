#include <sys/mman.h>

#include "litmus/resolve.hpp"
#include "live/host.hpp"
#include "live/page_facts.hpp"
#include "live/spelling.hpp"
#include "live/stage.hpp"

// What the kernel does on the side, and what it shows of a process's pages.

namespace cowherd::live {
namespace {

Answer refused_with(Errno error) { return {error, 0, {}}; }

Answer unfit(std::string why) { return {Errno{0}, 0, std::move(why), true}; }

}  // namespace

template <class Visit>
void Stage::for_each_page(std::uint8_t process, Visit&& visit) const {
  const PageFacts facts(pid_of(process));
  litmus::Place place;
  for (const litmus::Variable& variable : program_->variables) {
    for (std::uint32_t page = 0; page < variable.pages; ++page) {
      place.page = static_cast<std::uint8_t>(page);
      visit(facts.entry_at(address_of(place)));
    }
    ++place.variable;
  }
}

Answer Stage::swap_out(std::uint8_t process, const litmus::Place& place) {
  const PageFacts facts(pid_of(process));
  const std::uint64_t address = address_of(place);
  const PageEntry before = facts.entry_at(address);
  if (!before.present || before.of_file || is_zero_page(before.frame)) return refused_with(Errno::kFault);
  const std::size_t mappings = mappings_in_test(before.frame);
  Request request = on_pages(Ask::kAdvise, place);
  request.length = kPageBytes;
  request.first = advice_of(Advice::kPageOut);
  Answer advised = ask(server_of(process), request);
  if (!advised.lost.empty()) return advised;
  if (!facts.entry_at(address).present) return {};
  // The advice of one process takes nothing from another one, as reclaim would.
  if (mappings > 1)
    return unfit("a page that several processes map leaves memory when the kernel wants, and not when told");
  return refused_with(Errno::kBusy);
}

Answer Stage::swap_in(std::uint8_t process, const litmus::Place& place) {
  if (!PageFacts(pid_of(process)).entry_at(address_of(place)).swapped) return refused_with(Errno::kFault);
  Answer read = ask(server_of(process), on_pages(Ask::kLoad, place));
  read.value = 0;
  return read;
}

Answer Stage::merge(std::uint8_t process, const litmus::Operation& op) {
  const std::pair first(op.target.value_or(process), address_of(op.place));
  const std::pair second(op.to_target.value_or(process), address_of(op.to));
  const PageOf one{pid_of(first.first), first.second};
  const PageOf other{pid_of(second.first), second.second};
  const Errno merged = work_->same_pages().merge(one, other, patience_);
  const bool one_page = merged == Errno::kInvalid && is_mergeable(one) && is_mergeable(other);
  if (one_page && (!merged_.contains(first) || !merged_.contains(second))) {
    return unfit("KSM has merged these before it was to: it merges all that hold the same");
  }
  if (merged == Errno{0}) merged_.insert({first, second});
  return refused_with(merged);
}

/// A mapping that is no longer MADV_MERGEABLE has no merged pages; it may have them again.
Answer Stage::part(std::uint8_t process, const litmus::Place& place) {
  Request request = on_pages(Ask::kAdvise, place);
  const bool again = is_mergeable({pid_of(process), request.address});
  request.first = advice_of(Advice::kUnmergeable);
  Answer parted = ask(server_of(process), request);
  if (!again || parted.error != Errno{0} || !parted.lost.empty()) return parted;
  request.first = advice_of(Advice::kMergeable);
  return ask(server_of(process), request);
}

std::int64_t Stage::pages_of(std::uint8_t process) const {
  std::int64_t pages = 0;
  for_each_page(process, [&pages](const PageEntry& entry) { pages += entry.present && !is_zero_page(entry.frame); });
  return pages;
}

std::size_t Stage::mappings_in_test(std::uint64_t frame) const {
  std::size_t mappings = 0;
  for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
    const bool process = litmus::process_of(*program_, b) == b && pid_of(b) != 0;
    // A child of vfork has no page table of its own yet.
    if (!process || server_of(b) != server_[b]) continue;
    for_each_page(b, [&](const PageEntry& entry) { mappings += entry.present && entry.frame == frame ? 1u : 0u; });
  }
  return mappings;
}

Answer Stage::inspect(std::uint8_t process, const litmus::Term& term) {
  using Kind = litmus::Term::Kind;
  constexpr std::int64_t kNothing = -1;
  const auto answer = [](std::int64_t value) { return Answer{Errno{0}, value, {}}; };
  const std::uint64_t offset = term.place.page * kPageBytes + term.place.word * sizeof(std::int64_t);
  if (term.kind == Kind::kFileWord) return answer_of(files_.word(term.file, offset));
  if (term.kind == Kind::kDiskWord) return answer_of(files_.disk_word(term.file, offset));
  if (term.kind == Kind::kRss) return answer(pages_of(process));
  const pid_t pid = pid_of(process);
  const std::uint64_t address = address_of(term.place);
  const PageEntry entry = PageFacts(pid).entry_at(address);
  switch (term.kind) {
    case Kind::kSoftDirty:
      return answer(area_flags(pid, address) ? std::int64_t{entry.soft_dirty} : kNothing);
    case Kind::kSwapped:
      return answer(entry.swapped ? 1 : 0);
    case Kind::kSwapCache:
      if (entry.present) return answer(is_in_swap_cache(entry.frame) ? 1 : 0);
      return entry.swapped ? ask(server_of(process), on_pages(Ask::kInCore, term.place)) : answer(0);
    default:
      break;
  }
  if (!entry.present) return answer(kNothing);
  switch (term.kind) {
    case Kind::kFrame:
      return answer(static_cast<std::int64_t>(entry.frame));
    case Kind::kMapcount:
      return answer(static_cast<std::int64_t>(mappings_of(entry.frame)));
    case Kind::kExclusive:
      return answer(is_exclusive(entry.frame) ? 1 : 0);
    default:
      return answer(0);
  }
}

}  // namespace cowherd::live
