#!/bin/bash
# Process 1 of the guest: what systemd and tmpfiles would have prepared, udev, the agent, and reaping orphans.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux LANG=C.UTF-8
declare -A word
for pair in $(</proc/cmdline); do [[ $pair == lab.*=* ]] && { key=${pair%%=*}; word[${key#lab.}]=${pair#*=}; }; done
export PATH="${word[checkout]}/bin:$PATH" LAB_CHECKOUT=${word[checkout]} LAB_SHARE=/lab

mount -t tmpfs -o mode=755 run /run
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
modprobe configfs && mount -t configfs configfs /sys/kernel/config
ln -sf /proc/self/fd /dev/fd

# Without /run/lock/iscsi every iscsiadm call ends with 6; without /etc/target LIO complains about its database.
mkdir -p /run/lab /run/lock/iscsi /run/lock/lvm /run/udev /run/sendsigs.omit.d /etc/target
chmod 1777 /run/lock
echo 1 >/proc/sys/kernel/sysrq
echo "${word[name]}" >/proc/sys/kernel/hostname
echo "${word[name]}" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n10.77.0.1 lab-a\n10.77.0.2 lab-b\n' "${word[name]}" >/etc/hosts
# Each guest is a machine of its own, and none of them is the host.
echo -n "storage-lab-${word[name]}" | md5sum | cut -c1-32 >/etc/machine-id
rm -rf /etc/lvm/devices /etc/iscsi/nodes /etc/iscsi/send_targets /var/lib/iscsi
mkdir -p /etc/iscsi
echo "InitiatorName=iqn.2024-01.org.example:${word[name]}" >/etc/iscsi/initiatorname.iscsi
# Private to root on the host; QEMU may run as somebody else, and then not even the guest's root can look into them.
for folder in archive backup; do mkdir -p "/etc/lvm/$folder"; mount -t tmpfs lvm "/etc/lvm/$folder"; done
# The overlay copies a file into memory when anything of it changes. Files that only root of the host can read may not be copied.
xargs -d '\n' touch -c -a </lab/.inside/hot || true
ip link set lo up
if [[ -n ${word[address]} ]]; then ip addr add "${word[address]}" dev eth0; ip link set eth0 up; fi

/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=subsystems --action=add
udevadm trigger --type=devices --action=add --subsystem-match=block --subsystem-match=net --subsystem-match=misc
(
  # 4 ports: a read and a write each may block, and Node's own work needs threads, too
  export UV_THREADPOOL_SIZE=16
  while :; do "${word[node]}" /lab/.inside/agent.mjs >>/lab/.inside/agent.log 2>&1; sleep 1; done
) &
udevadm settle --timeout=120
touch /run/lab/ready

while :; do wait -n || sleep .2; done
