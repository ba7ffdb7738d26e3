# shellcheck shell=bash disable=SC2034,SC2154 # names come from name_rig; access.bash uses subnet and hosts
# What runs as the init of a host, in its namespaces. Outside, $state/hN is what the host sees as /run/rig: there lie its
# logs, pid files, its engine's second socket, and the pipe by which it is told what to do.

# The machine's files are the lower layer; what the host writes goes to $root/hN/files and is kept over reboots.
enter_file_system() {
  local n=$1 top=$root/h$1/top folder engine
  mkdir -p "$root/h$n"/{files,work,top,docker,private/{root,home,tmp,var-tmp}}
  chmod 700 "$root/h$n/private/root"
  chmod 1777 "$root/h$n"/private/{tmp,var-tmp}
  mount -n -t overlay -o "lowerdir=/,upperdir=$root/h$n/files,workdir=$root/h$n/work,index=off,metacopy=off" "$name-h$n" "$top"
  mkdir -p "$top"/{proc,sys,dev,run,var/lib/docker,etc/docker}
  mount -n -t proc proc "$top/proc"
  mount -n --rbind /sys "$top/sys"
  mount -n --rbind /dev "$top/dev"
  mount -n -t tmpfs -o mode=1777 tmpfs "$top/dev/shm"
  mount -n -t tmpfs -o mode=755 tmpfs "$top/run"
  for folder in root home tmp var/tmp; do
    mount -n --bind "$root/h$n/private/${folder/\//-}" "$top/$folder"
  done
  mkdir -p "$top"/run/{rig,sshd,lock}
  mount -n --bind "$state/h$n" "$top/run/rig"
  mount -n --bind "$root/h$n/docker" "$top/var/lib/docker"
  engine=$(cat "$state/h$n/engine")
  if [ -d "$engine" ]; then # its programs know where their libraries are
    mkdir -p "$top$engine"
    mount -n --bind "$engine" "$top$engine"
  fi
  if [ ! -e "$root/h$n/installed" ]; then
    install_host "$n" "$top"
    touch "$root/h$n/installed"
  fi
  install -m 600 "$root/ssh/host_$n" "$top/run/rig/host_key"
  install -m 644 "$root/ssh/authorized_keys" "$top/run/rig/authorized_keys"
  mkdir -p "$top/run/old"
  cd "$top" || return
  pivot_root . run/old
  cd /
  umount -l /run/old
  rmdir /run/old
}

# Once for each host: what makes it another machine than this one.
install_host() {
  local n=$1 top=$2
  make_logins "$top"
  printf '%s' "$name-h$n" | md5sum | cut -c1-32 >"$top/etc/machine-id"
  echo "h$n" >"$top/etc/hostname"
  : >"$top/etc/resolv.conf"
  rm -rf "$top"/etc/docker/* "$top"/etc/ssh/sshd_config.d/*
}

start_sshd() {
  : >/run/rig/sshd.log
  sshd_config >/run/rig/sshd_config
  /usr/sbin/sshd -f /run/rig/sshd_config -E /run/rig/sshd.log
  until [ -s /run/rig/sshd.pid ]; do sleep 0.01; done
}

stop_sshd() {
  local pid
  pid=$(cat /run/rig/sshd.pid) || return 0
  kill -TERM "$pid" || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
  rm -f /run/rig/sshd.pid
}

engine_answers() {
  [ "$(curl -s --max-time 5 --unix-socket /run/docker.sock http://engine/_ping 2>/dev/null)" = OK ]
}

engine_runs() {
  local pid
  pid=$(cat /run/docker.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

start_engine() {
  local deadline=$((SECONDS + 60))
  engine_runs && return 0
  rm -f /run/docker.pid
  if [ "$(cat /run/rig/version)" = podman ]; then run_podman; else run_dockerd "$1"; fi
  until engine_answers; do
    if ! kill -0 $! 2>/dev/null || [ $SECONDS -ge $deadline ]; then return 1; fi
    sleep 0.02
  done
}

run_dockerd() {
  local n=$1
  PATH=$(cat /run/rig/engine)/bin:$PATH dockerd --host unix:///run/docker.sock --host unix:///run/rig/docker.sock \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$name/h$n" --bridge=none --iptables=false --ip6tables=false \
    --shutdown-timeout 10 --log-level warn >>/run/rig/dockerd.log 2>&1 3>&- &
}

# Podman listens at one place only; where a docker client would look, and where Podman's own would, are links to it.
run_podman() {
  local part
  part=$(cat /run/rig/engine)
  mkdir -p /run/podman /etc/containers
  cp -r "$part/etc/containers/." /etc/containers
  cat >/etc/containers/containers.conf <<EOF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
conmon_path = ["$part/bin/conmon"]
helper_binaries_dir = ["$part/bin"]
[engine.runtimes]
crun = ["$part/bin/crun"]
EOF
  ln -sf /run/rig/docker.sock /run/docker.sock
  ln -sf /run/rig/docker.sock /run/podman/podman.sock
  ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified # beside controllers of version 1 it is misled
  rm -f /run/rig/docker.sock
  "$part/bin/podman" --root /var/lib/docker/podman --storage-driver overlay system service --time 0 unix:///run/rig/docker.sock \
    >>/run/rig/dockerd.log 2>&1 3>&- &
  echo $! >/run/docker.pid
}

stop_engine() {
  local pid
  pid=$(cat /run/docker.pid 2>/dev/null) || return 0
  kill "-$1" "$pid" || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

# A disk of its own for the engine, so small that it can be filled; nothing on it outlives a power cut.
mount_disk() {
  if [ -s /run/rig/disk ]; then
    mount -n -t tmpfs -o "mode=711,size=$(cat /run/rig/disk)" small-disk /var/lib/docker
  fi
}

change_disk() {
  stop_engine TERM
  ! mountpoint -q /var/lib/docker || [ "$(stat -f -c %T /var/lib/docker)" != tmpfs ] || umount /var/lib/docker
  mount_disk
  start_engine "$1"
}

inside_host() {
  local n=$1 question words status
  read -r subnet hosts registry <"$state/rig"
  hostname "h$n"
  mount -n --make-rprivate /
  enter_file_system "$n"
  exec 3<>/run/rig/control # both ends are ours: reading it never ends
  mount_disk
  start_sshd
  status=0
  [ "$(cat /run/rig/engine)" = none ] || start_engine "$n" || status=1
  answer /run/rig boot $status
  while read -r question words <&3; do
    status=0
    case $words in
      'engine start') start_engine "$n" || status=1 ;;
      'engine stop') stop_engine TERM ;;
      'engine kill') stop_engine KILL ;;
      disk) change_disk "$n" || status=1 ;;
      sshd) stop_sshd && start_sshd || status=1 ;;
      *) status=1 ;;
    esac
    answer /run/rig "$question" $status
  done
}
