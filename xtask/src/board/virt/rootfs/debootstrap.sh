# Makes a tar archive of a minimal Debian for arm64. Run as root: sh -eu debootstrap.sh OUT PACKAGES SUITE SOURCE...
# Each SOURCE is a line for sources.list. Leaves nothing behind but OUT and, at worst, a folder in /tmp.
out=$1 packages=$2 suite=$3
shift 3

# Programs for arm64 run here through qemu-user: the kernel has to know them (binfmt_misc).
if [ "$(uname -m)" != aarch64 ] && [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
	if [ ! -e /proc/sys/fs/binfmt_misc/register ]; then
		mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
	fi
	# Without a running init nobody has registered what the package brought.
	update-binfmts --import qemu-aarch64 2>/dev/null || true
	update-binfmts --enable qemu-aarch64
fi

exec mmdebstrap --arch=arm64 --variant=minbase --include="$packages" \
	--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--format=tar "$suite" "$out" "$@"
