//! The shell that runs on the board for a write. POSIX sh with GNU coreutils, tar, findutils and util-linux. Words from data
//! arrive quoted or through lists whose names `writer` has checked.

use super::super::quote;
use super::Packing;

/// Prints each path with symlinks resolved, then each parent folder so, then whether there is zstd; NUL behind each.
pub(super) fn resolve(words: &str) -> String {
    format!(
        r#"set -eu
set -- {words}
realpath -mz -- "$@"
for path in "$@"; do dirname -z -- "$path" | xargs -0 realpath -mz --; done
if command -v zstd >/dev/null; then printf 'zstd\0'; else printf 'plain\0'; fi
"#
    )
}

/// Unpacks beside the targets, flushes, hashes, renames, flushes.
pub(super) fn put(base: &str, name: &str, packing: Packing, keeps: bool) -> String {
    let unpack = match packing {
        Packing::Zstd => "zstd -dcq |",
        Packing::Plain => "",
    };
    let keep = if keeps { "yes" } else { "no" };
    format!(
        "set -eu\nbase={base}\nstage={base}/.lockstep-{name}\nkeep={keep}\n{PREPARE}\n{unpack} tar -xf - -C \"$stage\" $flags\n{PUT}"
    )
}

/// A folder that an interrupted write left on FAT is not removed: after a cut its files may share clusters with their
/// targets (vfat's rename is not one write), and unlinking one would free the other's. fsck.vfat has to look at it.
const PREPARE: &str = r#"umask 022
mkdir -p "$base"
fat=no
case "$(stat -f -c %T "$base")" in msdos|vfat|exfat) fat=yes ;; esac
for old in "$base"/.lockstep-*; do
    [ -d "$old" ] || continue
    if [ $fat = yes ]; then
        echo "remark=$old was left by an interrupted write on FAT: unmount it, run fsck.vfat, then remove it"
    else
        rm -rf -- "$old"
    fi
done
mkdir "$stage"
flags='-m -p --no-same-owner'
if [ $keep = yes ]; then flags='-p --same-owner --numeric-owner'; fi
if [ $fat = yes ]; then flags='-m --no-same-permissions --no-same-owner'; fi
if [ $fat$keep = yesyes ]; then flags='--no-same-permissions --no-same-owner'; fi
"#;

/// The FAT part: renames are made synchronous (`sync`: a remount changes `dirsync` only with the newer mount interface, see
/// `MS_RMT_MASK`), the old target stays open until the rename is on the medium, so that its clusters cannot be used
/// again before.
const PUT: &str = r#"tab=$(printf '\t')
cd "$stage"
while IFS="$tab" read -r mode to from; do
    case $to in */*) mkdir -p "./${to%/*}" ;; esac
    if [ $keep = yes ] && [ $fat = no ]; then cp -p -- "$from" "./$to"; else cp -- "$from" "./$to"; fi
    if [ $keep$fat = yesyes ]; then touch -r "$from" "./$to"; fi
    if [ $fat = no ]; then chmod "$mode" "./$to"; fi
done <.lockstep-copies
sync -f "$stage"
# Read back from the medium, not from the memory that was just written.
while IFS= read -r path; do dd if="./$path" iflag=nocache count=0 status=none 2>/dev/null || :; done <.lockstep-targets
if ! sha256sum --strict --quiet -c .lockstep-hashes >&2; then
    cd /; rm -rf -- "$stage"
    echo 'what arrived is not what was sent: nothing was changed' >&2
    exit 65
fi
if [ $fat = yes ]; then
    mount=$(stat -c %m "$base")
    options=$(awk -v m="$mount" '$2 == m { o = $4 } END { print o }' /proc/mounts)
    case ,$options, in
    *,sync,* | *,dirsync,*) ;;
    *)
        trap 'mount -o remount,async "$mount" || :' EXIT
        mount -o remount,sync "$mount" || echo "remark=$mount could not be made synchronous"
        ;;
    esac
else
    for top in */; do
        # A folder that is new as a whole needs one rename.
        if [ -d "$top" ] && [ ! -e "$base/$top" ]; then mv -T -- "${top%/}" "$base/${top%/}"; fi
    done
fi
while IFS= read -r path; do
    [ -e "./$path" ] || continue
    case $path in */*) mkdir -p "$base/${path%/*}" ;; esac
    if [ -f "$base/$path" ]; then exec 9<"$base/$path"; fi
    mv -fT -- "./$path" "$base/$path"
    if [ $fat = yes ]; then sync -f "$base"; fi
    exec 9<&-
done <.lockstep-targets
sync -f "$base"
rm -f .lockstep-targets .lockstep-hashes .lockstep-copies
cd /
find "$stage" -depth -type d -exec rmdir -- {} +
sync -f "$base"
"#;

/// Removes the files and folders of the NUL-separated list on standard input.
pub(super) const REMOVE: &str = r#"set -eu
list=$(mktemp)
trap 'rm -f "$list"' EXIT
cat >"$list"
xargs -0 rm -rf -- <"$list"
xargs -0 dirname -z -- <"$list" | sort -zu | xargs -0 -n1 sh -c '
    folder=$1
    while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
    sync -f "$folder"' sh
"#;

/// `depmod` for one release.
pub(super) fn depmod(release: &str, modules: &str) -> String {
    format!("set -eu\ndepmod {}\nsync -f {modules}\n", quote(release))
}

/// Copies the NUL-separated list on standard input (paths below `/`) into `stage/files`.
pub(super) fn snapshot(stage: &str, into: &str) -> String {
    format!(
        r#"set -eu
if [ -e {into} ]; then echo 'this backup exists: it is not overwritten' >&2; exit 73; fi
rm -rf -- {stage}
mkdir -p {stage}/files
chmod 700 {stage}
tar -C / --null --no-recursion -T - -cf - | tar -xpf - --same-owner --numeric-owner -C {stage}/files
sync -f {stage}
"#
    )
}

/// Writes the manifest from standard input, checks it, and gives the folder its name.
pub(super) fn keep_snapshot(stage: &str, into: &str, sha256: &str) -> String {
    format!(
        r#"set -eu
cat >{stage}/manifest.json
printf '%s  %s\n' {sha256} {stage}/manifest.json | sha256sum --strict --quiet -c - >&2
sync -f {stage}
if [ -e {into} ]; then echo 'this backup exists: it is not overwritten' >&2; exit 73; fi
mv -T -- {stage} {into}
sync -f {into}
"#
    )
}
