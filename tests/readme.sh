# What README.md shows is what its commands print.
set -u
exec "$COWHERD_SOURCE/tools/refresh-readme" --check "$COWHERD"
