#!/bin/sh
# Makes one file system of this machine's instance store, for the engine's data (seatrial). Runs at each boot, before the engine:
# what is there already is kept; after a stop the disks are blank, and it is made anew.
set -eu

store=/var/lib/seatrial/store
disks=
count=0
for model in /sys/block/nvme*/device/model; do
  [ -e "$model" ] || continue
  case $(cat "$model") in *"Instance Storage"*) ;; *) continue ;; esac
  disk=${model#/sys/block/}
  disk=/dev/${disk%%/*}
  if grep -q "^$disk " /proc/mounts && ! grep -q "^$disk $store " /proc/mounts; then
    echo "$disk is in use by the image: left alone"
    continue
  fi
  disks="$disks $disk"
  count=$((count + 1))
done
[ "$count" -gt 0 ] || exit 0

device=${disks# }
if [ "$count" -gt 1 ]; then
  device=/dev/seatrial/data
  if ! command -v lvcreate >/dev/null; then
    if command -v apt-get >/dev/null; then
      apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y lvm2
    else
      dnf install -y lvm2 || yum install -y lvm2
    fi
  fi
  # shellcheck disable=SC2086 # several words
  if ! vgs seatrial >/dev/null 2>&1; then
    vgcreate -y seatrial $disks
    lvcreate -y --wipesignatures n --name data --stripes "$count" --stripesize 64k --extents 100%FREE seatrial
  fi
  vgchange --activate y seatrial
fi

[ "$(blkid -p -o value -s LABEL "$device" || true)" = seatrial ] || mkfs.ext4 -q -F -L seatrial -m 0 -E nodiscard "$device"
mkdir -p $store
# Nothing is written behind a measurement's back.
mountpoint -q $store || mount -o noatime,noinit_itable "$device" $store

for folder in docker containerd; do
  [ -d /var/lib/$folder ] || mkdir -m 0711 /var/lib/$folder
  ! mountpoint -q /var/lib/$folder || continue
  # With what the image has brought along.
  if [ ! -e $store/$folder ]; then
    rm -rf $store/$folder.new
    cp -a /var/lib/$folder $store/$folder.new
    mv $store/$folder.new $store/$folder
  fi
  mount --bind $store/$folder /var/lib/$folder
done
echo "the engine's data is on$disks"
