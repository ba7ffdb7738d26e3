# shellcheck shell=dash
# A system under test of a few lines: it is healthy, and on SIGTERM says what a replica has to say.
# What it says wrong is chosen by the environment, for the container whose index is $ODD_ONE.
b=/bin/busybox

finish() {
  height=100 digest=cafe ranges='[[1,100]]' count=100 duplicates='[]'
  if [ "$SEATRIAL_INDEX" = "$ODD_ONE" ]; then
    case $ODD in
      height) height=99 ;;
      digest) digest=beef ;;
      lost) ranges='[[1,41],[43,100]]' count=99 ;;
      doubled) count=101 duplicates='[{"client":1,"number":42,"times":2}]' ;;
    esac
  fi
  echo "{\"height\": $height, \"digest\": \"$digest\"}" >/seatrial/out/state.json
  echo "{\"schema\":1,\"count\":$count,\"clients\":[{\"client\":1,\"ranges\":$ranges}],\"duplicates\":$duplicates}" \
    >/seatrial/out/executed.json
  echo "last words of $SEATRIAL_INDEX"
  exit 0
}
trap finish TERM

echo "replica $SEATRIAL_INDEX of run $SEATRIAL_RUN, memory ${SEATRIAL_IN_MEMORY:-no}"
if [ "$SEATRIAL_INDEX" = "$ODD_ONE" ]; then
  case $ODD in
    crash) echo "planted: cannot go on" >&2 && exit 3 ;;
    crash-later) echo >/seatrial/out/ready && $b sleep 1 && exit 139 ;; # what a SIGSEGV looks like
    core) exec /bin/crash ;;
    core-wrapped) /bin/crash || exit $? ;;
    core-child) /bin/crash child ;;
    core-sorting) exec /usr/bin/crash sorting ;;
    sick) $b sleep 3600 & wait $! ;;
  esac
fi
$b grep -q "name: \"[a-z0-9-]*-replica-1\"" /seatrial/cluster.yaml && echo >/seatrial/out/ready
while :; do
  $b sleep 3600 &
  wait $!
done
