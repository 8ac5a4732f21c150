#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "cowherd/result.hpp"
#include "live/keeper.hpp"

namespace cowherd::live {

/// A page of a process.
struct PageOf {
  pid_t process = 0;
  std::uint64_t address = 0;
};

/// Same-page merging (KSM), which runs when it is told to and at no other time. It merges what it finds: every page
/// that holds the same as another, where both are MADV_MERGEABLE. Not thread-safe.
class SamePages {
 public:
  /// Stops what goes on by itself. Empty, or why there is no merging here. At most once.
  std::string open(Keeper& keeper);
  /// Lets it run until the two are one page, or it has had every chance. Errno{0} where they are one now that were two;
  /// EINVAL where they were one, or a mapping is not MADV_MERGEABLE; EFAULT where no page is; EBUSY where it keeps them
  /// apart. Compare what the language says of ksm_merge.
  Errno merge(const PageOf& one, const PageOf& other, std::chrono::milliseconds patience) const;
  /// The same until the zero page is in place of the page. EINVAL where its mapping is not MADV_MERGEABLE, EFAULT where
  /// no page is, or the zero page; EBUSY where it keeps the page.
  Errno zero(const PageOf& page, std::chrono::milliseconds patience) const;
};

/// Whether the mapping there is MADV_MERGEABLE, as /proc/PID/smaps says.
bool is_mergeable(const PageOf& page);

}  // namespace cowherd::live
