#include "stress/worker.hpp"

#include <algorithm>

namespace cowherd::stress {

namespace {

using Visit = House::Visit;
using User = House::User;

constexpr std::size_t kMostPins = 3;

template <class T>
Errno error_of(const Result<T>& result) {
  return result ? Errno{0} : result.error();
}

std::span<std::byte> bytes_of(std::uint64_t& value) { return {reinterpret_cast<std::byte*>(&value), sizeof value}; }

/// From the owner's page numbers to an offset within what a pin holds.
ByteCount offset_in(std::uint8_t page, std::uint8_t word) { return address_of(page, word) - address_of(0, 0); }

}  // namespace

Worker::Worker(House& house, unsigned number)
    : house_(house),
      system_(house.system()),
      number_(number),
      random_((house.plan().seed * 0x9E3779B97F4A7C15) ^ ((number + 1) * 0xBF58476D1CE4E5B9)) {
  log_.reserve(house.plan().operations * std::size_t{2});
}

std::uint32_t Worker::choose(std::uint32_t below) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<std::uint32_t>((random_ >> 32) % below);
}

std::uint8_t Worker::any_page() {
  // Half of all that happens, happens to one page that is never thrown away.
  return static_cast<std::uint8_t>(choose(2) == 0 ? 0 : choose(kPages));
}

Worker::Pages Worker::any_pages(std::uint8_t from) {
  const auto first = std::max(from, any_page());
  const std::uint32_t room = kPages - first;
  return {first, static_cast<std::uint8_t>(1 + choose(choose(4) == 0 ? room : 1))};
}

Worker::Pages Worker::any_mapped(std::uint8_t from) {
  const bool whole =
      house_.plan().pages == stress::Pages::kHugetlb || (house_.plan().pages == stress::Pages::kHuge && choose(2) == 0);
  if (!whole) return any_pages(from);
  const auto first = static_cast<std::uint8_t>(from == 0 && choose(2) == 0 ? 0 : kFirstDiscardable);
  return {first, static_cast<std::uint8_t>(first == 0 && choose(2) == 0 ? kPages : kFirstDiscardable)};
}

template <class Operation>
Record& Worker::timed(Action action, Life life, Operation&& operation) {
  Record record;
  record.life = life;
  record.action = action;
  record.when.begin = house_.tick();
  operation(record);
  record.when.end = house_.tick();
  log_.push_back(record);
  return log_.back();
}

void Worker::run_round() {
  for (unsigned i = 0; i < house_.plan().operations; ++i) step();
}

void Worker::step() {
  const std::uint32_t what = choose(1000);
  if (what < 250) return access(true);
  if (what < 480) return access(false);
  if (what < 600) return use_device();
  if (what < 690) return take_pin();
  if (what < 740) return drop_pin();
  if (what < 770) return ptrace(true);
  if (what < 800) return ptrace(false);
  if (what < 870) return kernel_work();
  if (what < 905) return protect();
  if (what < 930) return discard();
  if (what < 945) return change_mapping();
  if (what < 955) return populate();
  if (what < 960) return vfork_access();
  if (what < 997) return fork_or_exit();
  exec();
}

void Worker::access(bool write) {
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  const std::uint8_t page = any_page();
  access_word(visit, page, static_cast<std::uint8_t>(choose(kWords)), write);
}

void Worker::access_word(const Visit& visit, std::uint8_t page, std::uint8_t word, bool write) {
  std::uint64_t value = write ? fresh_value() : 0;
  timed(write ? Action::kWrite : Action::kRead, visit.life(), [&](Record& record) {
    record.first = page;
    record.word = word;
    const Vaddr address = address_of(page, word);
    record.error = write ? mm::write(system_, visit.process(), address, bytes_of(value)).error
                         : mm::read(system_, visit.process(), address, bytes_of(value)).error;
    record.value = value;
  });
}

void Worker::ptrace(bool write) {
  const Visit visit(house_, number_, any_slot(), User::kStranger);
  if (visit.life() == 0) return;
  const std::uint8_t page = any_page();
  const auto word = static_cast<std::uint8_t>(choose(kWords));
  std::uint64_t value = write ? fresh_value() : 0;
  timed(write ? Action::kPtraceWrite : Action::kPtraceRead, visit.life(), [&](Record& record) {
    record.first = page;
    record.word = word;
    const Vaddr address = address_of(page, word);
    record.error = write ? mm::ptrace_write(system_, visit.process(), address, bytes_of(value)).error
                         : mm::ptrace_read(system_, visit.process(), address, bytes_of(value)).error;
    record.value = value;
  });
}

/// A vfork child stores in its parent's memory, and goes.
void Worker::vfork_access() {
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  auto child = mm::vfork(system_, visit.process());
  if (!child) return;
  const std::uint8_t page = any_page();
  std::uint64_t value = fresh_value();
  timed(Action::kWrite, visit.life(), [&](Record& record) {
    record.first = page;
    record.value = value;
    record.error = mm::write(system_, *child, address_of(page, 0), bytes_of(value)).error;
  });
  (void)mm::exit(system_, *child);
  (void)mm::wait(system_, visit.process(), *child);
}

