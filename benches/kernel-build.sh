#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `cargo xtask build` costs over plain make: with nothing to do, with one changed module, and (--full) from nothing.
# The two take turns, so that a machine that becomes slower or faster during the runs is no advantage for either. Prints a table with median,
# lowest and highest seconds. Plain make is the tool's own last call (lockstep-make.sh) without --output-sync.
#
#   benches/kernel-build.sh [--runs N] [--full N] [--profile NAME] [--module FILE.c]
#
# --full N    also builds from nothing, N times each, without ccache: 20 minutes each time on two cores
# --module    the source that is touched, relative to the tree
# The time to import Debian's kernel source is what `cargo xtask setup` prints for that step.
#
# It needs a kernel that was built before: cargo xtask build --profile NAME. It leaves the build as it was, apart from times of change.
set -eu

runs=5 full=0 profile=lockdep module=drivers/media/test-drivers/vim2m.c
while [ $# -gt 0 ]; do
    case "$1" in
    --runs) runs=$2; shift ;;
    --full) full=$2; shift ;;
    --profile) profile=$2; shift ;;
    --module) module=$2; shift ;;
    -h | --help) sed -n '3,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown argument $1; see --help" >&2; exit 2 ;;
    esac
    shift
done
cd "$(dirname "$0")/.."
project=$PWD
cache=${LOCKSTEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep}
cargo build --quiet -p xtask
xtask=$project/target/debug/lockstep
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# One build now: it brings everything up to date, and its answer says where it is.
"$xtask" build --profile "$profile" --json --no-input >"$scratch/answer" 2>"$scratch/said" || { cat "$scratch/said" >&2; exit 1; }
log=$(sed 's/.*"log":"\([^"]*\)".*/\1/' "$scratch/answer")
out=${log%/*}
tree=$(readlink "$out/source")
[ -f "$tree/$module" ] || { echo "there is no $module in $tree; name another with --module" >&2; exit 2; }
sed 's/ --output-sync=target / /' "$out/lockstep-make.sh" >"$scratch/plain.sh"

seconds() { # seconds NAME COMMAND...: appends the wall time of the command to a file
    name=$1; shift
    from=$(date +%s.%N)
    "$@" >"$scratch/last" 2>&1 || { tail -20 "$scratch/last" >&2; exit 1; }
    to=$(date +%s.%N)
    echo "$from $to" | awk '{ printf "%.2f\n", $2 - $1 }' >>"$scratch/$name"
}
plain() { seconds "$1" sh "$scratch/plain.sh"; }
tool() { seconds "$1" "$xtask" build --profile "$profile" --no-input; }
# The module is compiled, linked and staged anew; its content stays the same, so that the tree does.
change() { touch "$tree/$module"; }
arch=$(sed -n 's/.* ARCH=\([^ ]*\) .*/\1/p' "$out/lockstep-make.sh")
clean() { make -s -C "$tree" O="$out" ARCH="$arch" clean >/dev/null; }

run=0
while [ "$run" -lt "$runs" ]; do
    run=$((run + 1))
    echo "run $run of $runs" >&2
    plain nothing.plain; tool nothing.tool
    change; plain module.plain
    change; tool module.tool
done
turn=0
while [ "$turn" -lt "$full" ]; do
    turn=$((turn + 1))
    echo "full build $turn of $full" >&2
    export CCACHE_DISABLE=1
    clean; plain full.plain
    clean; tool full.tool
done
spread() { sort -n "$1" | awk '{ v[NR] = $1 } END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf "%.2f %.2f %.2f", m, v[1], v[NR] }'; }
echo "$(uname -m), $(nproc) cores, $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo), $runs runs each, profile $profile, cache $cache"
echo
echo "| | make: median (lowest to highest) s | cargo xtask build s | factor | more s |"
echo "|---|---|---|---|---|"
for what in nothing module full; do
    [ -f "$scratch/$what.plain" ] || continue
    printf '%s %s\n' "$(spread "$scratch/$what.plain")" "$(spread "$scratch/$what.tool")" |
        awk -v what="$what" '{ printf "| %s | %s (%s to %s) | %s (%s to %s) | %.2f | %+.2f |\n", what, $1, $2, $3, $4, $5, $6, $4 / $1, $4 - $1 }'
done
