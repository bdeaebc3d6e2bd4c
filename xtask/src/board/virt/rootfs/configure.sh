# Turns the Debian in the folder $1 into the virtual board: reachable over ssh as fast as can be, because that is paid
# for every verdict, and otherwise what a board has: systemd, its journal, a watchdog, pstore, /boot/firmware.
root=$1
put() {
	mkdir -p "$(dirname "$root$1")"
	cat > "$root$1"
}

put /etc/hostname <<-X
	virtual
X
put /etc/hosts <<-X
	127.0.0.1 localhost virtual
X
# All of it is mounted by early.service below with one process, without waiting for udev to announce the partition. dirsync:
# what is renamed on FAT must be on the disk when the call returns.
mkdir -p "$root/boot/firmware"
put /etc/fstab <<-X
	/dev/vda2 / ext4 defaults 0 0
	/dev/vda1 /boot/firmware vfat dirsync,umask=0022 0 0
	tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0
	debugfs /sys/kernel/debug debugfs nosuid,nodev,noexec 0 0
	tracefs /sys/kernel/tracing tracefs nosuid,nodev,noexec 0 0
X
# U-Boot's environment in the second flash, which Linux joins to the first: /dev/mtd0 from 64 MiB on, one sector of 256 KiB.
put /etc/fw_env.config <<-X
	/dev/mtd0 0x4000000 0x40000 0x40000
X
# An identity from the start: without one systemd takes each boot for the first, and sets everything up anew.
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | sed 's/$/\n/' > "$root/etc/machine-id"
# The way in is ssh by key and the serial console, which only the owner of QEMU's socket has: no password there.
sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
rm -f "$root"/etc/ssh/ssh_host_*_key* "$root/root/.bashrc"
# What is asked over ssh is POSIX shell, and the smaller one starts sooner; whoever logs in gets bash.
sed -i 's,^\(root:.*\):/bin/bash$,\1:/bin/sh,' "$root/etc/passwd"
put /root/.profile <<-X
	exec bash
X

# --- systemd: alive for the watchdog, a journal that survives, short waits on the way down
units="$root/etc/systemd/system"
put /etc/systemd/system.conf.d/board.conf <<-X
	[Manager]
	RuntimeWatchdogSec=20
	RebootWatchdogSec=60
	DefaultTimeoutStopSec=10
X
mkdir -p "$root/var/log/journal"
put /etc/systemd/journald.conf.d/board.conf <<-X
	[Journal]
	Storage=persistent
	SystemMaxUse=128M
	RateLimitIntervalSec=0
	Audit=no
X
# The root file system is writable from the start: journald can write to it at once, and need not copy later
# (systemd-journal-flush) what it kept in /run.
put /etc/systemd/system/systemd-journald.service.d/board.conf <<-X
	[Service]
	ExecStartPre=/usr/bin/touch /run/systemd/journal/flushed
X
# eth0 keeps its name.
mkdir -p "$root/etc/systemd/network"
ln -sf /dev/null "$root/etc/systemd/network/99-default.link"

# --- clock, /boot/firmware and network in one process, before anything else. The network comes last: whoever gets in over
# ssh finds the rest done, and sshd can start meanwhile. The clock is read here where the kernel does not do it itself
# (RTC_HCTOSYS); hwclock would wait for the next second. clock-epoch: systemd never goes behind its time.
touch "$root/usr/lib/clock-epoch"
put /usr/local/sbin/board-early <<-'X'
	#!/bin/sh
	rtc=/sys/class/rtc/rtc0
	if [ -r $rtc/since_epoch ] && ! grep -qs 1 $rtc/hctosys; then
		read -r now < $rtc/since_epoch && date -u -s "@$now"
	fi
	# Not every kernel has all of them.
	mount -a 2> /dev/null
	ip -batch - <<-I
	link set eth0 up
	addr add 10.0.2.15/24 dev eth0
	route add default via 10.0.2.2
	I
	while read -r _ folder _; do
		[ "$folder" != /boot/firmware ] || exit 0
	done < /proc/mounts
	echo "/boot/firmware is not mounted" >&2
	exit 1
X
chmod 755 "$root/usr/local/sbin/board-early"
put /etc/systemd/system/early.service <<-X
	[Unit]
	Description=Clock, /boot/firmware and network
	DefaultDependencies=no
	[Service]
	Type=oneshot
	RemainAfterExit=yes
	ExecStart=/usr/local/sbin/board-early
X
# --- sshd: one kind of key, the cheapest algorithms to emulate, no PAM, no name look-ups; started as early as possible. -r: it does not
# execute itself once more for each connection (OpenSSH's sshd.c, `rexec_flag`), which costs a quarter of a login.
put /etc/ssh/sshd_config.d/board.conf <<-X
	HostKey /etc/ssh/ssh_host_ed25519_key
	KexAlgorithms curve25519-sha256
	PermitRootLogin prohibit-password
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	UsePAM no
	UseDNS no
	PrintMotd no
	PrintLastLog no
	X11Forwarding no
X
rm -f "$units/sshd.service"
put /etc/systemd/system/ssh.service <<-X
	[Unit]
	Description=OpenBSD Secure Shell server
	DefaultDependencies=no
	Conflicts=shutdown.target
	Before=shutdown.target
	[Service]
	ExecStart=/usr/sbin/sshd -D -r
	RuntimeDirectory=sshd
	KillMode=process
	Restart=always
X

# --- what starts at all. Each unit that a target wants is loaded even if it is masked or has nothing to do, so the lists that
# came with the packages are replaced: no timers, no logind, no utmp, no tmpfiles (what they would make is in the image),
# no udev coldplug (udev starts by its sockets when the kernel announces something; going over all that is there costs seconds
# and finds nothing), no bus before somebody calls it. The login on the serial line needs no udev.
lib=/usr/lib/systemd/system
rm -rf "$units"/*.wants
for target in sysinit multi-user timers getty graphical local-fs remote-fs; do
	rm -rf "$root$lib/$target.target.wants"
done
wants() {
	mkdir -p "$units/$1.wants"
	ln -s "$2" "$units/$1.wants/"
}
wants sysinit.target ../early.service
wants sysinit.target ../ssh.service
wants sysinit.target $lib/systemd-journald.service
wants sysinit.target $lib/systemd-pstore.service
wants multi-user.target $lib/console-getty.service
ln -sf $lib/multi-user.target "$units/default.target"
for unit in systemd-journald-audit.socket systemd-initctl.socket systemd-journal-flush.service systemd-remount-fs.service \
	modprobe@efi_pstore.service systemd-tmpfiles-setup.service systemd-sysctl.service graphical.target; do
	ln -sf /dev/null "$units/$unit"
done
# Each generator is one more process before the first unit.
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do
	ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
done
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
