# tools/build-test-kernel: on a source that only looks like Linux, what it asks of the build, in which order, and what it says.
set -eu
[[ $(uname -s) == Linux ]] || exit 77
tool=$COWHERD_SOURCE/tools/build-test-kernel

"$tool" --help | grep -q -- '--configure'
status=0
"$tool" --nosuch 2>error || status=$?
[[ $status == 3 ]] && grep -q 'no such option: --nosuch' error

# What a build needs and is not here is named.
status=0
PATH=/nowhere "$BASH" "$tool" kernel 2>error || status=$?
[[ $status != 0 ]]
for program in flex bison bc xz; do
  command -v $program >/dev/null && continue
  echo "no $program: the rest was not tried"
  exit 0
done
printf '#include <gelf.h>\n' | gcc -E - >/dev/null 2>&1 || { echo "no libelf-dev: the rest was not tried"; exit 0; }

# A kernel that knows all symbols but one.
mkdir -p linux-9.9/scripts/kconfig
cat >linux-9.9/Makefile <<'MAKE'
tinyconfig:
	@echo '# smallest' >.config
olddefconfig:
	@grep -v '^CONFIG_KSM=' .config >.config.new && mv .config.new .config
bzImage:
	@mkdir -p arch/x86/boot && cp .config arch/x86/boot/bzImage
MAKE
printf '#!/bin/sh\n[ "$1" = -m ] && cat "$3" >>"$2"\n' >linux-9.9/scripts/kconfig/merge_config.sh
chmod +x linux-9.9/scripts/kconfig/merge_config.sh
tar -cJf linux.tar.xz linux-9.9

[[ $("$tool" --configure --source linux.tar.xz "$PWD/kernel" 2>missing) == "$PWD/kernel/source/.config" ]]
grep -qx 'CONFIG_GUP_TEST=y' kernel/source/.config
diff missing - <<<'build-test-kernel: not in this kernel: CONFIG_KSM=y'
[[ ! -e kernel/source/arch ]]
image=$("$tool" --jobs 2 --source linux.tar.xz "$PWD/kernel" 2>/dev/null)
[[ $image == "$PWD/kernel/source/arch/x86/boot/bzImage" && -f $image ]]

# Another source takes the place of the one before.
mv linux-9.9 linux-10.0
touch linux-10.0/newer
tar -cJf newer.tar.xz linux-10.0
"$tool" --configure --source newer.tar.xz "$PWD/kernel" >/dev/null 2>&1
[[ -e kernel/source/newer ]]
status=0
"$tool" --source nosuch.tar.xz "$PWD/kernel" 2>error || status=$?
[[ $status == 3 ]] && grep -q 'no such file' error