void Worker::take_pin() {
  if (pins_.size() >= kMostPins) return drop_pin();
  const unsigned slot = any_slot();
  const Visit visit(house_, number_, slot, User::kThread);
  if (visit.life() == 0) return;
  static constexpr PinFlags kChoices[] = {PinFlags::kWrite | PinFlags::kLongTerm, PinFlags::kWrite, PinFlags::kLongTerm,
                                          PinFlags::kNone, PinFlags::kWrite | PinFlags::kGet};
  const PinFlags flags = kChoices[choose(5)] | (choose(4) != 0 ? PinFlags::kFast : PinFlags::kNone);
  const Pages pages = any_pages(0);
  const std::uint32_t number = house_.next_pin();
  Result<mm::Pinned> pinned = Errno::kInvalid;
  Record& record = timed(Action::kPin, visit.life(), [&](Record& made) {
    made.first = pages.first;
    made.count = pages.count;
    made.flags = flags;
    made.other = number;
    pinned = mm::pin(system_, visit.process(), address_of(pages.first, 0), PageCount{pages.count}, flags);
    made.error = error_of(pinned);
  });
  if (!pinned) return;
  record.count = static_cast<std::uint8_t>(pinned->pages.value());
  for (std::uint8_t page = 0; page < record.count; ++page) {
    const FrameNumber frame = mm::pinned_frame(system_, pinned->id, PageCount{page});
    if (system_.descriptor(frame).use() == FrameUse::kZeroPage) {
      record.value |= std::uint64_t{1} << page;
    }
  }
  pins_.push_back({number, pinned->id, visit.life(), slot, pages.first, record.count, flags});
}

void Worker::drop_pin() {
  if (pins_.empty()) return;
  const auto at = pins_.begin() + choose(static_cast<std::uint32_t>(pins_.size()));
  const Held held = *at;
  pins_.erase(at);
  timed(Action::kUnpin, held.life, [&](Record& record) {
    record.first = held.first;
    record.count = held.count;
    record.other = held.number;
    record.flags = held.flags;
    mm::unpin(system_, held.id, has(held.flags, PinFlags::kWrite));
  });
}

/// The owner stores, the device loads, the device stores, the owner loads; now and then one of them is left out.
void Worker::use_device() {
  if (pins_.empty()) return take_pin();
  const Held& held = pins_[choose(static_cast<std::uint32_t>(pins_.size()))];
  const auto page = static_cast<std::uint8_t>(held.first + choose(held.count));
  const auto word = static_cast<std::uint8_t>(choose(kWords));
  const Visit visit(house_, number_, held.slot, User::kThread);
  const bool owner_there = visit.life() == held.life;
  if (owner_there && choose(2) == 0) access_word(visit, page, word, true);
  if (choose(4) != 0) transfer(held, page, word, false);
  if (has(held.flags, PinFlags::kWrite) && choose(2) == 0) transfer(held, page, word, true);
  if (owner_there && choose(2) == 0) access_word(visit, page, word, false);
}

void Worker::transfer(const Held& held, std::uint8_t page, std::uint8_t word, bool write) {
  std::uint64_t value = write ? fresh_value() : 0;
  timed(write ? Action::kDmaWrite : Action::kDmaRead, held.life, [&](Record& record) {
    record.first = page;
    record.word = word;
    record.other = held.number;
    const ByteCount offset = offset_in(static_cast<std::uint8_t>(page - held.first), word);
    record.error = write ? mm::dma_write(system_, held.id, offset, bytes_of(value)).error
                         : mm::dma_read(system_, held.id, offset, bytes_of(value)).error;
    record.value = value;
  });
}

void Worker::change_mapping() {
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  // The whole second table's worth, so that the table goes, or some of it.
  Pages pages = any_mapped(kFirstDiscardable);
  if (choose(3) == 0) pages = {kFirstDiscardable, kPages - kFirstDiscardable};
  const bool unmaps = choose(2) == 0;
  const auto set = [&](Record& record) {
    record.first = pages.first;
    record.count = pages.count;
  };
  if (unmaps) {
    timed(Action::kUnmap, visit.life(), [&](Record& record) {
      set(record);
      record.error = error_of(mm::munmap(system_, visit.process(), begin_of(pages), length_of(pages)));
    });
    if (choose(4) == 0) return;
  }
  timed(Action::kMap, visit.life(), [&](Record& record) {
    set(record);
    record.error = house_.map(visit.process(), pages.first, pages.count);
  });
}

void Worker::protect() {
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  const Pages pages = any_mapped(0);
  const auto change = [&](Protection protection) {
    timed(Action::kProtect, visit.life(), [&](Record& record) {
      record.first = pages.first;
      record.count = pages.count;
      record.protection = protection;
      record.error = error_of(mm::mprotect(system_, visit.process(), begin_of(pages), length_of(pages), protection));
    });
  };
  if (choose(3) != 0) change(choose(4) == 0 ? Protection::kNone : Protection::kRead);
  if (choose(8) != 0) change(Protection::kReadWrite);
}

