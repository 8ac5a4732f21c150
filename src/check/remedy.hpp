#pragma once

#include <vector>

#include "check/explore.hpp"
#include "check/result.hpp"

namespace cowherd::check {

/// The decisions of `options.rules` that, each changed alone to what cowherd decides, keep the finding's smallest
/// program from showing it: an experiment, not an opinion. Empty where no single change is enough.
std::vector<Remedy> find_remedies(Explorer& explorer, const Finding& finding, const FindingKey& key,
                                  const CheckOptions& options);

}  // namespace cowherd::check
