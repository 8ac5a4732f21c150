#include "check/call.hpp"

namespace cowherd::check {

using Kind = Call::Kind;

void pack_call(spec::Packer& out, const Call& call) {
  out.put(call.kind);
  for (const std::uint8_t number : {call.process, call.child, call.device, call.page, call.count, call.word}) {
    out.put(number);
  }
  out.put(call.backing.file.value());
  out.put(call.backing.first);
  out.put(static_cast<std::uint8_t>(call.backing.shared ? 1 : 0));
  out.put(call.protection);
  out.put(call.map_flags);
  out.put(call.advice);
  out.put(call.pin_flags);
  out.put(call.value);
  if (has_uffd(call.kind)) out.put(call.uffd);
  if (call.kind != Kind::kMremap) return;
  for (const std::uint8_t number : {call.remap.first, call.remap.count, call.remap.to, call.remap.to_count}) {
    out.put(number);
  }
  out.put(call.remap.flags);
}

void unpack_call(spec::Unpacker& in, Call& call) {
  call.kind = in.get<Kind>();
  for (std::uint8_t* number : {&call.process, &call.child, &call.device, &call.page, &call.count, &call.word}) {
    *number = in.get<std::uint8_t>();
  }
  call.backing.file = spec::FileNumber{in.get<std::uint8_t>()};
  call.backing.first = in.get<std::uint8_t>();
  call.backing.shared = in.get<std::uint8_t>() != 0;
  call.protection = in.get<Protection>();
  call.map_flags = in.get<MapFlags>();
  call.advice = in.get<Advice>();
  call.pin_flags = in.get<PinFlags>();
  call.value = in.get<std::int64_t>();
  call.uffd = has_uffd(call.kind) ? in.get<UffdFlags>() : UffdFlags::kNone;
  if (call.kind != Kind::kMremap) return;
  spec::Remap& remap = call.remap;
  for (std::uint8_t* number : {&remap.first, &remap.count, &remap.to, &remap.to_count}) {
    *number = in.get<std::uint8_t>();
  }
  remap.flags = in.get<RemapFlags>();
}

}  // namespace cowherd::check
