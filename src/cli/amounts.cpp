#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/arguments.hpp"

namespace cowherd::cli {
namespace {

struct Amount {
  double number = 0;
  std::string_view unit;
};

std::optional<Amount> read_amount(std::string_view text) {
  Amount amount;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount.number);
  if (error != std::errc() || !std::isfinite(amount.number) || amount.number <= 0) return std::nullopt;
  amount.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return amount;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(const std::string& text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
  static constexpr double kMost = 366.0 * 24 * 3600e3;
  const std::optional<Amount> amount = read_amount(text);
  if (!amount) return std::nullopt;
  for (const auto& [unit, factor] : kUnits) {
    if (amount->unit != unit) continue;
    const double milliseconds = std::ceil(amount->number * factor);
    if (milliseconds > kMost) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
  }
  return std::nullopt;
}

std::optional<ByteCount> parse_size(const std::string& text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},          {"K", 1024.0},      {"k", 1024.0},       {"KiB", 1024.0},     {"M", 1048576.0},
      {"m", 1048576.0}, {"MiB", 1048576.0}, {"G", 1073741824.0}, {"g", 1073741824.0}, {"GiB", 1073741824.0}};
  static constexpr double kMost = 1ull << 50;
  const std::optional<Amount> amount = read_amount(text);
  if (!amount) return std::nullopt;
  for (const auto& [unit, factor] : kUnits) {
    if (amount->unit != unit) continue;
    const double bytes = std::floor(amount->number * factor);
    if (bytes < 1 || bytes > kMost) return std::nullopt;
    return ByteCount{static_cast<std::uint64_t>(bytes)};
  }
  return std::nullopt;
}

}  // namespace cowherd::cli
