/* What a shell's answer says about the way to an engine. */

#include "lib/cleanup.h"
#include "runner/remote/engine_way.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void each_answer_has_its_way(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        enum engine_way way;
        enum error_kind kind;
        const char *text, *hint;
    } cases[] = {
        {"socket=ok\ndocker=yes\nengine=yes\nuser=u\n", ENGINE_WAY_DIAL_STDIO, ERROR_NONE, "", ""},
        {"socket=denied\ndocker=yes\nsudo=yes\nsudoengine=yes\nuser=u\n",
         ENGINE_WAY_SUDO_DIAL_STDIO, ERROR_NONE, "", ""},
        {"socket=denied\ndocker=yes\nuser=u\033[31m; rm -rf /\n", ENGINE_WAY_NONE, ERROR_REFUSED,
         "user 'u' may not open the engine's socket /s", "usermod -aG docker"},
        {"socket=denied\nuser=u\n", ENGINE_WAY_NONE, ERROR_REFUSED, "user 'u'", "usermod"},
        {"socket=ok\nuser=u\n", ENGINE_WAY_NONE, ERROR_REFUSED, "does not forward",
         "AllowStreamLocalForwarding"},
        {"socket=missing\nuser=u\n", ENGINE_WAY_UNKNOWN, ERROR_UNREACHABLE, "no engine listens",
         "start it"},
        {"socket=ok\ndocker=yes\nuser=u\n", ENGINE_WAY_UNKNOWN, ERROR_UNREACHABLE,
         "does not answer", "systemctl"},
        {"This account is closed.\n", ENGINE_WAY_UNKNOWN, ERROR_UNREACHABLE, "a shell there", ""},
        {"", ENGINE_WAY_UNKNOWN, ERROR_UNREACHABLE, "a shell there", ""},
        {"xsocket=ok\nengine=yesterday\n", ENGINE_WAY_UNKNOWN, ERROR_UNREACHABLE, "a shell there",
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        assert_int_equal(engine_way_answer(cases[i].answer, "/s", &err), cases[i].way);
        assert_int_equal(err.kind, cases[i].kind);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_non_null(strstr(err.hint, cases[i].hint));
    }
}

static void a_sockets_path_cannot_break_out_of_its_command(void **state) {
    (void)state;
    cleanup_free char *plain = engine_way_command(ENGINE_WAY_DIAL_STDIO, "/a b");
    assert_string_equal(plain, "docker --host 'unix:///a b' system dial-stdio");
    cleanup_free char *sudo = engine_way_command(ENGINE_WAY_SUDO_DIAL_STDIO, "/a'; rm");
    assert_string_equal(sudo, "sudo -n docker --host 'unix:///a'\\''; rm' system dial-stdio");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_way),
        cmocka_unit_test(a_sockets_path_cannot_break_out_of_its_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
