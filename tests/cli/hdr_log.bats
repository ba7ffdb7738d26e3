# Histogram logs between us and the readers that everybody uses: the same counts and percentiles, both ways.

bats_require_minimum_version 1.5.0
load ../functions

jar=/usr/share/java/hdrhistogram.jar
percentiles=(0.001 1 10 25 50 75 90 99 99.9 99.99 99.999 100)

setup() {
  tool=$SEATRIAL_BUILD/tests/cli/hdr_log
  ours=$BATS_TEST_TMPDIR/ours.hlog
  "$tool" write "$ours"
}

need_java() {
  command -v java >/dev/null || lacking "this test needs java (default-jre-headless)"
  [ -e $jar ] || lacking "this test needs $jar (libhdrhistogram-java)"
}

# What npm installs is kept in the build folder until the lock file changes.
need_javascript() {
  command -v npm >/dev/null || lacking "this test needs node and npm"
  javascript=$SEATRIAL_BUILD/tests/cli/hdr_log_js
  local source=$SEATRIAL_SOURCE/tests/cli/hdr_log
  mkdir -p "$javascript"
  cp "$source"/{percentiles.js,package.json} "$javascript"
  if ! cmp -s "$source/package-lock.json" "$javascript/installed.json"; then
    cp "$source/package-lock.json" "$javascript"
    (cd "$javascript" && npm ci --ignore-scripts --no-audit --no-fund >"$BATS_TEST_TMPDIR/npm" 2>&1) ||
      lacking "npm ci does not work here: $(tail -n 1 "$BATS_TEST_TMPDIR/npm")"
    cp "$source/package-lock.json" "$javascript/installed.json"
  fi
}

# The table of percentiles that HistogramLogProcessor makes of a tag ("-": without one), in nanoseconds.
java_read() {
  local options=(-i "$1" -outputValueUnitRatio 1)
  [ "$2" = - ] || options+=(-tag "$2")
  java -Xshare:auto -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp $jar org.HdrHistogram.HistogramLogProcessor "${options[@]}"
}

# Compares every line of the table that java_read prints with what we say of the same log and tag; but for the first, whose
# 0 is the upper end of the lowest values' range, where Java's own getValueAtPercentile(0) is the lower.
same_as_java() {
  local log=$1 tag=$2 table=$BATS_TEST_TMPDIR/table
  java_read "$log" "$tag" >"$table"
  awk '/^ *[0-9]+\.000 +[01]\.[0-9]+ +[0-9]+/ && $2 > 0 { sub(/\.000/, "", $1); printf "%.12g %s\n", 100 * $2, $1 }' "$table" >"$BATS_TEST_TMPDIR/java"
  sed -nE 's/.*Total count *= *([0-9]+)\]/count \1/p' "$table" >>"$BATS_TEST_TMPDIR/java"
  mapfile -t levels < <(sed '$d' "$BATS_TEST_TMPDIR/java" | cut -d ' ' -f 1)
  [ ${#levels[@]} -gt 50 ]
  "$tool" read "$log" "$tag" "${levels[@]}" >"$BATS_TEST_TMPDIR/we"
  diff <(sort "$BATS_TEST_TMPDIR/java") <(grep -v max "$BATS_TEST_TMPDIR/we" | sort)
}

@test "HistogramLogProcessor says of our log what we say" {
  need_java
  same_as_java "$ours" -
  grep -qx 'count 80000' "$BATS_TEST_TMPDIR/we"
  same_as_java "$ours" send
  grep -qx 'count 80000' "$BATS_TEST_TMPDIR/we"
}

@test "a log of Java's writer is the same to HistogramLogProcessor and to us" {
  need_java
  same_as_java "$SEATRIAL_SOURCE/tests/unit/lib/data/java.hlog" send
  grep -qx 'count 2997' "$BATS_TEST_TMPDIR/we"
}

@test "hdr-histogram-js says of our log what we say" {
  need_javascript
  local tag
  for tag in - send; do
    node "$javascript/percentiles.js" read "$ours" "$tag" "${percentiles[@]}" >"$BATS_TEST_TMPDIR/javascript"
    diff "$BATS_TEST_TMPDIR/javascript" <("$tool" read "$ours" "$tag" "${percentiles[@]}")
    grep -qx 'count 80000' "$BATS_TEST_TMPDIR/javascript"
  done
}

@test "we say of a log of hdr-histogram-js what it says" {
  need_javascript
  local tag theirs=$BATS_TEST_TMPDIR/theirs.hlog
  node "$javascript/percentiles.js" write "$theirs"
  for tag in - send; do
    node "$javascript/percentiles.js" read "$theirs" "$tag" "${percentiles[@]}" >"$BATS_TEST_TMPDIR/javascript"
    diff "$BATS_TEST_TMPDIR/javascript" <("$tool" read "$theirs" "$tag" "${percentiles[@]}")
  done
  grep -qx 'count 10000' "$BATS_TEST_TMPDIR/javascript"
}

# A load whose latencies the CSV says, through the loader's own writer, a line for each second.
@test "what the loader wrote reads in Java and JavaScript as load.json says" {
  need_java
  need_javascript
  awk 'BEGIN { print "client,number,intended_ns,sent_ns,latency_ns,outcome"
    for (i = 0; i < 20000; i++) printf "1,%d,%d,%d,%d,acknowledged\n", i + 1, i * 200000, i * 200000 + 500, 50000 + i * i }' >"$BATS_TEST_TMPDIR/requests.csv"
  "$SEATRIAL_BIN/loader" import "$BATS_TEST_TMPDIR/requests.csv" --out "$BATS_TEST_TMPDIR/out"
  local log=$BATS_TEST_TMPDIR/out/latency.hlog json=$BATS_TEST_TMPDIR/out/load.json
  same_as_java "$log" -
  same_as_java "$log" from-send
  node "$javascript/percentiles.js" read "$log" - 50 90 99 99.9 99.99 >"$BATS_TEST_TMPDIR/javascript"
  diff <(sed -n 's/^[0-9.]* //p' <(grep -vE '^(count|max)' "$BATS_TEST_TMPDIR/javascript")) \
    <(jq '.latency_ns | .p50, .p90, .p99, .p999, .p9999' "$json")
  grep -qx 'count 20000' "$BATS_TEST_TMPDIR/javascript"
}
