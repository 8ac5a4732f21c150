# The lockless protocols cut down to C11 programs: each holds in every way that our model of weak memory allows, each
# variant that is wrong on purpose fails there, and this machine's own threads keep to it. GenMC and herd7 where there.
set -u
"$COWHERD_SOURCE/tests/weak-memory/check"
