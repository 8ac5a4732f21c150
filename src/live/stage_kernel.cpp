#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "litmus/resolve.hpp"
#include "litmus/spelling.hpp"
#include "live/host.hpp"
#include "live/other_node.hpp"
#include "live/page_facts.hpp"
#include "live/poison.hpp"
#include "live/spelling.hpp"
#include "live/stage.hpp"

// What the kernel does on the side, and what it shows of a process's pages.

namespace cowherd::live {
namespace {

constexpr const char* kNotKnown = "the kernel does not say which page of a mapping is huge";

/// Before Linux 6.7 a mapping says how much of it is; nothing where that is a part.
std::optional<bool> is_huge(pid_t process, std::uint64_t address, const PageEntry& entry) {
  if (!entry.present) return false;
  return entry.huge ? entry.huge : all_or_none_is_huge(process, address);
}

}  // namespace

template <class Visit>
void Stage::for_each_page(std::uint8_t process, Visit&& visit) const {
  const PageFacts facts(pid_of(process));
  litmus::Place place;
  for (const litmus::Variable& variable : program_->variables) {
    for (std::uint32_t page = 0; page < variable.pages; ++page) {
      place.page = static_cast<std::uint8_t>(page);
      visit(facts.entry_at(address_of(place)), place);
    }
    ++place.variable;
  }
}

Answer Stage::clear_refs(std::uint8_t process) const {
  const std::string path = fmt::format("/proc/{}/clear_refs", pid_of(process));
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool done = file >= 0 && ::write(file, "4", 1) == 1;
  const int error = errno;
  if (file >= 0) ::close(file);
  return done ? Answer{} : Answer{Errno{0}, 0, path + ": " + in_words(error)};
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

Answer Stage::merge_zeros(std::uint8_t process, const litmus::Place& place) const {
  return refused_with(work_->same_pages().zero({pid_of(process), address_of(place)}, patience_));
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

/// Of a page that a huge entry maps, the kernel keeps what it knows with the first of all.
std::uint64_t Stage::frame_with_flags(std::uint64_t address, const PageEntry& entry) const {
  return entry.huge.value_or(false) ? entry.frame - address % kHugeBytes / kPageBytes : entry.frame;
}

Answer Stage::collapse(std::uint8_t process, const litmus::Place& place) {
  Request request = on_pages(Ask::kAdvise, place);
  request.address -= request.address % kHugeBytes;
  request.length = kHugeBytes;
  request.first = advice_of(Advice::kCollapse);
  Answer done = ask(server_of(process), request);
  // What is said of advice for memory that is not there, khugepaged has nobody to say to: it finds no mapping.
  if (done.error == Errno::kNoMemory && !area_flags(pid_of(process), address_of(place))) done.error = Errno::kInvalid;
  return done;
}

/// Advice for a part of what a huge entry maps makes a mapping of it, which no huge entry can be of.
Answer Stage::split(std::uint8_t process, const litmus::Place& place) {
  const pid_t pid = pid_of(process);
  const std::uint64_t address = address_of(place);
  const std::optional<bool> before = is_huge(pid, address, PageFacts(pid).entry_at(address));
  if (!before) return unfit(kNotKnown);
  if (!*before) return refused_with(Errno::kFault);
  Request request = on_pages(Ask::kAdvise, place);
  request.address += kPageBytes;
  request.length = kPageBytes;
  for (const int advice : {MADV_RANDOM, MADV_NORMAL}) {
    request.first = advice;
    Answer advised = ask(server_of(process), request);
    if (!advised.lost.empty() || advised.error != Errno{0}) return advised;
  }
  return refused_with(is_huge(pid, address, PageFacts(pid).entry_at(address)).value_or(true) ? Errno::kBusy : Errno{0});
}

Answer Stage::migrate(std::uint8_t process, const litmus::Place& place) const {
  const pid_t pid = pid_of(process);
  const std::uint64_t address = address_of(place);
  const PageEntry before = PageFacts(pid).entry_at(address);
  // Secret memory is a file's, and a process's own to a test.
  const bool secret = program_->variables[place.variable].kind == litmus::VariableKind::kSecret;
  if (!before.present || (before.of_file && !secret) || before.zero) return refused_with(Errno::kFault);
  if (move_to_another_node(pid, address) == Errno::kNoMemory) return refused_with(Errno::kNoMemory);
  const PageEntry after = PageFacts(pid).entry_at(address);
  return refused_with(after.present && after.frame == before.frame ? Errno::kBusy : Errno{0});
}

Answer Stage::poison(std::uint8_t process, const litmus::Place& place) {
  const PageEntry entry = PageFacts(pid_of(process)).entry_at(address_of(place));
  if (!entry.present || entry.of_file || entry.zero) return refused_with(Errno::kFault);
  const Errno failed = poison_frame(entry.frame);
  if (failed == Errno{0}) poisoned_.push_back(entry.frame);
  return refused_with(failed);
}

bool Stage::pool_is_whole() const {
  if (uses_.pool == 0) return true;
  const auto until = std::chrono::steady_clock::now() + patience_;
  while (!work_->pool().is_whole()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::usleep(1000);
  }
  return true;
}

bool Stage::may_lack(const litmus::Operation& op) const {
  if (uses_.pool == 0) return false;
  const HugePool::Counts counts = work_->pool().counts().value_or(HugePool::Counts{});
  std::int64_t wanted = 1;
  // A fork copies what is pinned, which may be all.
  if (op.code == litmus::OpCode::kFork) {
    wanted = 0;
    for (const litmus::Variable& variable : program_->variables) {
      if (litmus::is_hugetlb(variable.kind)) wanted += variable.pages / litmus::kHugePages;
    }
  } else if (litmus::names_variable(op)) {
    wanted = std::max<std::int64_t>(1, op.place.pages / litmus::kHugePages);
  }
  return counts.free - counts.reserved < wanted;
}

std::int64_t Stage::pages_of(std::uint8_t process) const {
  std::int64_t pages = 0;
  // Linux counts no hugetlb pages there.
  for_each_page(process, [&](const PageEntry& entry, const litmus::Place& place) {
    pages += entry.present && !entry.zero && !litmus::is_hugetlb(program_->variables[place.variable].kind);
  });
  return pages;
}

std::vector<Stage::Mapped> Stage::mapped_in_test(std::uint64_t frame) const {
  std::vector<Mapped> mapped;
  for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
    const bool process = litmus::process_of(*program_, b) == b && pid_of(b) != 0;
    // A child of vfork has no page table of its own yet.
    if (!process || server_of(b) != server_[b]) continue;
    for_each_page(b, [&](const PageEntry& entry, const litmus::Place& place) {
      if (entry.present && entry.frame == frame) mapped.push_back({b, place});
    });
  }
  return mapped;
}

Answer Stage::inspect(std::uint8_t process, const litmus::Term& term) {
  using Kind = litmus::Term::Kind;
  constexpr std::int64_t kNothing = -1;
  const auto answer = [](std::int64_t value) { return Answer{Errno{0}, value, {}}; };
  if (term.kind == Kind::kFileWord || term.kind == Kind::kDiskWord) {
    const std::uint64_t begin = term.place.page * files_.page_bytes(term.file);
    const std::uint64_t offset = begin + term.place.word * sizeof(std::int64_t);
    const bool of_file = term.kind == Kind::kFileWord;
    return answer_of(of_file ? files_.word(term.file, offset) : files_.disk_word(term.file, offset));
  }
  if (term.kind == Kind::kRss) return answer(pages_of(process));
  if (term.kind == Kind::kPool) {
    const HugePool::Counts counts = work_->pool().counts().value_or(HugePool::Counts{});
    return answer(term.label == "free" ? counts.free : counts.reserved);
  }
  const pid_t pid = pid_of(process);
  const std::uint64_t address = address_of(term.place);
  const PageEntry entry = PageFacts(pid).entry_at(address);
  switch (term.kind) {
    case Kind::kSoftDirty:
      return answer(area_flags(pid, address) ? std::int64_t{entry.soft_dirty} : kNothing);
    case Kind::kUffdWp:
      return answer(entry.uffd_wp ? 1 : 0);
    case Kind::kSwapped:
      if (!entry.present && !entry.swapped && is_file_in_memory(term.place))
        return answer(is_file_page_in_swap(process, term.place) ? 1 : 0);
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
    case Kind::kHuge: {
      const std::optional<bool> huge = is_huge(pid, address, entry);
      return huge ? answer(*huge ? 1 : 0) : Answer{Errno{0}, 0, kNotKnown, true};
    }
    case Kind::kMapcount: {
      const bool of_pool = litmus::is_hugetlb(program_->variables[term.place.variable].kind);
      return answer(static_cast<std::int64_t>(mappings_of(of_pool ? frame_with_flags(address, entry) : entry.frame)));
    }
    case Kind::kExclusive:
      return answer(is_exclusive(frame_with_flags(address, entry)) ? 1 : 0);
    default:
      return answer(0);
  }
}

}  // namespace cowherd::live
