# The include checker accepts each kind of edge that is allowed and names each one that is not.
set -eu
check="$COWHERD_SOURCE/tools/check-include-edges"
mkdir -p cmake include/cowherd src/{base,frame,mm,spec,litmus,check} examples bench tests/stress
cp "$COWHERD_SOURCE/cmake/edges.txt" cmake/

printf '#include "cowherd/b.hpp"\n#include <vector>\n' >include/cowherd/a.hpp
printf '#include "base/x.hpp"\n#include "cowherd/a.hpp"\n' >src/frame/good.hpp
printf '#include "mm/pin.hpp"\n#include <gtest/gtest.h>\n' >src/mm/fork_test.cpp
printf '#include "mm/pin.hpp"\n#include <gtest/gtest.h>\n' >src/mm/test_machine.hpp
printf '#include "mm/test_machine.hpp"\n' >src/mm/pin_test.cpp
printf '#include <fmt/core.h>\n' >src/litmus/good.cpp
printf '#include "mm/machine.hpp"\n#include <xxhash.h>\n' >src/check/good.cpp
printf '#include <cowherd/a.hpp>\n' >examples/embed.cpp
printf '#include "check/explorer.hpp"\n#include <benchmark/benchmark.h>\n' >bench/all_bench.cpp
printf '#pragma once\n' >tests/stress/house.hpp
printf '#include "stress/house.hpp"\n#include "mm/machine.hpp"\n' >tests/stress/main.cpp
python3 "$check" . >out || { cat out; exit 1; }

# expect FILE INCLUDE REASON: one bad line is found, alone, and explained.
expect() {
  local before=""
  [ -e "$1" ] && before=$(cat "$1")
  printf '%s\n#include %s\n' "$before" "$2" >"$1"
  if python3 "$check" . >out; then
    echo "accepted: $1 includes $2"
    exit 1
  fi
  grep -qF "$3" out && grep -q ' 1 faults$' out || { echo "for $1 $2:"; cat out; exit 1; }
  if [ -n "$before" ]; then printf '%s\n' "$before" >"$1"; else rm "$1"; fi
}
expect include/cowherd/a.hpp '"base/x.hpp"' "include/cowherd/a.hpp:3: base/x.hpp: include may not include base"
expect src/base/bad.hpp '"frame/x.hpp"' "base may not include frame"
expect src/spec/bad.cpp '"mm/machine.hpp"' "spec may not include mm"
expect src/spec/bad_test.cpp '"mm/machine.hpp"' "spec may not include mm"
expect src/litmus/bad.cpp '"check/explorer.hpp"' "litmus may not include check"
expect src/mm/fork.cpp '"mm/pin.hpp"' "never the pinner"
expect src/mm/bad.cpp '"mm/test_machine.hpp"' "nothing of its tests"
expect src/mm/bad.cpp '"pin.hpp"' "write the path from src/ or include/"
expect src/mm/bad.cpp '"../mm/pin.hpp"' "write the path from src/ or include/"
expect src/mm/bad.cpp '<fmt/core.h>' "mm may not use fmt"
expect src/mm/bad.cpp '<gtest/gtest.h>' "mm may not use GoogleTest"
expect src/mm/bad.cpp '<cowherd/a.hpp>' "in quotes"
expect examples/embed.cpp '"mm/machine.hpp"' "public headers only"
expect tests/stress/bad.cpp '"stress/nosuch.hpp"' "write the path from src/ or include/"
mkdir src/novel
expect src/novel/bad.cpp '<vector>' "no line in cmake/edges.txt"
