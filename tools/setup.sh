# shellcheck shell=bash disable=SC2034,SC2154
# What ./cowherd, ./test and .ci/run share: packages, configuring, building. Sourced by bash; needs `root`, the
# project's folder. Everything here speaks on stderr and returns non-zero on failure.

# The packages of each need. Debian's names.
packages_to_build=(cmake ninja-build g++ libfmt-dev nlohmann-json3-dev libcli11-dev libxxhash-dev
  libboost-context-dev liburing-dev)
packages_to_test=("${packages_to_build[@]}" libgtest-dev libgmock-dev libbenchmark-dev pkg-config python3 mandoc)
packages_to_check=("${packages_to_test[@]}" clang clang-format clang-tidy libclang-rt-14-dev git shellcheck)

say() { printf 'cowherd: %s\n' "$*" >&2; }

# need_packages NAME...: installs those that are missing. Where there is no dpkg it trusts the user.
need_packages() {
  command -v dpkg-query >/dev/null || return 0
  local missing=() name installed
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null) "
  for name in "$@"; do
    [[ $installed == *" installed:$name "* ]] || missing+=("$name")
  done
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      say "missing packages, and neither root nor sudo to install them: ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local log install
  log=$(mktemp) || return 1
  install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends
    "${missing[@]}")
  # The lists of a fresh machine are missing or old: fetch them when the first try fails.
  if ! "${install[@]}" >"$log" 2>&1 </dev/null &&
    ! { "${as_root[@]}" apt-get update -q && "${install[@]}"; } >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    say "could not install ${missing[*]}"
    return 1
  fi
  rm -f "$log"
}

# quietly LOG COMMAND...: the command's output goes to LOG, and to stderr only if it fails.
quietly() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    return 1
  fi
}

# build PRESET TARGET...: configures where needed and builds. Callers hold the preset's lock.
build() {
  local preset=$1 folder="$root/build/$1"
  shift
  # Also after the presets changed, and in a copy of a tree that was built elsewhere: both leave a stale cache behind.
  if [[ ! -e $folder/.configured || $root/CMakePresets.json -nt $folder/.configured ]] ||
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt" 2>/dev/null; then
    rm -f "$folder/.configured"
    (cd "$root" && quietly "$folder/configure.log" cmake --fresh --preset "$preset") || {
      say "could not configure the preset '$preset' (log: build/$preset/configure.log)"
      return 1
    }
    touch "$folder/.configured"
  fi
  quietly "$folder/build.log" cmake --build "$folder" --target "$@" -- --quiet || {
    say "the build failed (log: build/$preset/build.log)"
    return 1
  }
}

# locked PRESET COMMAND...: one at a time for each preset; the lock ends with the command.
locked() {
  local folder="$root/build/$1"
  shift
  mkdir -p "$folder" || return 1
  (
    flock 9 || exit 1
    "$@" 9>&-
  ) 9>"$folder/.lock"
}
