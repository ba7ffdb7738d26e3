# shellcheck shell=bash
# What several scripts share; sourced, never run.

# Runs a command and sets `status` to its exit status. SIGTERM and SIGHUP are handed on to it; a terminal's Ctrl-C reaches
# it by itself. In each case we live on until it has ended, and can clean up.
supervise() {
  local child
  trap : INT
  trap 'kill -TERM "$child" 2>/dev/null || true' TERM HUP
  # Bash gives background commands no input and makes them deaf to Ctrl-C; this one is in the background only so that
  # bash sees signals while it waits.
  env --default-signal=INT,QUIT -- "$@" <&0 &
  child=$!
  while :; do
    # shellcheck disable=SC2034 # the caller reads it
    wait "$child" && status=0 || status=$?
    kill -0 "$child" 2>/dev/null || break
  done
  trap - INT TERM HUP
}

# What sudo made root's belongs to who called it.
hand_back() {
  local path
  [ -n "${SUDO_UID:-}" ] || return 0
  for path in "$@"; do
    [ ! -e "$path" ] || chown -R --from=0 "$SUDO_UID:${SUDO_GID:-}" "$path"
  done
}

# --- for what keeps processes in namespaces of its own: script/engine and tests/rig/rig ---

# Where no cgroups are mounted (chroots, minimal containers), the engine gets the machine's own ones, seen by it alone.
mount_cgroups() {
  [ -d /sys/fs ] || mount -n -t sysfs sysfs /sys
  [ -z "$(ls -A /sys/fs/cgroup)" ] || return 0
  local names dir
  if ! grep -q '^[1-9]' /proc/self/cgroup; then
    mount -n -t cgroup2 cgroup2 /sys/fs/cgroup
    return
  fi
  mount -n -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while IFS=: read -r _ names _; do
    [ -n "$names" ] || continue
    dir=/sys/fs/cgroup/${names#name=}
    mkdir "$dir"
    case $names in
      name=*) mount -n -t cgroup -o "none,$names" cgroup "$dir" ;;
      *) mount -n -t cgroup -o "$names" cgroup "$dir" ;;
    esac
  done </proc/self/cgroup
}

# Inside a container the root of cgroup v2 is an inner node, which may not hold processes and hand out controllers.
clear_inner_root() {
  local root=/sys/fs/cgroup pid
  [ -e $root/cgroup.type ] || return 0
  mkdir -p $root/init
  while read -r pid; do
    echo "$pid" >$root/init/cgroup.procs || true # a kernel thread, or gone
  done <$root/cgroup.procs
}

# The cgroups of that name, after their last process is gone.
remove_cgroups() {
  local dir
  for dir in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
    [ ! -d "$dir" ] || find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# A process is known by its id and the time it started, because ids are used again. Fails for one that has ended.
start_time() {
  local line fields
  read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  read -ra fields <<<"${line##*) }" # behind the program's name, in which anything may stand
  [ "${fields[0]}" != Z ] || return 1
  echo "${fields[19]}"
}

# The init: the one child of `unshare`.
init_pid() {
  local file
  # Processes come and go meanwhile: grep overlooks files that are gone.
  file=$(grep -sl "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status) || true
  file=${file#/proc/}
  echo "${file%%/*}"
}
