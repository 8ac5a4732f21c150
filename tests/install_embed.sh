# An installed copy is enough to embed the library: through find_package, and through pkg-config with a bare compiler.
set -eu
prefix=$PWD/prefix
cmake --install "$COWHERD_BUILD" --prefix "$prefix" >install.log

# Sanitizers of the build under test reach into the programs that link it.
flags=${COWHERD_SANITIZE:+-fsanitize=$COWHERD_SANITIZE}

cmake -S "$COWHERD_SOURCE/examples" -B by-cmake -G Ninja -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="$flags" \
  -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON >cmake.log
grep -q "^cowherd_DIR:.*=$prefix/" by-cmake/CMakeCache.txt
cmake --build by-cmake >>cmake.log || { cat cmake.log; exit 1; }
by-cmake/embed >by-cmake.out

if ! command -v pkg-config >/dev/null; then
  echo "pkg-config is not here: that half was not tried"
  exit 0
fi
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name cowherd.pc)")
export PKG_CONFIG_PATH
[ "$(readlink -f "$(pkg-config --variable=prefix cowherd)")" = "$(readlink -f "$prefix")" ]
# shellcheck disable=SC2046,SC2086
"$CXX" -std=c++20 $flags "$COWHERD_SOURCE/examples/embed.cpp" $(pkg-config --cflags --libs cowherd) -o by-pkg-config
./by-pkg-config >by-pkg-config.out
cmp by-cmake.out by-pkg-config.out

# Nothing installed leads back to the sources, debugging information aside.
if grep -rlF --exclude='*.a' "$COWHERD_SOURCE" "$prefix/include" "$prefix"/lib*/; then
  echo "the installed copy names the source tree"
  exit 1
fi
