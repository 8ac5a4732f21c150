#pragma once

#include "check/world.hpp"

namespace cowherd::check {

/// What an operation of userfaultfd's handler comes to in the machine; `process`: whose memory it is about; `value`:
/// what the operation stores.
Result<std::int64_t> act_as_handler(World& world, std::uint8_t process, const litmus::Operation& op,
                                    std::int64_t value);

}  // namespace cowherd::check
