# shellcheck shell=bash disable=SC2154 # names come from name_rig and main
# One function for each command.

# One command at a time changes a rig; the lock ends with its holder. (Nothing that outlives us inherits it.)
lock_rig() {
  mkdir -p "$root"
  exec 9>"$root/lock"
  flock --wait 120 9 || die "another command works on the rig in $root"
}

check_machine() {
  local program missing=()
  for program in ip nsenter unshare setpriv flock curl sshd ssh-keygen sudo; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ "$registry" = none ] || for program in docker-registry iptables ss; do
    command -v $program >/dev/null || missing+=("$program")
  done
  [ "$engines" = none ] || command -v dockerd >/dev/null || missing+=(dockerd)
  [ ${#missing[@]} = 0 ] || die "missing: ${missing[*]}; script/bootstrap test installs them"
}

# Where the engine of that version lies; the machine's own one has no folder.
engine_folder() {
  case $1 in
    none | 20.10) echo "$1" ;;
    podman) "$here/parts" podman || die "Podman cannot be had here" ;;
    26.1 | 28.5) "$here/parts" "engine-$1" || die "engine $1 cannot be had here" ;;
    *) die "there is no engine $1" ;;
  esac
}

# Sets hosts and subnet, for commands on a rig that runs.
need_rig() {
  # shellcheck disable=SC2034 # subnet is for those who need the rig
  if ! rig_pid >/dev/null || ! read -r subnet hosts registry 2>/dev/null <"$state/rig"; then
    die "no rig runs in $root (start one with: rig up)"
  fi
}

need_host() {
  need_rig
  if ! [[ ${1:-} =~ ^[1-9][0-9]*$ ]] || [ "$1" -gt "$hosts" ]; then
    die "which host? This rig has h1 to h$hosts: give a number"
  fi
}

# In $1 lie the answers of a host's init, or of the rig's.
wait_answer() {
  local where=$1 question=$2 deadline=$((SECONDS + 90)) got status=''
  until read -r got status 2>/dev/null <"$where/answer" && [ "$got" = "$question" ]; do
    if ! rig_pid >/dev/null || [ $SECONDS -ge $deadline ]; then break; fi
    sleep 0.02
  done
  [ "$status" = 0 ] || {
    tail -n 15 "$state"/*.log "$where"/*.log >&2 || true
    die "${where##*/}: '$question' ${status:+failed}${status:-was never answered}"
  }
}

