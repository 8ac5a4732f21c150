# docs/catalogue.md lists the tests as they are.
set -u
"$COWHERD_SOURCE/tools/refresh-catalogue" --check
