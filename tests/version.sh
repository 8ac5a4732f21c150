# The program and the build agree on the version.
set -eu
version=$(sed -n 's/^project(cowherd VERSION \([0-9.]*\).*/\1/p' "$COWHERD_SOURCE/CMakeLists.txt")
[ -n "$version" ]
[ "$("$COWHERD" --version)" = "cowherd $version" ]
