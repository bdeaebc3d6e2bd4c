# Turns the Debian in the folder $1 into the virtual board: reachable over ssh as fast as can be, because that is paid
# for every verdict, and otherwise what a board has: systemd, its journal, a watchdog, pstore, /boot/firmware.
root=$1
put() {
	mkdir -p "$(dirname "$root$1")"
	cat > "$root$1"
}
units="$root/etc/systemd/system"

put /etc/hostname <<-X
	virtual
X
put /etc/hosts <<-X
	127.0.0.1 localhost virtual
X
# noauto: mounted by early.service below, without waiting for udev to announce the partition. dirsync: what is renamed on
# FAT must be on the disk when the call returns.
mkdir -p "$root/boot/firmware"
put /etc/fstab <<-X
	/dev/vda2 / ext4 defaults 0 0
	/dev/vda1 /boot/firmware vfat dirsync,umask=0022,noauto 0 0
X
# An identity from the start: without one systemd takes each boot for the first, and sets everything up anew.
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | sed 's/$/\n/' > "$root/etc/machine-id"
# The way in is ssh by key and the serial console, which only the owner of QEMU's socket has: no password there.
sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
rm -f "$root"/etc/ssh/ssh_host_*_key* "$root/root/.bashrc" "$root/root/.profile"

# --- systemd: alive for the watchdog, a journal that survives, short waits on the way down
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
	mountpoint -q /boot/firmware || mount /boot/firmware
	ip -batch - <<-I
	link set eth0 up
	addr add 10.0.2.15/24 dev eth0
	route add default via 10.0.2.2
	I
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
	[Install]
	WantedBy=sysinit.target
X
# --- sshd: one kind of key, the cheapest algorithms to emulate, no PAM, no name look-ups; started as early as possible
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
rm -f "$units/sshd.service" "$units/multi-user.target.wants/ssh.service"
put /etc/systemd/system/ssh.service <<-X
	[Unit]
	Description=OpenBSD Secure Shell server
	DefaultDependencies=no
	Conflicts=shutdown.target
	Before=shutdown.target
	[Service]
	ExecStart=/usr/sbin/sshd -D
	RuntimeDirectory=sshd
	KillMode=process
	Restart=always
	[Install]
	WantedBy=sysinit.target
X
mkdir -p "$units/sysinit.target.wants"
ln -s ../ssh.service ../early.service "$units/sysinit.target.wants/"

# --- a login on the serial line (console-getty needs no udev), after all else
mkdir -p "$units/multi-user.target.wants"
ln -s /lib/systemd/system/console-getty.service "$units/multi-user.target.wants/console-getty.service"

# --- what nobody needs here
mask() {
	for unit; do ln -sf /dev/null "$units/$unit"; done
}
mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-tmpfiles-clean.timer man-db.timer
mask getty.target getty-static.service systemd-logind.service systemd-user-sessions.service remote-fs.target \
	systemd-ask-password-wall.path systemd-ask-password-console.path
mask systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-random-seed.service \
	systemd-firstboot.service systemd-machine-id-commit.service systemd-sysusers.service systemd-repart.service \
	systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-binfmt.service systemd-modules-load.service \
	systemd-remount-fs.service systemd-tmpfiles-setup-dev.service kmod-static-nodes.service
mask proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-config.mount dev-hugepages.mount \
	cryptsetup.target integritysetup.target veritysetup.target systemd-journald-audit.socket systemd-initctl.socket
# The bus starts when somebody calls it (its socket does that); nothing here needs it to boot.
rm "$root/usr/lib/systemd/system/multi-user.target.wants/dbus.service"
mask modprobe@efi_pstore.service graphical.target systemd-sysext.service
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
# udev starts when the kernel announces something (its sockets do that); to go over all that is there already costs
# seconds and finds nothing.
mask systemd-udev-trigger.service
rm "$root/usr/lib/systemd/system/sysinit.target.wants/systemd-udevd.service"
# Each generator is one more process before the first unit.
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do
	ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
done
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
