# Missing packages: installed by name as root or through sudo; one clear line where neither is there.
set -eu
fail() { echo "$*"; exit 1; }
root=$PWD
source "$COWHERD_SOURCE/tools/setup.sh"

mkdir -p bin
cat >bin/dpkg-query <<'SH'
#!/bin/sh
# Knows one installed package, one removed one, and none else.
printf 'installed:here config-files:gone '
exit 1
SH
cat >bin/apt-get <<'SH'
#!/bin/sh
echo "$*" >>apt.log
[ -e lists ] || [ "$1" = update ] || { echo "no lists" >&2; exit 100; }
[ "$1" != update ] || touch lists
case "$*" in *impossible*) echo "Unable to locate package impossible"; exit 100 ;; esac
SH
chmod +x bin/*
path=$PATH
PATH=$PWD/bin:$PATH

need_packages here 2>err || fail "an installed package"
[ ! -e apt.log ] && [ ! -s err ] || fail "an installed package was installed"

if [ "$EUID" = 0 ]; then
  need_packages here gone other 2>err || { cat err; fail "installing failed"; }
  grep -q '^cowherd: installing gone other$' err || fail "no word of what is installed: $(cat err)"
  [ "$(grep -c '^install .*gone other$' apt.log)" = 2 ] && grep -q '^update' apt.log ||
    fail "not fetched the lists and tried again: $(cat apt.log)"
  if need_packages impossible >out 2>err; then fail "an unknown package"; fi
  [ ! -s out ] && grep -q 'could not install impossible' err || fail "no word of the failure"
fi

# Neither root nor sudo.
mkdir nobody
cp bin/dpkg-query nobody/
status=0
cat >as-nobody <<SH
source "$COWHERD_SOURCE/tools/setup.sh"
PATH=$PWD/nobody
need_packages other
SH
if [ "$EUID" = 0 ]; then
  PATH=$path
  command -v setpriv >/dev/null && setpriv --reuid 65534 true 2>/dev/null || exit 0
  chmod 755 . nobody
  setpriv --reuid 65534 "$BASH" ./as-nobody 2>err || status=$?
else
  "$BASH" ./as-nobody 2>err || status=$?
fi
grep -q Permission err && exit 0 # the test's folder is closed to others
[ $status = 1 ] && [ "$(wc -l <err)" = 1 ] && grep -q 'neither root nor sudo to install them: other' err ||
  { cat err; fail "status $status"; }
