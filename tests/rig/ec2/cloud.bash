# shellcheck shell=bash disable=SC2154 # variables of tests
# The rig's hosts as machines of moto's: `load cloud` beside `load moto` and `load ../hosts`. A host has power while EC2 says that
# its machine runs, and on the first boot it does what the user-data says, as cloud-init would: nothing else lets anybody in.

# need_cloud N REGION...: a rig of N hosts without power, and who watches the regions. $subnet_REGION: where its machines are.
need_cloud() {
  local n
  need_rig "$1"
  for ((n = 1; n <= $1; n++)); do rig powercut "$n"; done
  export cloud=$BATS_FILE_TMPDIR/cloud
  mkdir -p "$cloud"
  mkfifo "$cloud/events"
  chroot "$moto_root" python3 - "$AWS_ENDPOINT_URL" "${@:2}" \
    <"$SEATRIAL_SOURCE/tests/rig/ec2/cloud.py" >"$cloud/events" 2>"$cloud/watch.log" 3>&- &
  echo $! >"$cloud/pid"
  follow_cloud <"$cloud/events" >"$cloud/log" 2>&1 3>&- &
}

end_cloud() {
  [ ! -e "${cloud:-/nowhere}/pid" ] || kill "$(cat "$cloud/pid")"
}

# The subnet of a region whose next machine is host N.
cloud_subnet() {
  moto_python "$SEATRIAL_SOURCE/tests/rig/ec2/subnet.py" "$AWS_ENDPOINT_URL" "$1" \
    "${RIG_GATEWAY%.*}" $(($2 + 10))
}

follow_cloud() {
  local event id address state n
  set -e
  while read -r event; do
    read -r id address state <<<"$(jq -r '.id + " " + .address + " " + .state' <<<"$event")"
    n=$((${address##*.} - 10))
    echo "$id h$n $state"
    case $state in
      running) power_on "$n" "$id" "$event" ;;
      stopped | terminated) rig powercut "$n" ;;
    esac
  done
}

power_on() {
  local n=$1 id=$2 event=$3 first=''
  [ -e "$cloud/$id" ] || first=yes
  [ -z "$first" ] || write_disk "$n" "$event"
  rig reboot "$n"
  rig exec "$n" setsid --fork /usr/local/sbin/seatrial-time-to-live </dev/null >/dev/null 2>&1
  # runcmd: what systemctl would start runs already, and the engine is there.
  [ -z "$first" ] || rig exec "$n" sh -c "$(jq -r '.data.runcmd[] | select(startswith("groupadd"))' <<<"$event")"
  touch "$cloud/$id"
}

# The lines of a private key that nothing else has.
secrets_of() {
  sed 1d "$1" | grep '.\{40\}' | sed 1d
}

# On the disk of a host that has no power: sshd's key, those of users, and files.
write_disk() {
  local n=$1 event=$2 disk=$SEATRIAL_RIG_ROOT/h$1/files home=$SEATRIAL_RIG_ROOT/h$1/private/home/sudoer logs=RIG_LOGS_$1 i path
  printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'AuthorizedKeysFile .ssh/authorized_keys' >"${!logs}/sshd_options"
  mkdir -p "$disk/etc/ssh"
  rm -f "$disk"/etc/ssh/ssh_host_*
  (umask 077 && jq -r .data.ssh_keys.ed25519_private <<<"$event" >"$disk/etc/ssh/ssh_host_ed25519_key")
  cp "$disk/etc/ssh/ssh_host_ed25519_key" "$cloud/h$n.key"
  secrets_of "$cloud/h$n.key" >>"$cloud/secrets"
  jq -r .data.ssh_keys.ed25519_public <<<"$event" >"$disk/etc/ssh/ssh_host_ed25519_key.pub"
  install -d -m 700 -o 5002 -g 5002 "$home/.ssh"
  jq -r '.data.ssh_authorized_keys[]' <<<"$event" >"$home/.ssh/authorized_keys"
  for ((i = 0; i < $(jq '.data.write_files | length' <<<"$event"); i++)); do
    path=$(jq -r ".data.write_files[$i].path" <<<"$event")
    mkdir -p "$disk${path%/*}"
    jq -r ".data.write_files[$i].content" <<<"$event" >"$disk$path"
    chmod "$(jq -r ".data.write_files[$i].permissions" <<<"$event")" "$disk$path"
  done
  printf '#!/bin/sh\ndate +%%s >/run/rig/shutdown\n' >"$disk/usr/local/sbin/shutdown"
  chmod 755 "$disk/usr/local/sbin/shutdown"
}

is_off() {
  local logs=RIG_LOGS_$1
  [ -e "${!logs}/off" ]
}

all_off() {
  local n
  for ((n = 1; n <= RIG_HOSTS; n++)); do is_off "$n" || return; done
}

# The metadata service of host N says from now on that its machine is taken back.
give_notice() {
  local net process=''
  rig exec "$1" ip addr add 169.254.169.254/32 dev lo
  net=$(rig exec "$1" readlink /proc/self/ns/net)
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/ns/net")" != "$net" ] || break
  done
  nsenter --target "${process#/proc/}" --net chroot "$moto_root" python3 - <"$SEATRIAL_SOURCE/tests/rig/ec2/notice.py" >"$cloud/notice.log" 2>&1 3>&- &
}

# Seconds since 1970 until which the machine of host N lives, as it has it itself.
lives_until() {
  rig exec "$1" cat /run/seatrial/expires
}
