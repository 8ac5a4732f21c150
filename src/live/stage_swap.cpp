#include <unistd.h>

#include <string>
#include <vector>

#include "live/host.hpp"
#include "live/page_facts.hpp"
#include "live/second_mapping.hpp"
#include "live/spelling.hpp"
#include "live/stage.hpp"

// Pages that leave memory for swap, and come back, when they are told to.

namespace cowherd::live {
namespace {

constexpr const char* kNoSecond = "what a process maps of memory that is shared cannot be mapped a second time";
constexpr const char* kOfSeveral =
    "a page that several processes map leaves memory when the kernel wants, and not when told";

}  // namespace

bool Stage::is_file_in_memory(const litmus::Place& place) const {
  const litmus::Variable& variable = program_->variables[place.variable];
  if (variable.kind != litmus::VariableKind::kFile) return variable.shared && !litmus::is_hugetlb(variable.kind);
  return program_->files[variable.file].kind == litmus::FileKind::kMemfd;
}

bool Stage::is_file_page_in_swap(std::uint8_t process, const litmus::Place& place) const {
  const SecondMapping second(pid_of(process), address_of(place));
  return second.mapped() && !second.in_core() && second.has_page();
}

Answer Stage::swap_out(std::uint8_t process, const litmus::Place& place) {
  const PageFacts facts(pid_of(process));
  const std::uint64_t address = address_of(place);
  const PageEntry before = facts.entry_at(address);
  const bool in_memory = is_file_in_memory(place);
  if (!before.present && !before.swapped && in_memory) return swap_out_unmapped(process, place);
  if (!before.present || before.zero) return refused_with(Errno::kFault);
  if (before.of_file && !in_memory) return unfit("a page of a file goes to the file, and not to swap");
  const std::vector<Mapped> mapped = mapped_in_test(before.frame);
  if (mapped.size() > 1 && before.of_file) {
    Answer dropped = drop_from_others(process, place, mapped);
    if (!dropped.lost.empty() || dropped.error != Errno{0}) return dropped;
  }
  Answer advised = advise_page(process, place, Advice::kPageOut);
  if (!advised.lost.empty()) return advised;
  if (!facts.entry_at(address).present) return refused_with(await_swapped(process, place) ? Errno{0} : Errno::kBusy);
  // The advice of one process takes nothing from another one, as reclaim would.
  if (mapped.size() > 1 && !before.of_file) return unfit(kOfSeveral);
  return refused_with(Errno::kBusy);
}

Answer Stage::advise_page(std::uint8_t process, const litmus::Place& place, Advice advice) {
  Request request = on_pages(Ask::kAdvise, place);
  request.length = kPageBytes;
  request.first = advice_of(advice);
  return ask(server_of(process), request);
}

/// The page of a file leaves all page tables but one, as reclaim takes it from them: the file has it.
Answer Stage::drop_from_others(std::uint8_t process, const litmus::Place& place, const std::vector<Mapped>& mapped) {
  for (const Mapped& other : mapped) {
    if (other.process == process && address_of(other.place) == address_of(place)) continue;
    const std::string flags = area_flags(pid_of(other.process), address_of(other.place)).value_or("");
    // Whoever has it locked keeps it for all.
    if (flags.find(" lo") != std::string::npos) return refused_with(Errno::kBusy);
    // Its handler would hear of it.
    if (flags.find(" um") != std::string::npos || flags.find(" uw") != std::string::npos) return unfit(kOfSeveral);
    Answer dropped = advise_page(other.process, other.place, Advice::kDontNeed);
    if (!dropped.lost.empty()) return dropped;
  }
  return {};
}

/// As swap_out(), of a page of a file in memory that this process has a mapping of, and not the page in it.
Answer Stage::swap_out_unmapped(std::uint8_t process, const litmus::Place& place) {
  const SecondMapping second(pid_of(process), address_of(place));
  if (!second.found()) return refused_with(Errno::kFault);
  if (!second.mapped()) return unfit(kNoSecond);
  if (!second.in_core()) return refused_with(Errno::kFault);
  const auto frame = second.show();
  if (!frame) return unfit(kNoSecond);
  const std::vector<Mapped> mapped = mapped_in_test(*frame);
  Answer dropped = drop_from_others(process, place, mapped);
  if (!dropped.lost.empty() || dropped.error != Errno{0}) return dropped;
  return refused_with(second.page_out() ? Errno{0} : Errno::kBusy);
}

/// Whoever holds the page keeps it in the swap cache; whoever only writes it to swap, for a moment.
bool Stage::await_swapped(std::uint8_t process, const litmus::Place& place) {
  for (unsigned tries = 0; tries < kMillisecondsToLeave; ++tries) {
    if (ask(server_of(process), on_pages(Ask::kInCore, place)).value == 0) return true;
    ::usleep(1000);
  }
  return false;
}

Answer Stage::swap_in(std::uint8_t process, const litmus::Place& place) {
  const PageEntry before = PageFacts(pid_of(process)).entry_at(address_of(place));
  if (!before.present && !before.swapped && is_file_in_memory(place)) {
    const SecondMapping second(pid_of(process), address_of(place));
    if (!second.found()) return refused_with(Errno::kFault);
    if (!second.mapped()) return unfit(kNoSecond);
    if (second.in_core() || !second.has_page()) return refused_with(Errno::kFault);
    return refused_with(second.bring_in() ? Errno{0} : Errno::kNoMemory);
  }
  if (!before.swapped) return refused_with(Errno::kFault);
  Answer read = ask(server_of(process), on_pages(Ask::kLoad, place));
  read.value = 0;
  return read;
}

}  // namespace cowherd::live
