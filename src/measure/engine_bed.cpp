#include "measure/engine_bed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "measure/arrangement.hpp"
#include "measure/engine_memory.hpp"

namespace cowherd::measure::engine {
namespace {

constexpr std::uint64_t kFirstPage = 1024 * kRunPages;

}  // namespace

Bed::Bed(const Load& load, std::uint64_t copies, std::uint64_t buffer, const Rules& rules)
    : load_(load), apart_((load.pages + 2 * kRunPages - 1) / kRunPages * kRunPages) {
  const std::uint64_t mapped = load.pages * load.threads;
  // Tables of parent and child, descriptors, what pins are kept in; and slack for small loads. Of tables alone twice
  // the tables of both, by far.
  const std::uint64_t frames =
      load.tables_alone ? copies + load.pins * kRunPages + mapped / 64 + 8192 : mapped + copies + mapped / 16 + 4096;
  const std::span<std::byte> memory = engine_memory(frames * kPageBytes + buffer);
  if (memory.empty()) {
    failure_ = Figure::unavailable("no memory");
    return;
  }
  buffer_ = memory.last(buffer);
  auto machine = Machine::create_in(memory.first(frames * kPageBytes), rules);
  if (!machine) {
    fail(machine.error());
    return;
  }
  machine_.emplace(*std::move(machine));
  free_at_first_ = free_frames();
  auto space = machine_->create_space();
  if (!space) {
    fail(space.error());
    return;
  }
  space_.emplace(*std::move(space));
}

void Bed::fail(Errno error) {
  if (!failure_) failure_ = Figure::unavailable(fmt::format("the machine gives {}", name_of(error)));
}

Vaddr Bed::at(std::uint64_t page, unsigned number) const {
  return Vaddr{(kFirstPage + number * apart_ + page) * kPageBytes};
}

void Bed::map() {
  for (unsigned number = 0; !failure_ && number < load_.threads; ++number) {
    auto mapped = space_->map_at(at(0, number), length());
    if (!mapped) fail(mapped.error());
    if (!load_.huge || failure_) continue;
    if (auto advised = space_->advise(at(0, number), length(), Advice::kHugePage); !advised) fail(advised.error());
  }
}

void Bed::fill() {
  for (unsigned number = 0; load_.tables_alone && !failure_ && number < load_.threads; ++number) {
    auto read = space_->advise(at(0, number), length(), Advice::kPopulateRead);
    if (!read) return fail(read.error());
  }
  if (load_.tables_alone) return;
  for (unsigned number = 0; !failure_ && number < load_.threads; ++number) {
    for (const std::uint64_t page : order_of(load_.pages, load_.shuffled)) {
      if (put(*space_, at(page, number), stamp(page))) continue;
      return fail(Errno::kNoMemory);
    }
  }
}

void Bed::unmap() {
  for (unsigned number = 0; !failure_ && number < load_.threads; ++number) {
    auto unmapped = space_->unmap(at(0, number), length());
    if (!unmapped) fail(unmapped.error());
  }
}

bool Bed::store_all(unsigned number) {
  bool fine = true;
  const auto store = [&](std::uint64_t first, std::uint64_t pages) {
    for (std::uint64_t page = first; page < first + pages; ++page) fine &= put(*space_, at(page, number), stamp(page));
  };
  if (!load_.tables_alone) store(0, load_.pages);
  for (const std::uint64_t table : written_tables_) store(table * kRunPages, kRunPages);
  return fine;
}

bool Bed::populate_all(unsigned number) { return space_->advise(at(0, number), length(), Advice::kPopulateWrite).ok(); }

void Bed::pin() {
  if (failure_ || load_.pins == 0) return;
  const auto add = [this](Vaddr address, ByteCount bytes) {
    auto pinned = space_->pin(address, bytes, kForDevice);
    if (!pinned) return fail(pinned.error());
    pins_.push_back(*std::move(pinned));
  };
  if (load_.pins >= load_.pages) return add(at(0), length());
  pinned_ = scattered(load_.pins, load_.pages);
  if (load_.tables_alone) write_tables();
  pins_.reserve(pinned_.size());
  for (const std::uint64_t page : pinned_) add(at(page), ByteCount{kPageBytes});
}

void Bed::write_tables() {
  for (const std::uint64_t page : pinned_) {
    if (written_tables_.empty() || written_tables_.back() != page / kRunPages) {
      written_tables_.push_back(page / kRunPages);
    }
  }
  for (const std::uint64_t number : order_of(written_tables_.size() * kRunPages, load_.shuffled)) {
    const std::uint64_t page = written_tables_[number / kRunPages] * kRunPages + number % kRunPages;
    if (page < load_.pages && !put(*space_, at(page), stamp(page))) return fail(Errno::kNoMemory);
  }
}

std::uint8_t Bed::held(std::uint64_t page) const {
  const bool written = !load_.tables_alone || std::ranges::binary_search(written_tables_, page / kRunPages);
  return written ? stamp(page) : std::uint8_t{0};
}

bool Bed::put(AddressSpace& space, Vaddr address, std::uint8_t value) {
  const std::byte byte{value};
  return space.write(address, {&byte, 1}).ok();
}

std::optional<std::uint8_t> Bed::get(AddressSpace& space, Vaddr address) {
  std::byte byte{};
  if (!space.read(address, {&byte, 1})) return std::nullopt;
  return static_cast<std::uint8_t>(byte);
}

bool Bed::stamped(AddressSpace& space) {
  for (unsigned number = 0; number < load_.threads; ++number) {
    for (std::uint64_t page = 0; page < load_.pages; page += kCheckEvery) {
      if (get(space, at(page, number)) != held(page)) return false;
    }
  }
  return true;
}

bool Bed::parted_from(AddressSpace& child) {
  // Of tables alone few pages are looked at: each becomes a page of its own.
  const std::uint64_t step = load_.tables_alone ? load_.pages / 64 + 1 : kCheckEvery;
  for (std::uint64_t page = 0; page < load_.pages; page += step) {
    constexpr std::uint8_t kOther = 255;
    if (!put(*space_, at(page), kOther) || get(child, at(page)) != held(page)) return false;
    if (get(*space_, at(page)) != kOther || !put(*space_, at(page), held(page))) return false;
  }
  return true;
}

bool Bed::pins_kept(AddressSpace& child) {
  for (std::size_t i = 0; i < pins_.size(); ++i) {
    const std::uint64_t first = pinned_.empty() ? 0 : pinned_[i];
    for (std::uint64_t page = 0; page < pins_[i].pages().value(); ++page) {
      const Vaddr address = at(first + page);
      const std::uint8_t old = stamp(first + page);
      std::byte& device = pins_[i].bytes(PageCount{page})[0];
      if (!put(*space_, address, 0) || device != std::byte{0} || get(child, address) != old) return false;
      device = std::byte{old};
      if (get(*space_, address) != old) return false;
    }
  }
  return true;
}

Figure Bed::end(Figure figure) {
  if (!figure.ok()) return figure;
  bool sound = machine_->verify() == nullptr;
  pins_.clear();
  space_.reset();
  sound = sound && free_frames() == free_at_first_ && machine_->verify() == nullptr;
  return sound ? figure : Figure::wrong("the machine did not end as it began");
}

}  // namespace cowherd::measure::engine
