#include <cstdint>
#include <optional>
#include <utility>

#include "measure/arrangement.hpp"
#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/stall.hpp"

namespace cowherd::measure::engine {
namespace {

enum class Call : std::uint8_t { kFault, kPin };

/// us: of the calls of another thread, on pages of its own in the same address space, while fork runs.
Figure stall(const Load& load, Call call, double part) {
  constexpr std::uint64_t kCalls = 16384;
  constexpr unsigned kForks = 16;
  // Its pages, and a copy of each in every child.
  Bed bed(load, 3 * kCalls);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  AddressSpace& space = bed.space();
  const Vaddr others = bed.at(0, 1);
  const ByteCount length{kCalls * kPageBytes};
  if (!space.map_at(others, length)) return Figure::unavailable("the machine is too small");
  const auto page = [&](std::uint64_t number) { return others + ByteCount{number * kPageBytes}; };
  std::optional<AddressSpace> child;
  const Beside beside = {.ready =
                             [&] {
                               const Advice advice = call == Call::kFault ? Advice::kDontNeed : Advice::kPopulateWrite;
                               return space.advise(others, length, advice).ok();
                             },
                         .call =
                             [&](std::uint64_t number) {
                               if (call == Call::kPin)
                                 return space.pin(page(number), ByteCount{kPageBytes}, kForDevice).ok();
                               const std::byte value{stamp(number)};
                               return space.write(page(number), {&value, 1}).ok();
                             },
                         .calls = kCalls,
                         .work =
                             [&] {
                               auto made = space.fork(load.mode);
                               if (!made) return false;
                               child.emplace(*std::move(made));
                               return true;
                             },
                         .finish =
                             [&] {
                               const bool right = bed.stamped(*child);
                               child.reset();
                               return right;
                             }};
  return bed.end(stall_of(calls_beside(beside, kForks * load.repetitions), part));
}

}  // namespace

Figure fault_stall_p999(const Load& load) { return stall(load, Call::kFault, 0.999); }
Figure fault_stall_most(const Load& load) { return stall(load, Call::kFault, 1); }
Figure pin_stall_p999(const Load& load) { return stall(load, Call::kPin, 0.999); }
Figure pin_stall_most(const Load& load) { return stall(load, Call::kPin, 1); }

}  // namespace cowherd::measure::engine
