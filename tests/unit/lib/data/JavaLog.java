import java.io.PrintStream;
import org.HdrHistogram.*;

/**
 * Made java.hlog and java.expected, with HdrHistogram 2.1.11; kept so that somebody can make them again:
 *
 *     java -cp /usr/share/java/hdrhistogram.jar JavaLog.java java.hlog java.expected
 */
class JavaLog {
    static final long START_MS = 1441812279474L;
    static final double[] PERCENTILES = {0, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 99.999, 100};

    static long state = 88172645463325252L;

    /** xorshift64, spread over all magnitudes up to an hour in nanoseconds. */
    static long value() {
        state ^= state << 13;
        state ^= state >>> 7;
        state ^= state << 17;
        return (state >>> (22 + Long.remainderUnsigned(state, 41))) % 3600000000000L;
    }

    static Histogram interval(int digits, int second, int records, String tag) {
        Histogram h = new Histogram(1, 3600000000000L, digits);
        for (int i = 0; i < records; i++)
            h.recordValueWithCount(value(), 1 + i % 3);
        h.setTag(tag);
        h.setStartTimeStamp(START_MS + 1000L * second);
        h.setEndTimeStamp(START_MS + 1000L * second + 1000);
        return h;
    }

    static void expect(PrintStream out, String name, Histogram h) {
        out.printf("%s count %d%n", name, h.getTotalCount());
        for (double p : PERCENTILES)
            out.printf("%s %s %d%n", name, p, h.getValueAtPercentile(p));
    }

    public static void main(String[] args) throws Exception {
        HistogramLogWriter log = new HistogramLogWriter(args[0]);
        PrintStream expected = new PrintStream(args[1]);
        log.outputComment("[made by JavaLog.java]");
        log.outputStartTime(START_MS);
        log.setBaseTime(START_MS);
        log.outputBaseTime(START_MS);
        log.outputLogFormatVersion();
        log.outputLegend();
        Histogram none = new Histogram(3600000000000L, 3), send = new Histogram(3600000000000L, 3);
        for (int second = 0; second < 3; second++) {
            Histogram h = interval(3, second, 2000, null), s = interval(3, second, 500, "send");
            log.outputIntervalHistogram(h);
            log.outputIntervalHistogram(s);
            none.add(h);
            send.add(s);
        }
        log.outputIntervalHistogram(interval(3, 3, 0, null));
        /* Five digits become three of ours: what a histogram of three digits says of the same values. */
        Histogram fine = interval(5, 3, 500, "fine"), kept = new Histogram(3600000000000L, 3);
        log.outputIntervalHistogram(fine);
        fine.recordedValues().forEach(v -> kept.recordValueWithCount(v.getValueIteratedTo(), v.getCountAtValueIteratedTo()));
        log.outputIntervalHistogram(interval(2, 3, 100, "coarse"));
        Histogram shifted = new Histogram(1, 8 * 3600000000000L, 3);
        shifted.add(interval(3, 3, 500, null));
        shifted.setTag("shifted");
        shifted.setStartTimeStamp(START_MS + 3000);
        shifted.setEndTimeStamp(START_MS + 4000);
        shifted.shiftValuesLeft(2);
        log.outputIntervalHistogram(shifted);
        DoubleHistogram real = new DoubleHistogram(3);
        real.recordValue(0.25);
        real.setTag("double");
        real.setStartTimeStamp(START_MS + 4000);
        real.setEndTimeStamp(START_MS + 5000);
        log.outputIntervalHistogram(real);
        expect(expected, "-", none);
        expect(expected, "send", send);
        expect(expected, "fine", kept);
        expect(expected, "shifted", shifted);
    }
}
