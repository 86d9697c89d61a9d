#!/usr/bin/env bash
# Boots a real systemd over a copy of a file system; runs as PID 1 of namespaces of its own.
#
# Usage: unshare --pid --mount --uts --ipc --cgroup --fork --kill-child --propagation private boot.sh STAGE ROOT
# ROOT is the root folder of the system. STAGE/files is laid over it. STAGE/units, if it is there, are all the units there are; else the
# system boots as it is. Nothing that is written inside stays. The network namespace is the machine's own: nf_log_all_netns exists only there.
set -euo pipefail
stage=$1
system=$2
root=$stage/root
mkdir -p "$root" "$stage/memory"

mount -t tmpfs -o mode=0755 tmpfs "$stage/memory"
mkdir "$stage/memory/upper" "$stage/memory/work"
mount -t overlay -o "lowerdir=$system,upperdir=$stage/memory/upper,workdir=$stage/memory/work" overlay "$root"
cp -r --preserve=mode,ownership "$stage/files/." "$root/"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
# Read-only, so that nothing inside takes itself for the owner of the devices.
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
if [ -d "$stage/units" ]; then
    mkdir "$root/run/units"
    cp "$stage/units/"* "$root/run/units/"
    settings="SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/no-generators"
    target=systemd.unit=boot.target
else
    # The kernel, its modules and its sysctls are the real machine's.
    for unit in systemd-sysctl systemd-modules-load; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
    done
    settings=
    target=
fi

mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$device"
    mknod -m 0666 "$root/dev/$name" c "$major" "$minor"
done
# As the kernel makes it: root may write, everybody may read unless dmesg_restrict says otherwise.
mknod -m 0644 "$root/dev/kmsg" c 1 11

# As on a real machine, where mounts of the host reach the services: PID 1 leaves this to a container's manager.
mkdir -p "$root/mnt"
cd "$root"
pivot_root . mnt
umount -l mnt
mount --make-rshared /
# shellcheck disable=SC2086 # several words, or none
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin $settings \
    /lib/systemd/systemd $target systemd.log_target=journal systemd.show_status=0