void Worker::discard() {
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  const Pages pages = any_mapped(kFirstDiscardable);
  timed(Action::kDiscard, visit.life(), [&](Record& record) {
    record.first = pages.first;
    record.count = pages.count;
    record.error =
        error_of(mm::madvise(system_, visit.process(), begin_of(pages), length_of(pages), Advice::kDontNeed));
  });
}

void Worker::populate() {
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  const Pages pages = any_mapped(0);
  const Advice advice = choose(2) == 0 ? Advice::kPopulateRead : Advice::kPopulateWrite;
  timed(Action::kPopulate, visit.life(), [&](Record& record) {
    record.first = pages.first;
    record.count = pages.count;
    record.error = error_of(mm::madvise(system_, visit.process(), begin_of(pages), length_of(pages), advice));
  });
}

/// What other parts of a kernel do to pages behind their owner's back.
void Worker::kernel_work() {
  const Visit visit(house_, number_, any_slot(), User::kStranger);
  if (visit.life() == 0) return;
  const Pages pages = any_mapped(0);
  const bool may_be_huge = house_.plan().pages == stress::Pages::kHuge || house_.plan().pages == stress::Pages::kFolio;
  if (may_be_huge && choose(2) == 0) return change_huge(visit, pages.first);
  if (system_.has_swap() && choose(4) != 0) {
    const Vaddr at = address_of(pages.first, 0);
    const unsigned what = choose(16);
    const Action action = what == 0 ? Action::kReclaim : what < 5 ? Action::kSwapIn : Action::kSwapOut;
    timed(action, visit.life(), [&](Record& record) {
      record.first = pages.first;
      if (action == Action::kReclaim) {
        (void)mm::reclaim(system_, PageCount{4});
      } else {
        record.error = error_of(action == Action::kSwapOut ? mm::swap_out(system_, visit.process(), at)
                                                           : mm::swap_in(system_, visit.process(), at));
      }
    });
  } else if (choose(2) == 0) {
    timed(Action::kClearRefs, visit.life(), [&](Record& record) {
      record.first = pages.first;
      record.count = pages.count;
      record.error = error_of(mm::clear_refs(system_, visit.process(), begin_of(pages), length_of(pages)));
    });
  } else {
    timed(Action::kTryShare, visit.life(), [&](Record& record) {
      record.first = pages.first;
      record.error = error_of(mm::try_share(system_, visit.process(), address_of(pages.first, 0)));
    });
  }
}

/// A huge page comes apart, or its pieces are put together.
void Worker::change_huge(const Visit& visit, std::uint8_t page) {
  const Action action = choose(2) == 0 ? Action::kCollapse : Action::kSplit;
  timed(action, visit.life(), [&](Record& record) {
    record.first = page;
    const Vaddr at = address_of(page, 0);
    record.error = error_of(action == Action::kCollapse ? mm::collapse(system_, visit.process(), at)
                                                        : mm::split(system_, visit.process(), at));
  });
}

void Worker::fork_or_exit() {
  const unsigned slot = house_.own_slot(number_, choose(House::kForkedByThread));
  if (house_.is_open(slot)) return exit_slot(slot);
  const Visit visit(house_, number_, any_slot(), User::kThread);
  if (visit.life() == 0) return;
  Result<ProcessId> child = Errno::kInvalid;
  const Life life = house_.next_life();
  const auto mode = static_cast<ForkMode>(choose(3));
  timed(Action::kFork, visit.life(), [&](Record& record) {
    record.count = kPages;
    record.other = life;
    child = mm::fork(system_, visit.process(), mode);
    record.error = error_of(child);
  });
  if (!child) return;
  mm::disown(system_, *child);
  house_.open(slot, life, *child);
}

void Worker::exit_slot(unsigned slot) {
  const Life life = house_.close_to_threads(slot);
  if (life == 0) return;
  const ProcessId gone = house_.close(slot);
  timed(Action::kExit, life, [&](Record& record) {
    record.count = kPages;
    record.error = error_of(mm::exit(system_, gone));
  });
}

void Worker::exec() {
  const unsigned slot = any_slot();
  const Life life = house_.close_to_threads(slot);
  if (life == 0) return;
  const ProcessId process = house_.process_in(slot);
  timed(Action::kExec, life, [&](Record& record) {
    record.count = kPages;
    record.error = error_of(mm::exec(system_, process));
  });
  timed(Action::kMap, life, [&](Record& record) {
    record.count = kPages;
    record.error = house_.map(process, 0, kPages);
  });
  house_.open_to_threads(slot);
}

void Worker::tell_pins() {
  for (const Held& held : pins_) house_.note_pin(held.number, held.id);
}

void Worker::finish() {
  while (!pins_.empty()) drop_pin();
  for (unsigned i = 0; i < House::kForkedByThread; ++i) exit_slot(house_.own_slot(number_, i));
}

}  // namespace cowherd::stress
