//! The shell that runs on the board for a write. POSIX sh with GNU coreutils, tar, findutils and util-linux. Words from data
//! arrive quoted or through lists whose names `writer` has checked.

use super::super::inventory::{Content, Entry};
use super::super::quote;
use super::super::script::THERE;
use super::Packing;

/// Begins every script that writes: one writer at a time (a connection that was cut may leave a script behind that still runs), and
/// the refusal of invariant 1, which looks at what the paths are on the board *now*, symlinks resolved, in the script that writes.
///
/// `guard LIST COUNT` reads a NUL-separated list of absolute paths. It refuses one that is protected, inside of what is protected, or
/// around it; on the boot mount also names that may be another file's on FAT; and, with `straight=yes`, one that is or lies behind a
/// symbolic link. With `excuse=exact` a path of the list itself may be protected; with a path as `excuse`, this one alone.
pub(super) fn guarded(protected: &str, rule: &Rule) -> String {
    let (excuse, straight) = match rule {
        Rule::Nothing => ("none".to_string(), "no"),
        Rule::NothingThroughLinks => ("none".to_string(), "yes"),
        Rule::NothingButThis(path) => (quote(path), "yes"),
        Rule::ThesePaths => ("exact".to_string(), "yes"),
    };
    format!(
        "set -eu\nexport LC_ALL=C\numask 022\nexcuse={excuse}\nstraight={straight}\nprotected={}\n{THERE}{GUARD}",
        quote(protected)
    )
}

/// What a guarded script may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing that is protected.
    Nothing,
    /// Nothing that is protected, and nothing that is a link or behind one.
    NothingThroughLinks,
    /// Nothing that is protected, but for this path; nothing that is a link or behind one.
    NothingButThis(String),
    /// The listed paths, although they are protected; nothing that is a link or behind one.
    ThesePaths,
}

/// `flush FILE` writes all of its file system and has the disk empty its own cache. vfat does the second for fsync only (fs/fat/file.c,
/// `fat_file_fsync`; it has no `sync_fs`, so that syncfs leaves what it wrote in the disk's cache), ext4 for both.
///
/// Lines of `$protected`: a letter, then a path whose newlines are \001 (`P` protected, `M` boot mount). Behind them the paths of the list, as many as
/// are expected: as they are named, resolved, and the resolved folders that they are in.
const GUARD: &str = r#"exec 8>/run/lockstep.lock
flock -w 120 8 || { echo 'another write of ours still runs on the board: wait until it has ended' >&2; exit 75; }
flush() { sync -f "$1"; sync "$1"; }
guard() {
    {
        printf '%s\n---\n' "$protected"
        {
            cat "$1"
            { cat "$1"; xargs -0 -r dirname -z -- <"$1"; } | xargs -0 -r realpath -mz --
        } | tr '\n\000' '\001\n'
    } | EXCUSE="$excuse" awk -v want="$2" -v straight="$straight" '
        BEGIN { excuse = ENVIRON["EXCUSE"] }
        function within(a, b) { return a == b || b == "/" || index(a, b "/") == 1 }
        function refuse(path, why) {
            if (!refused) print "refused to write " path ": " why >"/dev/stderr"
            refused = 1
            exit 77
        }
        !listed && $0 == "---" { listed = 1; next }
        !listed { kind = substr($0, 1, 1); path = substr($0, 2) }
        listed { paths++; kind = paths <= want ? "N" : paths <= 2 * want ? "T" : "D"; path = $0 }
        { low = tolower(path) }
        kind == "P" { guarded[++guards] = low }
        kind == "M" { mount = path }
        kind == "N" { named[++names] = path }
        kind == "T" {
            seen++
            if (straight == "yes" && path != named[seen]) refuse(named[seen], "it is a symbolic link, or lies behind one (" path ")")
            if (excuse == "exact" || path == excuse) next
            if (path ~ /[\001-\037\177]/) refuse(path, "its name has control characters")
            if (within(path, mount) && (path ~ /~/ || path ~ /[. ](\/|$)/)) refuse(path, "it may be another name of a file on FAT")
            for (i = 1; i <= guards; i++) {
                if (low == guarded[i]) refuse(path, "it is protected")
                if (within(low, guarded[i])) refuse(path, "it is inside the protected " guarded[i])
                if (within(guarded[i], low)) refuse(path, "the protected " guarded[i] " is inside it")
            }
        }
        kind == "D" && excuse != "exact" {
            for (i = 1; i <= guards; i++) if (within(low, guarded[i])) refuse(path, "it is inside the protected " guarded[i])
        }
        END {
            if (refused) exit 77
            if (paths != 3 * want || guards == 0) { print "the list of what is to be written did not arrive whole" >"/dev/stderr"; exit 76 }
        }'
}
"#;

