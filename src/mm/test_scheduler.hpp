#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/schedule.hpp"

namespace cowherd::mm {

/// A scheduler with one agent, which always goes on: it writes down where it was asked.
class OneAgent : public Scheduler {
 public:
  unsigned suspend(Point point, Moves moves, const void* what) override {
    points.push_back(point);
    if (at_point) at_point(point);
    if (moves(what) == 0) ++refused;
    return 0;
  }
  AgentContext& agent() override { return context; }

  [[nodiscard]] std::uint64_t cached_translation(std::uint32_t mm, Vpn page) const override {
    const auto found = translations.find({mm, page});
    return found == translations.end() ? 0 : found->second;
  }
  void cache_translation(std::uint32_t mm, Vpn page, std::uint64_t entry) override { translations[{mm, page}] = entry; }
  void forget_translations(std::uint32_t mm, PageRange pages) override {
    std::erase_if(translations, [&](const auto& t) { return t.first.first == mm && pages.contains(t.first.second); });
  }
  void forget_own_translation(std::uint32_t mm, Vpn page) override { translations.erase({mm, page}); }

  AgentContext context{.live = nullptr, .held = {}, .number = 1};
  std::vector<Point> points;
  /// How often the agent was asked for something that it would have had to wait for.
  unsigned refused = 0;
  std::function<void(Point)> at_point;
  std::map<std::pair<std::uint32_t, Vpn>, std::uint64_t> translations;
};

}  // namespace cowherd::mm
