#include "live/spelling.hpp"

#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace cowherd::live {

int protection_of(Protection protection) {
  int number = PROT_NONE;
  if (has(protection, Protection::kRead)) number |= PROT_READ;
  if (has(protection, Protection::kWrite)) number |= PROT_WRITE;
  return number;
}

int map_flags_of(MapFlags flags) {
  int number = MAP_PRIVATE | MAP_ANONYMOUS;
  number |= has(flags, MapFlags::kFixedNoReplace) ? MAP_FIXED_NOREPLACE : MAP_FIXED;
  if (has(flags, MapFlags::kPopulate)) number |= MAP_POPULATE;
  return number;
}

int remap_flags_of(RemapFlags flags) {
  int number = 0;
  if (has(flags, RemapFlags::kMayMove)) number |= MREMAP_MAYMOVE;
  if (has(flags, RemapFlags::kFixed)) number |= MREMAP_FIXED;
  if (has(flags, RemapFlags::kDontUnmap)) number |= MREMAP_DONTUNMAP;
  return number;
}

int advice_of(Advice advice) {
  switch (advice) {
    case Advice::kDontNeed:
      return MADV_DONTNEED;
    case Advice::kDontFork:
      return MADV_DONTFORK;
    case Advice::kDoFork:
      return MADV_DOFORK;
    case Advice::kWipeOnFork:
      return MADV_WIPEONFORK;
    case Advice::kKeepOnFork:
      return MADV_KEEPONFORK;
    case Advice::kPopulateRead:
      return MADV_POPULATE_READ;
    case Advice::kPopulateWrite:
      return MADV_POPULATE_WRITE;
    case Advice::kMergeable:
      return MADV_MERGEABLE;
    case Advice::kUnmergeable:
      return MADV_UNMERGEABLE;
    case Advice::kCold:
      return MADV_COLD;
    case Advice::kPageOut:
      return MADV_PAGEOUT;
    case Advice::kFree:
      return MADV_FREE;
    case Advice::kRemove:
      return MADV_REMOVE;
    case Advice::kHugePage:
      return MADV_HUGEPAGE;
    case Advice::kNoHugePage:
      return MADV_NOHUGEPAGE;
    case Advice::kCollapse:
      return MADV_COLLAPSE;
    default:
      return -1;
  }
}

std::string placing_text(MapFlags flags) {
  const std::string text = has(flags, MapFlags::kFixedNoReplace) ? "MAP_FIXED_NOREPLACE" : "MAP_FIXED";
  return has(flags, MapFlags::kPopulate) ? text + " | MAP_POPULATE" : text;
}

}  // namespace cowherd::live
