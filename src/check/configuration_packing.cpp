#include <bit>

#include "check/configuration.hpp"

namespace cowherd::check {

void Configuration::pack(std::vector<std::byte>& to) const {
  std::uint8_t early = 0;
  std::uint8_t agents = 0;
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    const PartsDone& done = done_[agent];
    const int parts = std::popcount(done.pages) + (done.taken ? 1 : 0) + (done.refused ? 1 : 0);
    early = static_cast<std::uint8_t>(early + parts);
    if (parts != 0) agents = static_cast<std::uint8_t>(agents | 1u << agent);
  }
  spec::Packer out(buffer_);
  out.put(early);
  out.put(agents);
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if ((agents >> agent & 1u) == 0) continue;
    const PartsDone& done = done_[agent];
    out.put(done.pages);
    out.put(static_cast<std::uint8_t>((done.taken ? 1u : 0u) | (done.refused ? 2u : 0u)));
    out.put(done.value);
  }
  out.put(static_cast<std::uint16_t>(torn_.size()));
  for (const Torn& torn : torn_) {
    out.put(torn.agent);
    out.put(torn.page);
    out.put(torn.word);
    out.put(torn.value);
  }
  to.insert(to.end(), buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(out.size()));
  const std::span<const std::byte> bytes = spec.bytes();
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void Configuration::unpack(std::span<const std::byte> bytes) {
  spec::Unpacker in(bytes);
  (void)in.get<std::uint8_t>();
  const auto agents = in.get<std::uint8_t>();
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    PartsDone& done = done_[agent];
    done = {};
    if ((agents >> agent & 1u) == 0) continue;
    done.pages = in.get<std::uint16_t>();
    const auto flags = in.get<std::uint8_t>();
    done.taken = (flags & 1u) != 0;
    done.refused = (flags & 2u) != 0;
    done.value = in.get<std::int64_t>();
  }
  torn_.clear();
  for (auto left = in.get<std::uint16_t>(); left > 0; --left) {
    Torn torn;
    torn.agent = in.get<std::uint8_t>();
    torn.page = in.get<std::uint8_t>();
    torn.word = in.get<std::uint8_t>();
    torn.value = in.get<std::int64_t>();
    torn_.push_back(torn);
  }
  spec.assign(bytes.last(in.left()));
}

}  // namespace cowherd::check
