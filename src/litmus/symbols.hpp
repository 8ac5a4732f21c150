#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cowherd::litmus {

// The names of values: a result is a number, or the negative of an errno or signal number of cowherd::Errno.

/// What `name` ("ENOMEM", "SIGSEGV") stands for, positive; nothing where no such constant exists.
std::optional<std::int64_t> parse_constant(std::string_view name);

/// Every name that parse_constant() knows.
const std::vector<std::string_view>& constant_names();

/// A value as tests write it: "2", "-ENOMEM", "-SIGSEGV"; a negative number without a name is printed as such.
std::string format_value(std::int64_t value);

}  // namespace cowherd::litmus
