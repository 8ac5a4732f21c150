#pragma once

#include <string>
#include <string_view>

namespace cowherd::report {

/// `text` as it may stand in XML 1.0, between tags or in an attribute: markup is escaped, line ends and tabs stay, and
/// what XML cannot hold (other control characters, bytes that are not UTF-8) becomes U+FFFD.
std::string xml_text(std::string_view text);

}  // namespace cowherd::report
