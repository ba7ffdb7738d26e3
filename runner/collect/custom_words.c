#include "runner/collect/custom_words.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/remote/host.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { COMMAND_MAX_BYTES = 1 << 20 /* with all words replaced */ };

static bool word_character(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

char *custom_expand(const char *command, const struct custom_target *target, const char *host) {
    char index[24];
    snprintf(index, sizeof index, "%zu", target->index);
    const struct {
        const char *word, *value;
    } words[] = {{"CONTAINER_ID", target->container_id},
                 {"CONTAINER_NAME", target->container_name},
                 {"SEATRIAL_INDEX", index},
                 {"HOST", host}};
    struct buffer out;
    buffer_init(&out, COMMAND_MAX_BYTES);
    for (const char *p = command; *p;) {
        size_t length = 1;
        while (word_character(*p) && word_character(p[length]))
            length++;
        const char *value = NULL;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strlen(words[i].word) == length && strncmp(p, words[i].word, length) == 0)
                value = words[i].value;
        /* $CONTAINER_ID is left to the shell, which has it in its environment. */
        bool variable = p > command && (p[-1] == '$' || p[-1] == '{');
        if (value && !variable)
            buffer_text(&out, value);
        else
            buffer_append(&out, p, length);
        p += length;
    }
    return buffer_take(&out);
}

/*
 * Without grep, as in small images, the shell reads environments itself, a byte at a time: there
 * are few processes in such a container. NULs are nothing to it, so that one line is as good as
 * many. Who is being executed has no environment for a moment: that nobody is there is believed
 * when it is seen twice.
 */
static const char ending[] =
    "marked() {\n"
    "  if command -v grep >/dev/null 2>&1; then\n"
    "    grep -lsF -e \"$seatrial_mark\" /proc/[0-9]*/environ\n"
    "    return\n"
    "  fi\n"
    "  for p in /proc/[0-9]*; do\n"
    "    { while IFS= read -r line || [ -n \"$line\" ]; do\n"
    "        case $line in *\"$seatrial_mark\"*) echo \"$p/environ\"; break ;; esac\n"
    "        line=\n"
    "      done <\"$p/environ\"; } 2>/dev/null\n"
    "  done\n"
    "}\n"
    "end_marked() {\n"
    "  for signal in TERM KILL; do\n"
    "    n=0\n"
    "    while [ $n -lt 10 ]; do\n"
    "      found=$(marked)\n"
    "      [ -n \"$found\" ] || found=$(marked)\n"
    "      [ -n \"$found\" ] || return 0\n"
    "      if [ $n = 0 ] || [ $signal = KILL ]; then\n"
    "        for p in $found; do\n"
    "          p=${p#/proc/}\n"
    "          kill -s $signal \"${p%/environ}\" 2>/dev/null\n"
    "        done\n"
    "      fi\n"
    "      n=$((n + 1))\n"
    "      sleep 0.2 2>/dev/null || sleep 1\n"
    "    done\n"
    "  done\n"
    "  return 1\n"
    "}\n";

/* Not exported, should our user's environment have a variable of that name: its children would be
 * marked. */
static char *with_ending(const char *mark, const char *script) {
    cleanup_free char *variable = text_format("SEATRIAL_CUSTOM=%s", mark);
    cleanup_free char *quoted = host_quote(variable);
    return text_format("unset seatrial_mark\nseatrial_mark=%s\n%s%s", quoted, ending, script);
}

char *custom_run_script(const char *command, const char *folder, const char *mark,
                        const struct custom_target *target, const char *host) {
    cleanup_free char *quoted_folder = host_quote(folder ? folder : ".");
    cleanup_free char *quoted = host_quote(command), *id = host_quote(target->container_id),
                      *name = host_quote(target->container_name), *quoted_host = host_quote(host),
                      *quoted_mark = host_quote(mark);
    /* The shell that waits has no stderr: there it would tell of a child that was ended by a
     * signal, also when that was us. */
    cleanup_free char *script = text_format(
        "cd %s 2>&3 || exit 126\n"
        "export CONTAINER_ID=%s CONTAINER_NAME=%s SEATRIAL_INDEX=%zu HOST=%s\n"
        "SEATRIAL_CUSTOM=%s /bin/sh -c 'exec /bin/sh -c \"$1\" 2>&3 3>&-' sh %s </dev/null\n"
        "status=$?\n"
        "end_marked || echo 'some of this cannot be ended' >&3\n"
        "exit $status\n",
        quoted_folder, id, name, target->index, quoted_host, quoted_mark, quoted);
    cleanup_free char *all = with_ending(mark, script);
    cleanup_free char *words = custom_for_shell(all);
    return text_format("%s 3>&2 2>/dev/null", words);
}

char *custom_end_script(const char *mark) {
    return with_ending(mark,
                       "end_marked || { echo 'some of this cannot be ended' >&2; exit 1; }\n");
}

char *custom_clean_script(const char *mark, const char *prefix) {
    cleanup_free char *quoted = host_quote(prefix);
    cleanup_free char *script =
        text_format("end_marked || { echo 'some of this cannot be ended' >&2; exit 1; }\n"
                    "rm -rf -- %s*\n",
                    quoted);
    return with_ending(mark, script);
}

char *custom_folder_script(const char *folder) {
    cleanup_free char *quoted = host_quote(folder);
    return text_format("umask 077; d=%s; mkdir -p -- \"${d%%/*}\" && "
                       "{ mkdir -- \"$d\" 2>/dev/null || { [ -d \"$d\" ] && [ ! -L \"$d\" ] && "
                       "[ -O \"$d\" ]; } || { echo \"cannot make folder $d\" >&2; exit 1; }; }",
                       quoted);
}

char *custom_for_shell(const char *script) {
    cleanup_free char *quoted = host_quote(script);
    return text_format("exec /bin/sh -c %s", quoted);
}
