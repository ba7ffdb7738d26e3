/* What is read from gdb's words, and how it is called. */

#include "lib/cleanup.h"
#include "runner/collect/backtrace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MARK "#0  main () at no.c:1\n\n== the thread that was ended ==\n"

static void is(const char *text, const char *function, const char *file, unsigned line) {
    struct backtrace_frame frame;
    assert_true(backtrace_top(text, &frame));
    assert_string_equal(frame.function, function);
    assert_string_equal(frame.file, file);
    assert_int_equal(frame.line, line);
}

static void the_innermost_frame_with_a_line_is_the_one(void **state) {
    (void)state;
    is(MARK "#0  give_up (witness=1) at /src/a b.c:31\n#1  main () at x.c:9\n", "give_up",
       "/src/a b.c", 31);
    is(MARK "#0  __pthread_kill_implementation (signo=6) from /lib/libc.so.6\n"
            "#1  0x00007f0 in raise () from /lib/libc.so.6\n"
            "#2  0x00007f1 in abort () from /lib/libc.so.6\n"
            "#3  0x00401136 in check (what=0x40 \"at 7:3 o'clock\", n=1) at pool.c:42\n"
            "#4  main () at x.c:9\n",
       "check", "pool.c", 42);
    is(MARK "#0  ns::f<int> (this=0x0) at f.cc:12\nNo locals.\n#1  g () at g.cc:1\n", "ns::f<int>",
       "f.cc", 12);
}

static void without_lines_it_is_the_innermost(void **state) {
    (void)state;
    is(MARK "#0  0x0000000000401136 in ?? ()\n#1  0x0 in start () from /lib/ld.so\n", "??", "", 0);
    is(MARK "#0  <signal handler called>\n#1  0x1 in f ()\n", "<signal handler called>", "", 0);
    is(MARK "#0  f () at nowhere\n", "f", "", 0);
    is(MARK "#0  f () at x.c:99999999999999\n", "f", "", 0);
}

static void without_frames_there_is_none(void **state) {
    (void)state;
    struct backtrace_frame frame;
    static const char *const texts[] = {
        "", "#0  main () at x.c:1\n", MARK, MARK "No stack.\n", MARK "#\n", MARK "#x\n", MARK "#1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(backtrace_top(texts[i], &frame));
}

static void names_of_files_are_words_of_the_command(void **state) {
    (void)state;
    const struct backtrace_want want = {
        .core = "/r/core 'x'; rm", .program = "/r/$(p)", .root = "/r/ro ot"};
    cleanup_free char *by_hand = backtrace_by_hand(&want);
    assert_string_equal(by_hand, "gdb -q -nx -iex 'set auto-load off' -iex 'set sysroot /r/ro ot' "
                                 "-iex 'set debug-file-directory /usr/lib/debug:/r/ro "
                                 "ot/usr/lib/debug' '/r/$(p)' '/r/core '\\''x'\\''; rm'");
    const struct backtrace_want alone = {.core = "/c", .root = "/r"};
    cleanup_free char *without = backtrace_by_hand(&alone);
    assert_non_null(strstr(without, " -c '/c'"));
    cleanup_free char *script = backtrace_script(&want);
    assert_non_null(strstr(script, " -batch "));
    assert_non_null(strstr(script, "ulimit -v "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_innermost_frame_with_a_line_is_the_one),
        cmocka_unit_test(without_lines_it_is_the_innermost),
        cmocka_unit_test(without_frames_there_is_none),
        cmocka_unit_test(names_of_files_are_words_of_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
