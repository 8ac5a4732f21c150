# docs/catalogue.md lists the tests, and docs/history.md the tests of each published bug, as they are.
set -u
"$COWHERD_SOURCE/tools/refresh-catalogue" --check
