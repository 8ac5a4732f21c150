#include "base/mutant.hpp"

#ifdef COWHERD_WITH_MUTANTS

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cowherd {

Mutant selected_mutant() {
  const char* wanted = std::getenv("COWHERD_MUTANT");
  if (wanted == nullptr || *wanted == '\0') return Mutant::none;
#define COWHERD_MUTANT_NAME(name, ...) \
  if (std::strcmp(wanted, #name) == 0) return Mutant::name;
  COWHERD_MUTANTS(COWHERD_MUTANT_NAME)
#undef COWHERD_MUTANT_NAME
  std::fprintf(stderr, "COWHERD_MUTANT: no mutant is called %s\n", wanted);
  std::exit(3);
}

}  // namespace cowherd

#endif
