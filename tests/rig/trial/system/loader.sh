# shellcheck shell=dash
# A loader of a few lines: it takes $LOAD_SECONDS, and claims 100 requests of client 1.
b=/bin/busybox

finish() {
  acknowledged=${ACKNOWLEDGED:-100}
  echo "{\"model\":\"closed\",\"asked_per_s\":null,\"seconds\":1,\"window\":{\"from_s\":0,\"to_s\":1},
    \"requests\":{\"intended\":100,\"sent\":100,\"acknowledged\":$acknowledged,\"timed_out\":0,\"failed\":0,\"overloaded\":0},
    \"throughput_per_s\":100.0,\"latency_ns\":{\"min\":1,\"p50\":2,\"p90\":3,\"p99\":4,\"p999\":5,\"p9999\":6,\"max\":7,\"mean\":2},
    \"latency_from_send_ns\":{\"p50\":2}}" >/seatrial/out/load.json
  echo "{\"schema\":1,\"count\":$acknowledged,\"clients\":[{\"client\":1,\"ranges\":[[1,$acknowledged]]}],\"duplicates\":[]}" \
    >/seatrial/out/acknowledged.json
  exit "${LOAD_EXIT:-0}"
}
trap finish TERM

echo "load with ${SEATRIAL_LOADER_ARGS:-no arguments}"
$b sleep "${LOAD_SECONDS:-0}" &
wait $!
finish
