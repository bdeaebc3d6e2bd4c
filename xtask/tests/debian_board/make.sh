# Makes Debian's own arm64 kernel the vanilla of a new virtual board: linux-image-arm64 with the initramfs that initramfs-tools made of it, booted
# by extlinux.conf. Run as root in a mount name space of its own, where its mounts end with it:
#   unshare -m sh -eu make.sh DISK DEVICE-TREE WORK-FOLDER
# The packages come from the mirror that the board's user land came from, through this machine's apt. Dies half-way: the disk is of no use.
disk=$1 tree=$2 work=$3
root=$work/root
sectors() { sfdisk --dump "$disk" | sed -n "s/.*$1= *\([0-9]*\).*name=\"$2\".*/\1/p"; }
fat=$disk@@$(($(sectors start firmware) * 512))
mkdir -p "$root" "$work/lists/partial" "$work/cache/archives/partial"
mount -o "loop,offset=$(($(sectors start root) * 512)),sizelimit=$(($(sectors size root) * 512))" "$disk" "$root"

# Without the drivers of machines that this board is not: each comparison of vanilla hashes every module of it.
cat >"$root/etc/dpkg/dpkg.cfg.d/board" <<-X
	path-exclude=/usr/share/doc/*
	path-exclude=/usr/share/man/*
	path-exclude=/lib/modules/*/kernel/sound/*
	path-exclude=/lib/modules/*/kernel/drivers/*
	path-include=/lib/modules/*/kernel/drivers/virtio/*
	path-include=/lib/modules/*/kernel/drivers/block/virtio_blk.ko
	path-include=/lib/modules/*/kernel/drivers/net/virtio_net.ko
	path-include=/lib/modules/*/kernel/drivers/net/net_failover.ko
	path-include=/lib/modules/*/kernel/drivers/net/netconsole.ko
	path-include=/lib/modules/*/kernel/drivers/char/hw_random/*
	path-include=/lib/modules/*/kernel/drivers/watchdog/*
	path-include=/lib/modules/*/kernel/drivers/mtd/*
X
fetch() {
	apt-get -q -y -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
		-o Dir::Etc::sourcelist="$root/etc/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$work" \
		-o Dir::State::status="$root/var/lib/dpkg/status" -o Dir::Cache="$work/cache" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}
fetch update
fetch --download-only install linux-image-arm64 initramfs-tools dracut-core
mkdir -p "$root/var/tmp/packages"
mount --bind "$work/cache/archives" "$root/var/tmp/packages"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
# The kernel's own script has the initramfs made; the trigger would have it made again.
inside sh -c 'dpkg --no-triggers --force-unsafe-io --install /var/tmp/packages/*.deb'
release=$(ls "$root/lib/modules" | grep -e '-arm64$')

rm -rf "$work/boot"
mkdir -p "$work/boot/dtbs/$release"
cp "$root/boot/vmlinuz-$release" "$root/boot/initrd.img-$release" "$work/boot/"
cp "$tree" "$work/boot/dtbs/$release/virt.dtb"
for old in "$root"/usr/lib/modules/*; do
	case $old in *-arm64) ;; *) rm -r "$old" ;; esac
done
umount "$root/dev" "$root/proc" "$root/var/tmp/packages"
rmdir "$root/var/tmp/packages"
umount "$root"
mdeltree -i "$fat" ::/dtbs ::/extlinux
mdel -i "$fat" '::/Image-*'
mkdir "$work/boot/extlinux"
# The kernel's device names: its own user space would call the network something else.
cat >"$work/boot/extlinux/extlinux.conf" <<X
menu title Debian board
timeout 20
default arch_devices

label arch_devices
	menu label Debian $release
	kernel /vmlinuz-$release
	initrd /initrd.img-$release
	fdt /dtbs/$release/virt.dtb
	append console=ttyAMA0,115200 root=/dev/vda2 rw rootwait net.ifnames=0 panic=10
X
mcopy -s -i "$fat" "$work"/boot/* ::/