/// Looks which packing the board knows.
pub(in crate::board) const PACKING: &str =
    "if command -v zstd >/dev/null; then echo zstd; else echo plain; fi";

/// What a write is like, beside its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    /// What crosses the line.
    pub packing: Packing,
    /// Owners and times are kept.
    pub keeps: bool,
    /// Each rename is on the medium before the next.
    pub in_order: bool,
}

/// Unpacks beside the targets, checks and flushes, hashes, renames, flushes. `files` is the number of targets.
pub(super) fn put(base: &str, name: &str, how: How, files: usize) -> String {
    let How {
        packing,
        keeps,
        in_order,
    } = how;
    let unpack = match packing {
        Packing::Zstd => "zstd -dcq |",
        Packing::Plain => "",
    };
    let yes = |what: bool| if what { "yes" } else { "no" };
    let (keep, each) = (yes(keeps), yes(in_order));
    format!(
        "base={base}\nstage=.lockstep-{name}\nkeep={keep}\neach={each}\nfiles={files}\n{PREPARE}\n{unpack} tar -xf - -C \"$stage\" $flags\n{PUT}"
    )
}

/// A folder that an interrupted write left on FAT is not removed: after a cut its files may share clusters with their
/// targets (vfat's rename is not one write), and unlinking one would free the other's. fsck.vfat has to look at it.
///
/// The base may be named through a link (`/lib/modules`); from here on the script stands in the folder that this is, and a link that changes
/// above it changes nothing.
const PREPARE: &str = r#"if cd -P -- "$base" 2>/dev/null; then base=$(pwd -P); else base=$(realpath -m -- "$base"); fi
printf '%s\n' "$protected" | BASE="$base" awk '
    BEGIN { base = ENVIRON["BASE"] }
    substr($0, 1, 1) == "P" {
        path = tolower(substr($0, 2)); low = tolower(base)
        if (low == path || index(low, path "/") == 1) { print "refused to write into " base ": it is inside the protected " path >"/dev/stderr"; exit 77 }
    }'
[ -d "$base" ] || mkdir -p -- "$base"
cd -P -- "$base"
[ "$(pwd -P)" = "$base" ] || { echo "refused to write into $base: it became a symbolic link" >&2; exit 77; }
fat=no
case "$(stat -f -c %T .)" in msdos|vfat|exfat) fat=yes ;; esac
for old in .lockstep-*; do
    [ -d "$old" ] || continue
    if [ $fat = yes ]; then
        echo "remark=$base/$old was left by an interrupted write on FAT: unmount it, run fsck.vfat, then remove it"
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
while IFS= read -r path; do printf '%s/%s\0' "$base" "$path"; done <.lockstep-targets >.lockstep-list
guard .lockstep-list "$files" || { status=$?; cd ..; rm -rf -- "$stage"; exit $status; }
while IFS="$tab" read -r mode to from; do
    case $to in */*) [ -d "./${to%/*}" ] || mkdir -p "./${to%/*}" ;; esac
    if [ $keep = yes ] && [ $fat = no ]; then cp -p -- "$from" "./$to"; else cp -- "$from" "./$to"; fi
    if [ $keep$fat = yesyes ]; then touch -r "$from" "./$to"; fi
    if [ $fat = no ]; then chmod "$mode" "./$to"; fi
done <.lockstep-copies
flush .
# Read back from the medium, not from the memory that was just written.
while IFS= read -r path; do dd if="./$path" iflag=nocache count=0 status=none 2>/dev/null || :; done <.lockstep-targets
if ! sha256sum --strict --quiet -c .lockstep-hashes >&2; then
    cd ..; rm -rf -- "$stage"
    echo 'what arrived is not what was sent: nothing was changed' >&2
    exit 65
fi
if [ $fat = yes ]; then
    each=yes
    mount=$(stat -c %m ..)
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
        if [ -d "$top" ] && ! there "../${top%/}"; then mv -T -- "${top%/}" "../${top%/}"; fi
    done
fi
while IFS= read -r path; do
    there "./$path" || continue
    case $path in */*) [ -d "../${path%/*}" ] || mkdir -p "../${path%/*}" ;; esac
    if there "../$path" && [ -f "../$path" ]; then exec 9<"../$path"; fi
    mv -fT -- "./$path" "../$path"
    if [ $each = yes ]; then flush ..; fi
    exec 9<&-
