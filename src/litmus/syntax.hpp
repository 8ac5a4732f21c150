#pragma once

#include <string_view>

namespace cowherd::litmus {

/// The language on one page of plain text, for `cowherd syntax`.
std::string_view syntax_reference();

}  // namespace cowherd::litmus
