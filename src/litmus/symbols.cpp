#include "litmus/symbols.hpp"

#include <fmt/format.h>

#include <array>

#include "cowherd/result.hpp"

namespace cowherd::litmus {
namespace {

// kWouldBlock is absent: it never leaves the machine.
constexpr std::array kConstants{
    Errno::kPerm,  Errno::kNoEntry,  Errno::kNoProcess, Errno::kNoDevice, Errno::kNoChild,
    Errno::kAgain, Errno::kNoMemory, Errno::kAccess,    Errno::kFault,    Errno::kBusy,
    Errno::kExist, Errno::kInvalid,  Errno::kHwPoison,  Errno::kSigSegv,  Errno::kSigBus,
};

}  // namespace

std::optional<std::int64_t> parse_constant(std::string_view name) {
  for (const Errno constant : kConstants) {
    if (name == name_of(constant)) return static_cast<std::int64_t>(constant);
  }
  return std::nullopt;
}

const std::vector<std::string_view>& constant_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all;
    for (const Errno constant : kConstants) all.emplace_back(name_of(constant));
    return all;
  }();
  return names;
}

std::string format_value(std::int64_t value) {
  for (const Errno constant : kConstants) {
    if (value == -static_cast<std::int64_t>(constant)) return fmt::format("-{}", name_of(constant));
  }
  return fmt::format("{}", value);
}

}  // namespace cowherd::litmus
