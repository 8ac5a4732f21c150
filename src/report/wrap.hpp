#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cowherd::report {

/// `text` after `first`, broken at blanks so that no line passes `width` where a blank allows it; all lines but the
/// first begin with `indent`. Ends with a newline.
std::string wrapped(std::string_view first, std::string_view text, std::string_view indent, std::size_t width);

}  // namespace cowherd::report
