#!/bin/sh
# First user space: makes the host's own root the guest's, writable in memory only, and hands over to init.sh of the share.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
die() { echo "lab: $1" >/dev/console; echo o >/proc/sysrq-trigger; sleep 60; }
# modules.order: one file a line, dependencies first
while read -r module; do insmod "/modules/$module" || die "cannot load $module"; done </modules.order

fast=trans=virtio,version=9p2000.L,msize=512000
mkdir -p /lower /over /root /mods
# loose: the guest may believe its own cache of trees that do not change under it
mount -t 9p -o "ro,cache=loose,$fast" hostroot /lower || die 'cannot mount the root of the host'
mount -t tmpfs -o size=80% over /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work over /root || die 'cannot lay memory over the root'
mkdir -p /root/lib/modules /root/proc /root/sys /root/dev /root/run /root/lab
mount -t 9p -o "ro,cache=loose,$fast" mods /root/lib/modules || die 'cannot mount the kernel modules'
# mmap: what the host writes must be seen
mount -t 9p -o "cache=mmap,$fast" lab /root/lab || die 'cannot mount the share'
for word in $(cat /proc/cmdline); do
  case $word in lab.checkout=*) mount -t 9p -o "ro,cache=mmap,$fast" checkout "/root${word#lab.checkout=}" || die 'cannot mount the checkout' ;; esac
done
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
exec switch_root /root /bin/bash /lab/.inside/init.sh
