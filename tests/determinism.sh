# The same input gives the same bytes, whatever the number of threads.
set -u
for format in text json ktap tap junit; do
  for jobs in 1 2 5; do
    "$COWHERD" check --format $format -v -j $jobs --rules sketch,linux-5.9-rc5,cowherd \
      "$COWHERD_SOURCE/litmus/fork-pin" "$COWHERD_SOURCE/litmus/sketch" >out.$format.$jobs 2>/dev/null
  done
  cmp out.$format.1 out.$format.2 || exit 1
  cmp out.$format.1 out.$format.5 || exit 1
done
"$COWHERD" matrix -j1 "$COWHERD_SOURCE/litmus/reuse" >out.1
"$COWHERD" matrix -j2 "$COWHERD_SOURCE/litmus/reuse" >out.2
cmp out.1 out.2 || exit 1
[[ -s out.1 && -s out.text.1 ]] || exit 1

"$COWHERD" gen --seed 5 --count 20 >out.1
"$COWHERD" gen --seed 5 --count 20 >out.2
cmp out.1 out.2 || exit 1
"$COWHERD" gen --seed 6 --count 20 >out.3
! cmp -s out.1 out.3
