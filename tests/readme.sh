# Every command that the README shows prints what the README says.
set -u
"$COWHERD_SOURCE/tools/refresh-readme" --check "$COWHERD"
