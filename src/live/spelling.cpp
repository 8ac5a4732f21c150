#include "live/spelling.hpp"

#include <sys/mman.h>

#include "litmus/spelling.hpp"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
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
    default:
      return -1;
  }
}

std::string spell(Protection protection) {
  switch (protection) {
    case Protection::kNone:
      return "PROT_NONE";
    case Protection::kRead:
      return "PROT_READ";
    case Protection::kWrite:
      return "PROT_WRITE";
    case Protection::kReadWrite:
      break;
  }
  return "PROT_READ | PROT_WRITE";
}

std::string spell(MapFlags flags) {
  std::string text = "MAP_PRIVATE | MAP_ANONYMOUS | ";
  text += has(flags, MapFlags::kFixedNoReplace) ? "MAP_FIXED_NOREPLACE" : "MAP_FIXED";
  return has(flags, MapFlags::kPopulate) ? text + " | MAP_POPULATE" : text;
}

std::string spell(Advice advice) {
  for (const auto& [name, value] : litmus::advice_words()) {
    if (value == advice) return std::string(name);
  }
  return "madvise";
}

}  // namespace cowherd::live
