#include "runner/cloud/user_data.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * The clock of a machine's life: set at each boot, and again whenever somebody writes seconds since
 * 1970 into the file. Shutting down ends the machine, as EC2 was told when it was made.
 */
static const char watch[] = "#!/bin/sh\n"
                            "# Ends this machine when its time to live is over (seatrial).\n"
                            "file=/run/seatrial/expires\n"
                            "mkdir -p /run/seatrial\n"
                            "[ -s $file ] || echo $(($(date +%%s) + %" PRId64 ")) >$file\n"
                            "while sleep 15; do\n"
                            "  read -r until <$file || continue\n"
                            "  [ \"$(date +%%s)\" -lt \"$until\" ] || exec shutdown -h now\n"
                            "done\n";

static const char unit[] = "[Unit]\n"
                           "Description=Time to live of a seatrial machine\n"
                           "[Service]\n"
                           "ExecStart=/usr/local/sbin/seatrial-time-to-live\n"
                           "Restart=always\n"
                           "[Install]\n"
                           "WantedBy=multi-user.target\n";

/* seatrial-disks.sh, as it was when the program was built. */
extern const char seatrial_disks_sh[];

/* An engine whose disks are not there must not start on others. */
static const char disks_unit[] = "[Unit]\n"
                                 "Description=Instance store for the engine's data\n"
                                 "Before=docker.service docker.socket containerd.service\n"
                                 "[Service]\n"
                                 "Type=oneshot\n"
                                 "RemainAfterExit=yes\n"
                                 "ExecStart=/usr/local/sbin/seatrial-disks\n"
                                 "[Install]\n"
                                 "WantedBy=multi-user.target\n"
                                 "RequiredBy=docker.service containerd.service\n";

static const char disks[] =
    "systemctl daemon-reload\n"
    "systemctl stop docker.socket docker.service containerd.service 2>/dev/null\n"
    "systemctl enable --now seatrial-disks\n";

static const char engine[] =
    "if ! command -v dockerd >/dev/null; then\n"
    "  if command -v apt-get >/dev/null; then\n"
    "    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io\n"
    "  else\n"
    "    dnf install -y docker || yum install -y docker\n"
    "  fi\n"
    "fi\n"
    "systemctl enable --now docker\n";

static void write_file(struct yaml_writer *w, const char *path, const char *mode,
                       const char *content) {
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(w, "path", path);
    yaml_pair_text(w, "permissions", mode);
    yaml_pair_text(w, "content", content);
    yaml_end(w);
}

static void write_keys(struct yaml_writer *w, const struct user_data *what) {
    yaml_pair_bool(w, "ssh_deletekeys", true);
    yaml_key(w, "ssh_keys");
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(w, "ed25519_private", what->private_key);
    yaml_pair_text(w, "ed25519_public", what->public_key);
    yaml_end(w);
    if (!what->authorized_key)
        return;
    yaml_key(w, "ssh_authorized_keys");
    yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
    yaml_text(w, what->authorized_key);
    yaml_end(w);
}

static void write_all(struct yaml_writer *w, const struct user_data *what, const char *script) {
    /* Before there is an engine: whoever logs in when it answers is in its group. */
    cleanup_free char *group =
        text_format("groupadd -f -r docker && usermod -aG docker %s", what->user);
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    write_keys(w, what);
    yaml_key(w, "write_files");
    yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
    write_file(w, "/usr/local/sbin/seatrial-time-to-live", "0755", script);
    write_file(w, "/etc/systemd/system/seatrial-time-to-live.service", "0644", unit);
    if (what->instance_store) {
        write_file(w, "/usr/local/sbin/seatrial-disks", "0755", seatrial_disks_sh);
        write_file(w, "/etc/systemd/system/seatrial-disks.service", "0644", disks_unit);
    }
    yaml_end(w);
    yaml_key(w, "runcmd");
    yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
    yaml_text(w, "systemctl enable --now seatrial-time-to-live");
    if (what->instance_store)
        yaml_text(w, disks);
    yaml_text(w, group);
    yaml_text(w, engine);
    yaml_end(w);
    yaml_end(w);
}

int user_data_write(const struct user_data *what, struct buffer *out, struct error *err) {
    cleanup_free char *script = text_format(watch, what->time_to_live_sec);
    buffer_text(out, "#cloud-config\n");
    struct yaml_writer w = yaml_writer(out);
    write_all(&w, what, script);
    return buffer_check(out, "the machines' user-data", err);
}
