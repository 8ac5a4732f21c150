#pragma once

#include <span>
#include <string>

#include "stress/oracle.hpp"
#include "stress/record.hpp"

namespace cowherd::stress {

/// One line: when, which thread, what, where, what came of it.
std::string line_of(const Record& record, std::size_t thread);

/// What each thread did last on the page of `finding`, in any address space, up to the moment of the finding.
std::string last_operations(const Finding& finding, std::span<const Log> round);

}  // namespace cowherd::stress
