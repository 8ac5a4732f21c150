#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// MADV_COLLAPSE: a huge page takes the place of each aligned run of pages within `range`. EINVAL, EAGAIN, ENOMEM as
/// collapse(); the runs before the first that fails have been treated. Compare Linux mm/khugepaged.c:
/// madvise_collapse().
template <class G>
Result<void> collapse_range(System<G>& system, Mm& mm, PageRange range);

}  // namespace cowherd::mm
