#include "stress/record.hpp"

#include <array>

namespace cowherd::stress {

std::string_view name_of(Action action) {
  static constexpr std::array kNames{
#define COWHERD_STRESS_ACTION(name, text) std::string_view(text),
      COWHERD_STRESS_ACTIONS(COWHERD_STRESS_ACTION)
#undef COWHERD_STRESS_ACTION
  };
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace cowherd::stress