# Asks the init of a host to do something, and waits until it has.
tell() {
  local n=$1 question=${*:2}
  host_runs "$n" || die "host h$n is powered off"
  question=${question// /-}-$$
  echo "$question ${*:2}" >"$state/h$n/control"
  wait_answer "$state/h$n" "$question"
}

# The same of the rig's init.
tell_rig() {
  local n=$1 word=$2
  echo "$word-$$ $n $word" >"$state/control"
  wait_answer "$state" "$word-$$"
}

host_runs() {
  [ ! -e "$state/h$1/off" ]
}

# In the namespaces of a host.
in_host() {
  local n=$1
  shift
  host_runs "$n" || die "host h$n is powered off"
  # shellcheck disable=SC2016 # the inner shell expands it
  in_rig bash -c '. "$1"; init=$(init_pid "$2"); shift 2; exec env --unset=DOCKER_HOST --chdir=/ nsenter --target "$init" --mount --net --pid --uts --ipc -- "$@"' \
    bash "$here/../../script/functions.bash" "$(cat "$state/h$n/pid")" "$@"
}

prepare_host() {
  local n=$1 version=$2
  mkdir -p "$state/h$n" "$root/h$n"
  rm -f "$state/h$n"/{answer,pid,off}
  [ -p "$state/h$n/control" ] || mkfifo -m 600 "$state/h$n/control"
  echo "$version" >"$state/h$n/version"
  printf '%s\n' "${folders[$version]}" >"$state/h$n/engine"
}

start_rig() {
  local n version versions
  local -A folders
  IFS=, read -ra versions <<<"$engines"
  for version in "${versions[@]}"; do
    folders[$version]=$(engine_folder "$version") # before anything is there that would have to be removed
  done
  end_rig # what a killed one has left
  rm -rf --one-file-system "$state"
  mkdir -p "$state"
  chmod 711 "$state"
  exec 8>/run/seatrial-rig.lock
  flock 8 # until the addresses are taken
  subnet=$(choose_subnet)
  [ "$registry" = none ] || registry=$(choose_port)
  echo "$subnet $hosts $registry" >"$state/rig"
  mkfifo -m 600 "$state/control"
  make_access
  for ((n = 1; n <= hosts; n++)); do prepare_host "$n" "${versions[(n - 1) % ${#versions[@]}]}"; done
  setsid bash "$self" keep --root "$root" ${until:+"$until"} </dev/null >/dev/null 2>"$state/keep.log" 8>&- 9>&- &
  for ((n = 1; n <= hosts; n++)); do
    until [ -e "$state/pid" ] && [ -e "$state/h$n/pid" ]; do # written by two processes
      kill -0 $! 2>/dev/null || { cat "$state"/*.log >&2; die "the rig did not start"; }
      sleep 0.02
    done
    flock --unlock 8
    wait_answer "$state/h$n" boot
  done
  until [ "$registry" = none ] || registry_answers; do
    rig_pid >/dev/null || die "the registry did not start: $(tail -n 5 "$state/registry.log")"
    sleep 0.02
  done
}

command_up() {
  hosts=${1:-}
  if ! [[ $hosts =~ ^[1-9][0-9]*$ ]] || [ "$hosts" -gt 200 ]; then
    die "up how many? A number from 1 to 200"
  fi
  check_machine
  lock_rig
  ! rig_pid >/dev/null || die "a rig runs already in $root (end it with: rig down)"
  trap 'end_rig; rm -rf --one-file-system "$state"' EXIT
  start_rig
  trap - EXIT
}

command_down() {
  [ -e "$root/lock" ] || [ -e "$state" ] || return 0
  lock_rig
  end_rig
  rm -rf --one-file-system "$state" "$root"
}

command_run() {
  local assignments
  [ $# -ge 2 ] || die "run what? rig run N -- COMMAND..."
  until=$$
  command_up "$1"
  exec 9>&-
  trap command_down EXIT
  assignments=$(command_env)
  eval "$assignments"
  supervise setpriv --pdeathsig TERM "${@:2}"
  exit "$status"
}

command_status() {
  local n version
  rig_pid >/dev/null || return 1
  need_rig
  for ((n = 1; n <= hosts; n++)); do
    version=$(cat "$state/h$n/version")
    echo "h$n $(address_of "$n") engine $version $(host_runs "$n" && echo on || echo off)"
  done
}

assign() {
  printf "export %s='%s'\n" "$1" "$2"
}

command_env() {
  local n ssh=$root/ssh
  need_rig
  assign RIG_ROOT "$root"
  assign RIG_HOSTS "$hosts"
  [ "$registry" = none ] || assign RIG_REGISTRY "127.0.0.1:$registry"
  assign RIG_GATEWAY "$subnet.1"
  assign RIG_USERS 'root member sudoer'
  assign RIG_SSH_CONFIG "$ssh/config"
  assign RIG_KNOWN_HOSTS "$ssh/known_hosts"
  assign RIG_KNOWN_HOSTS_WRONG "$ssh/known_hosts_wrong"
  assign RIG_KEY "$ssh/id_ed25519"
  assign RIG_KEY_RSA "$ssh/id_rsa.pem"
  assign RIG_KEY_ENCRYPTED "$ssh/id_encrypted"
  assign RIG_PASSPHRASE "$passphrase"
  assign RIG_KEY_STRANGER "$ssh/id_stranger"
  for ((n = 1; n <= hosts; n++)); do
    assign "RIG_ADDRESS_$n" "$(address_of "$n")"
    assign "RIG_ENGINE_$n" "$(cat "$state/h$n/version")"
    assign "RIG_SOCKET_$n" "$state/h$n/docker.sock"
    assign "RIG_LOGS_$n" "$state/h$n"
  done
}

command_exec() {
  need_host "${1:-}"
  [ $# -ge 2 ] || die "exec what?"
  in_host "$@"
}

# First the cable, then the processes: the kernel would otherwise say good-bye for them.
command_powercut() {
  need_host "${1:-}"
  lock_rig
  host_runs "$1" || return 0
  touch "$state/h$1/off"
  in_rig ip -n fabric link set "h$1" down
  in_rig bash "$self" inside-power-off --root "$root" "$1"
}

inside_power_off() {
  power_off "$(cat "$state/h$1/pid")"
  remove_cgroups "$name/h$1"
  ip netns del "h$1"
}

command_reboot() {
  command_powercut "$1"
  rm -f "$state/h$1"/{off,cut,engine_off,answer,pid,docker.sock,sshd.pid}
  tell_rig "$1" boot
  wait_answer "$state/h$1" boot
}

command_cut() {
  need_host "${1:-}"
  touch "$state/h$1/cut"
  in_rig ip -n fabric link set "h$1" nomaster
}

command_heal() {
  need_host "${1:-}"
  in_rig ip -n fabric link set "h$1" master "$(bridge_of "$1")"
  rm -f "$state/h$1/cut"
}

command_engine() {
  need_host "${1:-}"
  case ${2:-} in start | stop | kill) ;; *) die "engine $1: start, stop or kill?" ;; esac
  lock_rig
  rm -f "$state/h$1/engine_off"
  [ "$2" = start ] || touch "$state/h$1/engine_off"
  tell "$1" engine "$2"
}

# A duration as microseconds.
microseconds() {
  case $1 in
    *[0-9]us) echo "${1%us}" ;;
    *[0-9]ms) echo "$((${1%ms} * 1000))" ;;
    *[0-9]s) echo "$((${1%s} * 1000000))" ;;
    *) return 1 ;;
  esac
}

command_slow() {
  local time
  need_host "${1:-}"
  [ "${2:-}" != off ] || time=fast
  [ -n "${time:-}" ] || time=$(microseconds "${2:-}") || die "how slow? A time like 20ms or 500us, or off"
  lock_rig
  if [ "$time" = fast ]; then
    tell_rig "$1" fast
    return
  fi
  [ -x "$root/delay" ] || cc -O2 -D_GNU_SOURCE -o "$root/delay" "$here/delay.c"
  tell_rig "$1" $((time / 2))
}

command_disk() {
  need_host "${1:-}"
  [[ ${2:-} =~ ^([0-9]+[kmg]?|off)$ ]] || die "disk $1: which size (as 200m), or off?"
  lock_rig
  rm -f "$state/h$1/disk"
  [ "$2" = off ] || echo "$2" >"$state/h$1/disk"
  tell "$1" disk
}

command_fill() {
  local free
  need_host "${1:-}"
  [ -e "$state/h$1/disk" ] || die "the disk of h$1 is the machine's: give it one of its own first (rig disk $1 200m)"
  in_host "$1" rm -f /var/lib/docker/filler
  [ "${2:-}" != off ] || return 0
  free=$(in_host "$1" stat -f -c '%a * %S' /var/lib/docker)
  in_host "$1" fallocate --length $((free - ${2:-0})) /var/lib/docker/filler
}

command_sshd() {
  need_host "${1:-}"
  lock_rig
  : >"$state/h$1/sshd_options"
  [ $# = 1 ] || printf '%s\n' "${@:2}" >"$state/h$1/sshd_options"
  tell "$1" sshd
}

command_reset() {
  local n
  need_rig
  for ((n = 1; n <= hosts; n++)); do
    [ ! -e "$state/h$n/slow" ] || command_slow "$n" off
    [ ! -e "$state/h$n/cut" ] || command_heal "$n"
    host_runs "$n" || command_reboot "$n"
    if [ -e "$state/h$n/disk" ]; then command_disk "$n" off; fi
    [ ! -e "$state/h$n/engine_off" ] || command_engine "$n" start
    [ ! -s "$state/h$n/sshd_options" ] || command_sshd "$n"
  done
}

command_connections() {
  need_host "${1:-}"
  grep -c '^Connection from ' "$state/h$1/sshd.log" || true
}
