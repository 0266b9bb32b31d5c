#!/usr/bin/env bash
# Installs what the integration tests and the full demo need on a Debian or Ubuntu machine; at once when all is there.
# This is the only list: tests name a missing package themselves, CI and CONTRIBUTING.md point here.
set -euo pipefail

packages=(
  e2fsprogs               # ext4 inside images: the product itself needs it
  qemu-utils              # qemu-img, the independent reader of what we write
  python3-libvhdi         # libvhdi, another one for VHD and VHDX
  python3-libvmdk         # libvmdk, another one for VMDK
  qemu-system-x86         # instances of the embedded cloud
  openssh-client          # ssh into them
  mmdebstrap uidmap       # the Debian guest, without being root
  grub-common grub-pc-bin # its boot loader
  grub-efi-amd64-bin ovmf # the same for UEFI, and a UEFI to boot it
  busybox-static          # the tiny guest ...
  linux-image-cloud-amd64 # ... and its kernel
  tar python3             # independent readers and writers of archives
  gzip xz-utils zstd      # the same for compressed images
  fdisk gdisk             # sfdisk and sgdisk, the independent readers of partition tables
  dosfstools mtools       # the same for FAT
  extundelete ext4magic   # attackers, who get deleted files back ...
  testdisk foremost       # ... or carve them out of raw bytes ...
  scalpel binutils        # ... or search these
  xfsprogs btrfs-progs    # the independent checkers of xfs and btrfs
  libguestfs-tools libguestfs-xfs # guests on xfs and btrfs ...
  linux-image-amd64 f2fs-tools    # ... and on f2fs, which kernels for clouds lack
  cryptsetup-bin          # encrypted volumes
  virt-v2v libxml2-utils  # the independent readers of appliances
  nbdkit libnbd-bin       # with these virt-v2v also writes what it converts
  # Two OpenStack providers: genisoimage is only recommended, and nothing starts without it.
  keystone glance-api placement-api
  nova-api nova-conductor nova-scheduler
  nova-compute nova-compute-kvm # the one that brings QEMU for one architecture, not for fifteen
  neutron-server neutron-linuxbridge-agent neutron-dhcp-agent
  cinder-api cinder-scheduler cinder-volume
  mariadb-server python3-pymysql rabbitmq-server
  genisoimage
  python3-openstackclient # the independent client
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo 'The testbed is installed.'
  exit 0
fi

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update --quiet=2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" > /dev/null
