#pragma once

#include <cstddef>
#include <string_view>

namespace cowherd::litmus {

/// How many bytes the UTF-8 character at the front of `text` has; 0 where there is none. Precondition: not empty.
std::size_t utf8_length(std::string_view text);

/// Whether a byte is a later one of a character.
constexpr bool is_utf8_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace cowherd::litmus
