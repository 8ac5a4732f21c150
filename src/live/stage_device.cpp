#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "live/card.hpp"
#include "live/host.hpp"
#include "live/known.hpp"
#include "live/page_facts.hpp"
#include "live/stage.hpp"

// What the devices of a test do.

namespace cowherd::live {

using litmus::OpCode;
using litmus::Operation;

Answer Stage::by_copy(Device& device, std::uint8_t server, std::uint64_t address, std::uint64_t pages) const {
  const pid_t process = region_->channels[server].process.load();
  return answer_of(device.take_by_copy(process, address, bytes_held(device, pages), patience_));
}

bool Stage::is_mapped(std::uint8_t server, const Operation& op, std::uint64_t address) const {
  const char* const wanted = has(op.pin_flags, PinFlags::kWrite) ? " wr" : " rd";
  const pid_t process = region_->channels[server].process.load();
  return area_flags(process, address).value_or("").find(wanted) != std::string::npos;
}

/// A pipe or a transfer has the first page of each of the test's.
std::uint64_t Stage::bytes_held(const Device& device, std::uint64_t pages) const {
  const bool has_all = device.way() != Way::kPipe && !moves_once(device.way());
  return pages * (has_all ? layout_.page_bytes() : kPageBytes);
}

std::uint64_t Stage::offset_in(const Device& device, const litmus::Place& place) const {
  return bytes_held(device, place.page) + place.word * sizeof(std::int64_t);
}

std::uint64_t Stage::pages_to_ask_for(std::uint8_t server, const Operation& op) const {
  std::uint64_t pages = op.place.pages;
  const Way way = devices_[op.device]->way();
  if (pages == 1 || (!moves_once(way) && way != Way::kCard)) return pages;
  for (std::uint64_t page = 1; page < pages; ++page) {
    if (!is_mapped(server, op, address_of(op.place) + page * layout_.page_bytes())) pages = page;
  }
  return pages;
}

Answer Stage::take(std::uint8_t block, std::uint8_t process, const Operation& op) {
  const bool own = !op.target || *op.target == process;
  // Where it may have to wait, its owner is to be free meanwhile.
  std::uint8_t server = block;
  if (!own) server = has_handler_ ? channel_of_second(memory_of(*op.target)) : server_of(*op.target);
  if (!own && is_busy(server)) return {Errno{0}, 0, "two pins of another process's memory that wait", true};
  return take_from(block, server, op, pages_to_ask_for(server, op), std::nullopt);
}

Answer Stage::take_from(std::uint8_t block, std::uint8_t server, const Operation& op, std::uint64_t pages,
                        std::optional<Answer> asked) {
  Device& device = *devices_[op.device];
  const std::uint64_t address = address_of(op.place);
  // Whoever pins in one call keeps what it got before the first bad page; a ring gives that back, so it is asked again.
  for (; pages > 0; --pages) {
    Request request = device.take_request(address, bytes_held(device, pages), op.times, op.pin_flags);
    request.stride = layout_.page_bytes();
    request.block = channel_of_device(op.device);
    Answer got;
    if (asked) {
      got = *std::exchange(asked, std::nullopt);
    } else if (is_copy(device.way())) {
      got = by_copy(device, server, address, pages);
    } else {
      post(server, request);
      got = await(server);
    }
    if (got.waits) under_way_[block] = UnderWay{server, &op, pages};
    if (got.waits || !got.lost.empty()) return got;
    if (device.way() == Way::kRdma) {
      const auto made = std::span(region_->registrations[op.device]).first(static_cast<std::size_t>(got.value));
      device.note_registrations(made, got.error == Errno{0});
    }
    if (is_direct(device.way())) got = answer_of(device.taken({0, static_cast<std::int32_t>(got.error)}, patience_));
    if (device.way() == Way::kCard)
      got =
          from_card(server, got, is_mapped(server, op, address) && !is_shared(program_->variables[op.place.variable]));
    if (!got.lost.empty()) return got;
    if (got.error == Errno{0}) {
      if (device.way() == Way::kPipe) {
        pages = std::min<std::uint64_t>(pages, static_cast<std::uint64_t>(got.value) / kPageBytes);
      }
      device.hold(address, bytes_held(device, pages));
      return {Errno{0}, static_cast<std::int64_t>(pages), {}};
    }
    // Before Linux 6.5 fixed buffers were of no files.
    const bool is_ring = device.way() == Way::kRing;
    if (is_ring && static_cast<int>(got.error) == EOPNOTSUPP)
      return {Errno{0}, 0, "fixed buffers take no page of a file", true};
    if (got.error != Errno::kFault) {
      return {Errno{0}, 0,
              fmt::format("{} refuses the pages: {}", name_of(device.way()), in_words(static_cast<int>(got.error)))};
    }
  }
  // Where the pool is empty the kernel says what it says of memory that is not there; the rules tell the two apart.
  const bool of_pool = litmus::is_hugetlb(program_->variables[op.place.variable].kind);
  return {of_pool && may_lack(op) && is_mapped(server, op, address) ? Errno::kNoMemory : Errno::kFault, 0, {}};
}

/// What a driver refuses is refused before; what fails here is the device itself.
Answer Stage::transfer(std::uint8_t block, const Operation& op, std::int64_t value) {
  Device& device = *devices_[op.device];
  const std::uint64_t offset = offset_in(device, op.place);
  if (device.way() == Way::kCard) {
    Request request;
    request.ask = op.code == OpCode::kDmaRead ? Ask::kCardRead : Ask::kCardWrite;
    request.address = offset;
    request.value = value;
    const std::uint8_t channel = channel_of_device(op.device);
    return from_card(channel, ask(channel, request), true);
  }
  const Reply moved = op.code == OpCode::kDmaRead ? device.read(offset) : device.write(offset, value);
  if (moved.error == 0) return answer_of(moved);
  return lost(block, fmt::format("cannot use the device: {}: {}", name_of(device.way()), in_words(moved.error)));
}

Answer Stage::let_go(std::uint8_t block, const Operation& op) {
  Device& device = *devices_[op.device];
  Answer answer;
  if (device.way() == Way::kCard) {
    Request request;
    request.ask = Ask::kCardRelease;
    const std::uint8_t channel = channel_of_device(op.device);
    answer = from_card(channel, ask(channel, request), true);
  }
  const bool released = device.release();
  return released || !answer.lost.empty() ? answer : lost(block, "cannot give back what the device holds");
}

Answer Stage::from_card(std::uint8_t channel, Answer answer, bool mapped) const {
  if (static_cast<std::int32_t>(answer.error) != kCardSays) return answer;
  // The driver has no number for what the kernel said: of a page that it may refuse, that is taken to be it.
  if (!mapped) return {Errno::kFault, 0, {}};
  return {Errno{0}, 0, region_->channels[channel].words.data(), answer.value == kCardCannot};
}

}  // namespace cowherd::live
