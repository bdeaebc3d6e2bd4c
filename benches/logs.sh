#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# How fast `cargo xtask logs` reads, on one core, and how much memory it needs. The profile that `cargo xtask` uses. The logs are made from what the repository
# has: real boots of an arm64 kernel with their splats (crates/kernel-log/tests/logs), and between them the lines of an ordinary boot and of audit.
#
#   benches/logs.sh [--size MB]
#
# --size    of each log, default 1000
#
# It prints a row for each log: `quiet` has no splat, `mixed` has one line of a splat in ten, `splats` is nothing but the boots with their
# splats, `kmsg` is the mixed one as /dev/kmsg gives it. On a machine that does other work, too, the CPU seconds say more. The logs go to a temporary folder, one at a time, and are removed.
set -eu

size=1000
while [ $# -gt 0 ]; do
    case "$1" in
    --size) size=$2; shift ;;
    -h | --help) sed -n '3,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown argument $1; see --help" >&2; exit 2 ;;
    esac
    shift
done
cd "$(dirname "$0")/.."
cargo build --quiet -p xtask
xtask=$PWD/target/debug/lockstep
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Lines of an ordinary boot, as one would read on a serial line.
awk 'BEGIN {
    for (i = 0; i < 4000; i++) {
        t = sprintf("[%5d.%06d][%6s] ", 2 + i / 40, (i * 977) % 1000000, "T" (1 + i % 400))
        if (i % 5 == 0) print t "usb 1-" i % 7 ": new high-speed USB device number " i % 90 " using xhci_hcd"
        else if (i % 5 == 1) print t "audit: type=1400 audit(1732291200." i % 1000 ":" i "): apparmor=\"STATUS\" operation=\"profile_load\" name=\"/usr/bin/man\" pid=" i " comm=\"apparmor_parser\""
        else if (i % 5 == 2) print t "systemd[1]: Starting systemd-journal-flush.service - Flush Journal to Persistent Storage..."
        else if (i % 5 == 3) print t "vim2m vim2m." i % 3 ": Device registered as /dev/video" i % 4
        else print t "EXT4-fs (vda2): mounted filesystem 1b2c3d4e-0000-4000-8000-" i " ro with ordered data mode. Quota mode: none."
    }
}' >"$scratch/ordinary"
cat crates/kernel-log/tests/logs/*.log >"$scratch/boots"
plain=$(($(wc -l <"$scratch/boots") * 9 / 4000 + 1))

unit() { # unit NAME: one piece of a log
    case "$1" in
    quiet) cat "$scratch/ordinary" ;;
    splats) cat "$scratch/boots" ;;
    mixed)
        cat "$scratch/boots"
        i=0; while [ $i -lt $plain ]; do cat "$scratch/ordinary"; i=$((i + 1)); done ;;
    kmsg) unit mixed | awk '{ sub(/^\[[^]]*\](\[[^]]*\])? /, ""); sub(/\r$/, ""); printf "6,%d,%d,-,caller=T%d;%s\n", NR, NR * 1000, NR % 400, $0 }' ;;
    esac
}

cpu() { # seconds that the children of this shell have used so far
    times >"$scratch/times"
    awk 'NR == 2 { gsub(/[ms]/, " "); print $1 * 60 + $2 + $3 * 60 + $4 }' "$scratch/times"
}

echo "$(uname -m), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), one core"
echo
echo "| log | MB | s | MB/s | CPU s | MB per CPU s | peak RSS MB |"
echo "|---|---|---|---|---|---|---|"
for log in quiet mixed splats kmsg; do
    unit "$log" >"$scratch/unit"
    times=$((size * 1000000 / $(wc -c <"$scratch/unit") + 1))
    i=0; while [ $i -lt $times ]; do cat "$scratch/unit"; i=$((i + 1)); done >"$scratch/log"
    bytes=$(wc -c <"$scratch/log")
    cat "$scratch/log" >/dev/null
    cpu >"$scratch/before"
    from=$(date +%s.%N)
    taskset -c 0 "$xtask" logs -q "$scratch/log" >"$scratch/said" 2>&1 &
    pid=$!
    peak=0
    while [ -r "/proc/$pid/status" ]; do
        now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null) || break
        [ -z "$now" ] || peak=$now
        sleep 0.2
    done
    wait $pid || [ $? -eq 3 ] || { tail -3 "$scratch/said" >&2; exit 1; }
    to=$(date +%s.%N)
    cpu >"$scratch/after"
    echo "$from $to $bytes $peak $log $(cat "$scratch/before" "$scratch/after" | tr '\n' ' ')" |
        awk '{ s = $2 - $1; c = $7 - $6; mb = $3 / 1e6; printf "| %s | %.0f | %.2f | %.0f | %.2f | %.0f | %.0f |\n", $5, mb, s, mb / s, c, mb / c, $4 / 1024 }'
    rm "$scratch/log"
done
