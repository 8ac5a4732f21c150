#include <algorithm>

#include "check/reference.hpp"

namespace cowherd::check {

std::span<const std::byte> Reference::bytes() const {
  if (packed_is_current_) return std::span(packed_).first(packed_size_);
  if (loaded_) {
    pasts_[0].clear();
    past_.pack(pasts_[0]);
  }
  spec::Packer out(packed_);
  pack_calls(out);
  out.put(static_cast<std::uint16_t>(pasts_.size()));
  for (const Bytes& past : pasts_) {
    out.put(static_cast<std::uint32_t>(past.size()));
    out.put_bytes(past);
  }
  packed_size_ = out.size();
  packed_is_current_ = true;
  return std::span(packed_).first(packed_size_);
}

void Reference::assign(std::span<const std::byte> bytes) {
  if (packed_.size() < bytes.size()) packed_.resize(2 * bytes.size());
  std::copy(bytes.begin(), bytes.end(), packed_.begin());
  packed_size_ = bytes.size();
  packed_is_current_ = true;
  parsed_ = false;
}

void Reference::parse() const {
  if (parsed_) return;
  spec::Unpacker in(std::span<const std::byte>(packed_).first(packed_size_));
  unpack_calls(in);
  pasts_.resize(in.get<std::uint16_t>());
  for (Bytes& past : pasts_) {
    const std::span<const std::byte> bytes = in.get_bytes(in.get<std::uint32_t>());
    past.assign(bytes.begin(), bytes.end());
  }
  loaded_ = false;
  parsed_ = true;
}

void Reference::pack_calls(spec::Packer& out) const {
  std::uint8_t processes = 0;
  for (std::uint8_t p = 0; p < kBlocks; ++p) {
    if (space_of_[p] != kNoSpace) processes = static_cast<std::uint8_t>(processes | 1u << p);
  }
  out.put(processes);
  for (const spec::SpaceId space : space_of_) {
    if (space != kNoSpace) out.put(space.value());
  }
  out.put(in_flight_.agents);
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if (!in_flight_.has(agent)) continue;
    const Pending& pending = in_flight_.pending[agent];
    pack_call(out, pending.call);
    out.put(pending.space.value());
    out.put(pending.fresh.value());
    out.put(static_cast<std::uint8_t>(pending.drops ? 1 : 0));
    if (!pending.is_of_debugger()) continue;
    out.put(pending.left);
    out.put(pending.orphans);
  }
}

void Reference::unpack_calls(spec::Unpacker& in) const {
  const auto processes = in.get<std::uint8_t>();
  for (std::uint8_t p = 0; p < kBlocks; ++p) {
    space_of_[p] = (processes >> p & 1u) != 0 ? spec::SpaceId{in.get<std::uint8_t>()} : kNoSpace;
  }
  in_flight_.agents = in.get<std::uint8_t>();
  for (std::uint8_t agent = 0; agent < kBlocks; ++agent) {
    if (!in_flight_.has(agent)) continue;
    Pending& pending = in_flight_.pending[agent];
    unpack_call(in, pending.call);
    pending.space = spec::SpaceId{in.get<std::uint8_t>()};
    pending.fresh = spec::SpaceId{in.get<std::uint8_t>()};
    pending.drops = in.get<std::uint8_t>() != 0;
    const bool debugger = pending.is_of_debugger();
    pending.left = debugger ? in.get<std::uint16_t>() : std::uint16_t{0};
    pending.orphans = debugger ? in.get<std::uint16_t>() : std::uint16_t{0};
  }
}

}  // namespace cowherd::check
