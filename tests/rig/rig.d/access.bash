# shellcheck shell=bash disable=SC2154 # names come from name_rig
# Logins, keys and what SSH clients need. All of it lies in $root/ssh, and is kept over reboots.
#
# root, `member` (in group docker) and `sudoer` (outside of it, with sudo and no password) can log in with each key.

passphrase='a passphrase of the rig'

make_key() {
  [ -e "$root/ssh/$1" ] || ssh-keygen -q -C "$1" -f "$root/ssh/$1" "${@:2}"
}

make_access() {
  local n ssh=$root/ssh
  mkdir -p "$ssh"
  make_key id_ed25519 -t ed25519 -N ''
  make_key id_rsa.pem -t rsa -b 2048 -m PEM -N '' # as EC2 makes them
  make_key id_encrypted -t ed25519 -N "$passphrase"
  make_key id_stranger -t ed25519 -N '' # may not log in
  cat "$ssh"/id_{ed25519,rsa.pem,encrypted}.pub >"$ssh/authorized_keys"
  make_key host_wrong -t ed25519 -N ''
  : >"$ssh/known_hosts"
  : >"$ssh/known_hosts_wrong"
  : >"$ssh/config"
  for ((n = 1; n <= hosts; n++)); do
    make_key "host_$n" -t ed25519 -N ''
    echo "$(address_of "$n") $(cut -d' ' -f1,2 "$ssh/host_$n.pub")" >>"$ssh/known_hosts"
    echo "$(address_of "$n") $(cut -d' ' -f1,2 "$ssh/host_wrong.pub")" >>"$ssh/known_hosts_wrong"
    cat >>"$ssh/config" <<EOF
Host h$n $(address_of "$n")
  HostName $(address_of "$n")
EOF
  done
  cat >>"$ssh/config" <<EOF
Host *
  User root
  IdentityFile $ssh/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile $ssh/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
EOF
}

# Into the file system of a host, below $1.
make_logins() {
  local top=$1 n
  {
    grep -vE '^(root|member|sudoer|sshd):' /etc/passwd
    echo root:x:0:0:root:/root:/bin/bash
    echo sshd:x:901:65534::/run/sshd:/usr/sbin/nologin
    echo member:x:5001:5001::/home/member:/bin/bash
    echo sudoer:x:5002:5002::/home/sudoer:/bin/bash
  } >"$top/etc/passwd"
  {
    grep -vE '^(docker|member|sudoer):' /etc/group
    echo docker:x:5000:member
    echo member:x:5001:
    echo sudoer:x:5002:
  } >"$top/etc/group"
  # Logins without a password that are not locked: sshd refuses locked ones.
  sed 's/^\([^:]*\):.*/\1:*:19000:0:99999:7:::/' "$top/etc/passwd" >"$top/etc/shadow"
  chmod 600 "$top/etc/shadow"
  rm -f "$top/etc/sudoers"
  printf '%s\n' 'root ALL=(ALL:ALL) ALL' 'sudoer ALL=(ALL:ALL) NOPASSWD: ALL' >"$top/etc/sudoers"
  chmod 440 "$top/etc/sudoers"
  echo 127.0.0.1 localhost >"$top/etc/hosts"
  for ((n = 1; n <= hosts; n++)); do
    echo "$(address_of "$n") h$n" >>"$top/etc/hosts"
  done
  install -d -m 700 -o 5001 -g 5001 "$top/home/member"
  install -d -m 700 -o 5002 -g 5002 "$top/home/sudoer"
}

# The first value of an option is the one that holds.
sshd_config() {
  cat /run/rig/sshd_options 2>/dev/null || true
  cat <<EOF
Port 22
HostKey /run/rig/host_key
AuthorizedKeysFile /run/rig/authorized_keys
PidFile /run/rig/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
LogLevel VERBOSE
AllowStreamLocalForwarding yes
Subsystem sftp internal-sftp
EOF
}