done <.lockstep-targets
[ $each = yes ] || flush ..
rm -f .lockstep-targets .lockstep-hashes .lockstep-copies .lockstep-list
cd ..
find "./$stage" -depth -type d -exec rmdir -- {} +
flush .
"#;

/// Tells the hash of a file that was written.
pub(super) fn read_back(path: &str) -> String {
    format!("sum=$(sha256sum <{path})\necho \"back=${{sum%% *}}\"\n")
}

/// Removes the files and folders of the NUL-separated list on standard input, `$files` of them.
pub(super) const REMOVE: &str = r#"guarded=$(mktemp)
trap "rm -f '$guarded'" EXIT
cat >"$guarded"
guard "$guarded" "$files"
# What is mounted below a folder is somebody else's.
xargs -0 rm -rf --one-file-system -- <"$guarded"
xargs -0 dirname -z -- <"$guarded" | sort -zu | xargs -0 -n1 sh -c '
    folder=$1
    while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
    sync -f "$folder"; sync "$folder"' sh
"#;

/// Guards the folders (words) that a script is about. The trap has the name of its file in it, not a variable that a later line may set.
pub(super) fn guard_words(words: &[&str]) -> String {
    format!(
        "guarded=$(mktemp)\ntrap \"rm -f '$guarded'\" EXIT\nprintf '%s\\0' {} >\"$guarded\"\nguard \"$guarded\" {}\n",
        words.join(" "),
        words.len()
    )
}

/// One folder or link as the backup has it. Something else in its place goes away; a folder that is there keeps what is in it.
pub(super) fn reshape(path: &str, entry: &Entry) -> String {
    let (user, group) = entry.owner;
    match &entry.content {
        Content::Folder => format!(
            "if [ -L {path} ] || [ ! -d {path} ]; then rm -f -- {path}; mkdir -p -- {path}; fi\n\
             chown {user}:{group} {path}\nchmod {:o} {path}\nflush {path}\n",
            entry.mode
        ),
        Content::Link { to } => format!(
            "if [ ! -L {path} ] && [ -d {path} ]; then rm -rf -- {path}; fi\n\
             ln -sfnT -- {} {path}\nchown -h {user}:{group} {path}\ntouch -h -d @{} {path}\nflush \"$(dirname -- {path})\"\n",
            quote(to),
            entry.modified
        ),
        Content::File { .. } | Content::Other(_) => String::new(),
    }
}

/// One file gets another name, which must be free.
pub(super) fn rename(from: &str, to: &str) -> String {
    format!(
        "{}if there {to}; then echo {to}' is there already' >&2; exit 73; fi\nmv -T -- {from} {to}\nflush {to}\n",
        guard_words(&[from, to])
    )
}

/// `depmod` for one release.
pub(super) fn depmod(release: &str, modules: &str) -> String {
    format!(
        "{}depmod {}\nflush {modules}\n",
        guard_words(&[modules]),
        quote(release)
    )
}

/// Copies the NUL-separated list on standard input (paths below `/`) into `stage/files`.
pub(super) fn snapshot(stage: &str, into: &str) -> String {
    format!(
        r#"{}if there {into}; then echo 'this backup exists: it is not overwritten' >&2; exit 73; fi
rm -rf -- {stage}
mkdir -p {stage}/files
chmod 700 {stage}
tar -C / --null --no-recursion -T - -cf - | tar -xpf - --same-owner --numeric-owner -C {stage}/files
flush {stage}
"#,
        guard_words(&[stage, into])
    )
}

/// Writes the manifest from standard input, checks it, and gives the folder its name.
pub(super) fn keep_snapshot(stage: &str, into: &str, sha256: &str) -> String {
    format!(
        r#"{}cat >{stage}/manifest.json
printf '%s  %s\n' {sha256} {stage}/manifest.json | sha256sum --strict --quiet -c - >&2
flush {stage}
if there {into}; then echo 'this backup exists: it is not overwritten' >&2; exit 73; fi
mv -T -- {stage} {into}
flush {into}
"#,
        guard_words(&[stage, into])
    )
}
