# shellcheck shell=bash disable=SC2034,SC2154 # names come from name_rig; network.bash uses subnet and hosts
# How a rig begins and ends. Outermost is the keeper, a process of the machine; its only child is `unshare`, whose only
# child is the rig's init. If the keeper dies, so does `unshare`; if that dies, so does the init, and with it each host.

# The init of the rig: starts the hosts, and starts them again when asked to.
inside() {
  local n question words status
  read -r subnet hosts registry <"$state/rig"
  mount_cgroups
  clear_inner_root
  network_up
  neighbours 0 "$link" | ip -batch -
  [ "$registry" = none ] || registry_up
  exec 3<>"$state/control"
  for ((n = 1; n <= hosts; n++)); do boot "$n"; done
  while read -r question n words <&3; do
    status=0
    case $words in
      boot) boot "$n" ;;
      fast) speed_up "$n" ;;
      *) slow_down "$n" "$words" || status=1 ;;
    esac
    answer "$state" "$question" $status
  done
}

# Tells the one who asked: $1 is where answers lie, $2 the number of the question, $3 how it went.
answer() {
  echo "$2 $3" >"$1/answer.new"
  mv "$1/answer.new" "$1/answer"
}

# Beforehand the host's last life has ended (power_off).
boot() {
  local n=$1
  remove_cgroups "$name/h$n"
  network_host_up "$n"
  nsenter --net="/run/netns/h$n" unshare --pid --fork --kill-child --mount --uts --ipc --propagation private \
    bash "$self" inside-host --root "$root" "$n" </dev/null >>"$state/h$n/init.log" 2>&1 3>&- &
  echo "$!" >"$state/h$n/pid" # in the rig's PID namespace
}

# What runs outside of the namespaces as long as the rig does.
keep() {
  local pid owner=${1:-} since=''
  [ -z "$owner" ] || since=$(start_time "$owner") || exit 1
  setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount --mount-proc --propagation slave \
    bash "$self" inside --root "$root" </dev/null >"$state/init.log" 2>&1 &
  pid=$!
  echo "$pid $(start_time "$pid") $$" >"$state/pid.new"
  mv "$state/pid.new" "$state/pid"
  if [ -n "$owner" ]; then
    while kill -0 "$pid" 2>/dev/null && [ "$(start_time "$owner")" = "$since" ]; do
      sleep 0.2
    done
    end_rig
    rm -rf --one-file-system "$state" "$root"
  fi
  wait "$pid" || true
  remove_cgroups "$name"
}

# The id of the rig's outer process (unshare), if it is alive.
rig_pid() {
  local pid since
  read -r pid since _ 2>/dev/null <"$state/pid" || return 1
  [ "$(start_time "$pid")" = "$since" ] || return 1
  echo "$pid"
}

# Runs a command in the rig's mount and PID namespaces.
in_rig() {
  local pid init
  if ! pid=$(rig_pid) || ! init=$(init_pid "$pid") || [ -z "$init" ]; then
    die "no rig runs in $root (start one with: rig up)"
  fi
  nsenter --target "$init" --mount --pid -- "$@"
}

wait_ended() {
  local deadline=$((SECONDS + 20))
  while kill -0 "$1" 2>/dev/null && [ "$(start_time "$1")" != "" ]; do
    [ $SECONDS -lt $deadline ] || die "process $1 cannot be killed"
    sleep 0.02
  done
}

# Ends what may be left of a rig. Where cgroups are mounted for the rig alone, they are removed from the inside.
end_rig() {
  local pid init keeper=''
  if pid=$(rig_pid); then
    read -r _ _ keeper <"$state/pid"
    init=$(init_pid "$pid")
    if [ -n "$init" ]; then
      nsenter --target "$init" --mount --pid -- bash "$self" inside-end --root "$root" || true
      kill -KILL "$init" 2>/dev/null || true
      wait_ended "$init"
    fi
    kill -KILL "$pid" 2>/dev/null || true
    wait_ended "$pid"
    [ "$keeper" = $$ ] || wait_ended "$keeper"
  fi
  ip link del "$link" 2>/dev/null || true
  remove_cgroups "$name"
}

# In the rig's namespaces: the hosts end, and their cgroups.
inside_end() {
  local file
  for file in "$state"/h*/pid; do
    [ ! -e "$file" ] || power_off "$(cat "$file")"
  done
  remove_cgroups "$name"
}

# In the rig's PID namespace: ends the host behind this `unshare`, and waits until the kernel has ended all of it.
power_off() {
  local pid=$1 init
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = unshare ] || return 0
  init=$(init_pid "$pid")
  [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
  while [ -e "/proc/$pid" ] || { [ -n "$init" ] && [ -e "/proc/$init" ]; }; do sleep 0.01; done
}
