#include "runner/remote/engine_way.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/remote/host.h"

#include <string.h>

const char *engine_way_name(enum engine_way way) {
    switch (way) {
    case ENGINE_WAY_UNKNOWN: return "not found yet";
    case ENGINE_WAY_SOCKET: return "its socket";
    case ENGINE_WAY_DIAL_STDIO: return "docker system dial-stdio";
    case ENGINE_WAY_SUDO_DIAL_STDIO: return "sudo docker system dial-stdio";
    case ENGINE_WAY_NONE: return "none";
    }
    return "?";
}

char *engine_way_question(const char *socket) {
    cleanup_free char *quoted = host_quote(socket);
    cleanup_free char *script = text_format(
        "s=%s\n"
        "if [ -S \"$s\" ]; then [ -r \"$s\" ] && [ -w \"$s\" ] && echo socket=ok || echo "
        "socket=denied; else echo socket=missing; fi\n"
        "if command -v docker >/dev/null 2>&1; then echo docker=yes\n"
        "docker --host \"unix://$s\" version >/dev/null 2>&1 </dev/null && echo engine=yes\n"
        "sudo -n docker --version >/dev/null 2>&1 </dev/null && echo sudo=yes && "
        "sudo -n docker --host \"unix://$s\" version >/dev/null 2>&1 </dev/null && echo "
        "sudoengine=yes; fi\n"
        "echo \"user=$(id -un)\"\n",
        quoted);
    cleanup_free char *quoted_script = host_quote(script);
    return text_format("sh -c %s", quoted_script);
}

static bool says(const char *answer, const char *line) {
    size_t size = strlen(line);
    for (const char *p = answer; (p = strstr(p, line)); p++)
        if ((p == answer || p[-1] == '\n') && (p[size] == '\n' || p[size] == '\0'))
            return true;
    return false;
}

/* As far as it is a name: it goes into a command that people copy. Returns `name`. */
static const char *user_of(const char *answer, char *name, size_t size) {
    static const char of_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789._-";
    const char *p = strstr(answer, "user=");
    int length = p ? (int)strspn(p + 5, of_names) : 0;
    snprintf(name, size, "%.*s", length ? length : 1, length ? p + 5 : "?");
    return name;
}

static enum engine_way no_way(struct error *err, const char *socket, const char *answer) {
    char user[128];
    user_of(answer, user, sizeof user);
    if (says(answer, "socket=denied") || says(answer, "sudo=yes")) {
        error_set(err, ERROR_REFUSED, "user '%s' may not open the engine's socket %s", user,
                  socket);
        error_hint(err,
                   "on that host: `sudo usermod -aG docker %s`; or let this user run docker by "
                   "sudo without a password",
                   user);
        return ENGINE_WAY_NONE;
    }
    error_set(err, ERROR_REFUSED,
              "sshd does not forward to the engine's socket %s, or no engine listens on it, and "
              "there is no docker command for the way around it",
              socket);
    error_hint(err, "let sshd forward to sockets (AllowStreamLocalForwarding yes in sshd_config, "
                    "the default), or install the docker command there");
    return ENGINE_WAY_NONE;
}

enum engine_way engine_way_answer(const char *answer, const char *socket, struct error *err) {
    if (says(answer, "engine=yes"))
        return ENGINE_WAY_DIAL_STDIO;
    if (says(answer, "sudoengine=yes"))
        return ENGINE_WAY_SUDO_DIAL_STDIO;
    if (says(answer, "socket=missing")) {
        error_set(err, ERROR_UNREACHABLE, "no engine listens on %s there", socket);
        error_hint(err, "start it: `sudo systemctl start docker`");
        return ENGINE_WAY_UNKNOWN;
    }
    if (says(answer, "socket=ok") && says(answer, "docker=yes")) {
        error_set(err, ERROR_UNREACHABLE, "the engine on %s does not answer there", socket);
        error_hint(err, "see there: `systemctl status docker`");
        return ENGINE_WAY_UNKNOWN;
    }
    if (says(answer, "socket=denied") && says(answer, "sudo=yes")) {
        error_set(err, ERROR_UNREACHABLE, "the engine on %s does not answer there, by sudo",
                  socket);
        return ENGINE_WAY_UNKNOWN;
    }
    if (!says(answer, "socket=ok") && !says(answer, "socket=denied")) {
        error_set(err, ERROR_UNREACHABLE, "a shell there does not say what is wrong with %s",
                  socket);
        return ENGINE_WAY_UNKNOWN;
    }
    return no_way(err, socket, answer);
}

char *engine_way_command(enum engine_way way, const char *socket) {
    cleanup_free char *address = text_format("unix://%s", socket);
    cleanup_free char *quoted = host_quote(address);
    return text_format("%sdocker --host %s system dial-stdio",
                       way == ENGINE_WAY_SUDO_DIAL_STDIO ? "sudo -n " : "", quoted);
}
