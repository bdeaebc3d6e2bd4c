# Makes an ext4 image from a tar archive and the configuration script. Run as root, because the files inside belong to
# many users: sh -eu image.sh ARCHIVE CONFIGURE OUT MEBIBYTES OWNER
# Works in a folder beside OUT, which it removes; OUT is complete when it exists under its name.
archive=$1 configure=$2 out=$3 mebibytes=$4 owner=$5
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work" "$out.part"' EXIT
mkdir "$work/root"
tar -C "$work/root" --numeric-owner -xf "$archive"
chmod 755 "$work/root"
sh -eu "$configure" "$work/root"
rm -f "$out.part"
# No lazy initialisation: nothing writes to the disk behind the back of whoever measures or cuts its power.
mke2fs -q -t ext4 -L root -m 1 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 \
	-d "$work/root" "$out.part" "${mebibytes}M"
chown "$owner" "$out.part"
mv "$out.part" "$out"
