// percentiles.js read LOG TAG PERCENTILE...: as `hdr_log read`, by hdr-histogram-js.
// percentiles.js write LOG: a log as hdr-histogram-js writes it.
const fs = require("fs");
const hdr = require("hdr-histogram-js");

const HOUR_NS = 3600e9;
const build = () => hdr.build({ bitBucketSize: 64, highestTrackableValue: HOUR_NS, numberOfSignificantValueDigits: 3 });

function read(log, tag, percentiles) {
  const reader = new hdr.HistogramLogReader(fs.readFileSync(log, "utf8"), 64);
  const sum = build();
  for (let h; (h = reader.nextIntervalHistogram()) !== null;) {
    if (h.tag === (tag === "-" ? "NO TAG" : tag)) sum.add(h);
  }
  console.log(`count ${sum.totalCount}`);
  console.log(`max ${sum.maxValue}`);
  for (const p of percentiles) console.log(`${p} ${sum.getValueAtPercentile(Number(p))}`);
}

function write(log) {
  let text = "";
  const start = 1763650000123;
  const writer = new hdr.HistogramLogWriter((piece) => { text += piece; });
  writer.outputComment("[made by percentiles.js]");
  writer.outputStartTime(start);
  writer.outputLogFormatVersion();
  writer.outputLegend();
  let value = 1;
  for (let second = 0; second < 3; second++) {
    const h = build();
    for (let i = 0; i < 5000; i++) {
      value = (value * 16807) % 2147483647;
      h.recordValue(Math.floor(value / 2 ** (value % 25)));
    }
    if (second !== 1) h.tag = "send";
    h.startTimeStampMsec = start + 1000 * second;
    h.endTimeStampMsec = start + 1000 * (second + 1);
    writer.outputIntervalHistogram(h);
  }
  fs.writeFileSync(log, text);
}

const [command, log, tag, ...percentiles] = process.argv.slice(2);
if (command === "read") read(log, tag, percentiles);
else if (command === "write") write(log);
else process.exit(2);
