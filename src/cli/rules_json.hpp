#pragma once

#include <string>

#include "cowherd/rules.hpp"

namespace cowherd::cli {

/// All rows, variants too: an object to a line.
std::string rows_json();
std::string rules_json(const std::string& name, const Rules& rules);
std::string difference_json(const std::string& left_name, const Rules& left, const std::string& right_name,
                            const Rules& right);

}  // namespace cowherd::cli
