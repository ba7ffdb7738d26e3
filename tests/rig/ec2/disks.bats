# seatrial-disks, which user-data puts on new machines: on block devices of this machine (loop devices that are called as EC2 calls
# its own), in a mount namespace where /dev, /sys/block and /var/lib are other ones.

# Variables come from functions.bash; commands in single quotes are for the shell there.
# shellcheck disable=SC2154,SC2016
bats_require_minimum_version 1.5.0
load ../../functions

setup() {
  need_root
  PATH=$PATH:/usr/sbin:/sbin
  cd "$BATS_TEST_TMPDIR" || return
  devices=()
  mkdir -p machine/dev machine/sys machine/lib
  mount -t tmpfs none machine
  mkdir -p machine/dev machine/sys machine/lib machine/lvm
  cp -a /dev/null /dev/zero /dev/urandom /dev/random /dev/loop-control machine/dev/
  # A disk that is no instance store.
  mkdir -p machine/sys/nvme0n1/device
  echo "Amazon Elastic Block Store              " >machine/sys/nvme0n1/device/model
}

teardown() {
  local device
  for device in "${devices[@]}"; do losetup -d "$device"; done
  umount "$BATS_TEST_TMPDIR/machine"
}

# add_disk NAME [MODEL]: a blank disk of 64 MiB.
add_disk() {
  local device
  mkdir -p "$(dirname "$1")"
  truncate -s 64M "$1.img"
  device=$(losetup --show -f "$1.img" 3>&-)
  devices+=("$device")
  cp -a "$device" "machine/dev/$1"
  if [ -n "${2:-}" ]; then
    mkdir -p "machine/sys/$1/device"
    echo "$2" >"machine/sys/$1/device/model"
  fi
}

# A new machine, or the same after it was booted again: nothing is mounted. Then the words are run there, in bash.
boot() {
  unshare -m --propagation private bash -euc '
    cd "$1"
    mount --bind machine/sys /sys/block
    mount --bind machine/lib /var/lib
    [ ! -d /etc/lvm ] || mount --bind machine/lvm /etc/lvm
    mount --bind machine/dev /dev
    "$SEATRIAL_SOURCE/runner/cloud/seatrial-disks.sh"
    eval "$2"' bash "$BATS_TEST_TMPDIR" "$1" 3>&-
}

store="Amazon EC2 NVMe Instance Storage        "

@test "without an instance store nothing is done" {
  run -0 boot 'grep -c seatrial /proc/mounts || true'
  [ "$output" = 0 ]
  [ -z "$(ls machine/lib)" ]
}

@test "one disk becomes the file system of the engine's data, keeps it over boots, and is made anew when it is blank" {
  add_disk nvme1n1 "$store"
  mkdir -p machine/lib/docker/overlay2
  chmod 710 machine/lib/docker
  echo image >machine/lib/docker/overlay2/of-the-image
  run -0 boot '
    findmnt -n -o SOURCE,FSTYPE,OPTIONS /var/lib/seatrial/store
    stat -c %a /var/lib/docker
    cat /var/lib/docker/overlay2/of-the-image
    stat -f -c %b /var/lib/docker /var/lib/containerd /var/lib/seatrial/store | sort -u | wc -l
    echo volume >/var/lib/docker/data
    sync'
  [[ ${lines[1]} == "/dev/nvme1n1 ext4 "*noatime*noinit_itable* ]]
  [ "${lines[2]} ${lines[3]} ${lines[4]}" = "710 image 1" ]
  [ ! -e machine/lib/docker/data ] # it is not on the root disk
  run -0 boot 'cat /var/lib/docker/data'
  [ "${lines[-1]}" = volume ]
  # Twice at one boot is as once.
  run -0 boot '"$SEATRIAL_SOURCE/runner/cloud/seatrial-disks.sh"; grep -c " /var/lib/docker " /proc/mounts'
  [ "${lines[-1]}" = 1 ]
  # EC2 gives blank disks after a stop.
  dd if=/dev/zero of=nvme1n1.img bs=1M count=64 conv=notrunc status=none
  run -0 boot 'ls /var/lib/docker; cat /var/lib/docker/overlay2/of-the-image'
  [ "${lines[-1]}" = image ]
  run ! grep -x data <<<"$output"
}

@test "a disk that the image uses itself is left alone" {
  add_disk nvme1n1 "$store"
  mkfs.ext4 -q nvme1n1.img
  run -0 unshare -m --propagation private bash -euc '
    cd "$1"
    mount --bind machine/sys /sys/block
    mount --bind machine/lib /var/lib
    mount --bind machine/dev /dev
    mkdir -p /var/lib/own
    mount /dev/nvme1n1 /var/lib/own
    "$SEATRIAL_SOURCE/runner/cloud/seatrial-disks.sh"
    ! grep seatrial /proc/mounts' bash "$BATS_TEST_TMPDIR"
  [[ $output == *"/dev/nvme1n1 is in use by the image: left alone"* ]]
}

# This kernel may have no device mapper: LVM makes all that it writes to disks, and is told to leave the kernel alone. What the
# kernel would show as the volume once it is activated is another disk.
@test "several disks become one striped volume, and stay one" {
  command -v lvcreate >/dev/null || lacking "there is no lvm2"
  add_disk nvme1n1 "$store"
  add_disk nvme2n1 "$store"
  add_disk nvme3n1 "$store"
  add_disk volume
  printf 'global { activation = 0 locking_dir = "/dev/lock" }\ndevices { use_devicesfile = 0 }\n' >machine/lvm/lvm.conf
  mkdir -p kernel
  printf '#!/bin/sh\n/sbin/vgchange "$@" && mkdir -p /dev/seatrial && ln -sf /dev/volume /dev/seatrial/data\n' >kernel/vgchange
  chmod +x kernel/vgchange
  PATH=$PWD/kernel:$PATH
  run -0 boot '
    lvs --noheadings -o lv_name,stripes,stripe_size,vg_name 2>/dev/null
    findmnt -n -o SOURCE,FSTYPE /var/lib/seatrial/store
    echo volume >/var/lib/docker/data'
  [ "$(grep -c 'data *3 64.00k seatrial' <<<"$output")" = 1 ]
  [[ $output == *"ext4"* ]]
  rm -r machine/dev/seatrial
  run -0 boot 'vgs --noheadings -o pv_count 2>/dev/null; cat /var/lib/docker/data'
  [ "$(tail -n 2 <<<"$output" | xargs)" = "3 volume" ]
}
