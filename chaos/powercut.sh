#!/usr/bin/env bash
# Cuts the power of a disk, many times: what was acknowledged must be there afterwards.
#
#   powercut.sh [ROUNDS] [--control]   a node under load (default 5 rounds)
#   powercut.sh selftest               the same with a writer of three lines, to test this script
#   powercut.sh lacks                  what is missing to run this here, in words
#
# A round: a file system in an image file, a writer on it; at a random moment the writer is stopped
# (SIGSTOP) and the image copied, which is what a disk would hold if the power had failed just then:
# nothing that only the kernel's memory knew. The copy is mounted, its journal plays back, and the
# check looks for every operation that had been acknowledged before the stop.
#
# --control turns fsync and its kin into nothing (LD_PRELOAD); then the check has to find losses. A
# check that cannot fail proves nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

UNISONO=${UNISONO:-$root/target/ci/unisono}
ROUND_MS_MAX=${ROUND_MS_MAX:-3000}
PORT=${PORT:-17321}

# --- the command line of the node, in one place ------------------------------------------------------
# start_writer DISK ACKS: runs in the background and writes acknowledged operations to ACKS; it and
#   all its children are stopped as one process group.
# check DISK ACKS: prints how many operations were acknowledged and how many of them are lost.
start_writer() {
    # shellcheck disable=SC2016
    setsid bash -c '
        "$0" up --data "$1/data" --http "127.0.0.1:$3" --peer "127.0.0.1:$3" --log error >/dev/null &
        exec "$0" --node "http://127.0.0.1:$3" load --writers 16 --seconds 60 --history "$2"
    ' "$UNISONO" "$1" "$2" "$PORT" &
}
check() {
    local node dump
    dump=$(mktemp -p "$scratch")
    # A disk on which not even the node itself is left has lost everything that was acknowledged.
    if ! "$UNISONO" verify "$1/data" >/dev/null 2>&1 && [ ! -e "$1/data/cluster.toml" ]; then
        "$UNISONO" judge --dump "$dump" --history "$2" | tail -n 1 || true
        return
    fi
    "$UNISONO" serve --data "$1/data" --http "127.0.0.1:$PORT" --peer "127.0.0.1:$PORT" --log error >/dev/null &
    node=$!
    for ((try = 0; try < 100; try++)); do
        "$UNISONO" --node "http://127.0.0.1:$PORT" status >/dev/null 2>&1 && break
        sleep 0.1
    done
    # Without fsync the journal may be empty: then there is no orchestra to dump.
    "$UNISONO" --node "http://127.0.0.1:$PORT" dump >"$dump" || true
    kill "$node" 2>/dev/null || true
    wait "$node" || true
    # By what the node shows, and by what is on its disk. The judge prints `acknowledged=N lost=M` on its last line and exits with 0 only if M is 0.
    if [ "$control" = yes ]; then
        "$UNISONO" judge --dump "$dump" --history "$2" | tail -n 1 || true
    else
        "$UNISONO" judge --dump "$dump" --disks "$1/data" --history "$2" || echo "violated"
    fi
}
# ----------------------------------------------------------------------------------------------------

lacks() {
    [ "$(id -u)" = 0 ] || { echo "not root"; return; }
    command -v mkfs.ext4 >/dev/null || { echo "no mkfs.ext4 (package e2fsprogs)"; return; }
    losetup -f >/dev/null 2>&1 || { echo "no loop devices here"; return; }
}

# A library under which fsync and its kin say yes and do nothing.
build_no_fsync() {
    command -v cc >/dev/null || { echo "powercut: the control needs a C compiler" >&2; return 1; }
    cc -shared -fPIC -o "$1" -x c - <<'C'
int fsync(int f) { return 0; }
int fdatasync(int f) { return 0; }
int sync_file_range(int f, long o, long n, unsigned w) { return 0; }
int msync(void *a, unsigned long n, int w) { return 0; }
int syncfs(int f) { return 0; }
void sync(void) {}
C
}

tidy_up() {
    [ -z "$writer" ] || kill -KILL -- "-$writer" 2>/dev/null || true
    umount "$scratch/copy" 2>/dev/null || true
    umount "$scratch/disk" 2>/dev/null || true
    rm -rf "$scratch"
}

# One power cut. Leaves in `verdict` what the check printed.
round() {
    local image=$scratch/disk.img copy=$scratch/copy.img acks=$scratch/acks ms
    rm -f "$image" "$copy" "$acks"
    truncate -s 256M "$image"
    mkfs.ext4 -q -F "$image"
    mkdir -p "$scratch/disk" "$scratch/copy"
    mount -o loop "$image" "$scratch/disk"
    : >"$acks"
    if [ "$control" = yes ]; then export LD_PRELOAD=$scratch/no-fsync.so; fi
    start_writer "$scratch/disk" "$acks"
    writer=$!
    unset LD_PRELOAD
    for ((try = 0; try < 300; try++)); do
        [ -s "$acks" ] && break
        sleep 0.1
    done
    [ -s "$acks" ] || { echo "powercut: the writer acknowledges nothing" >&2; return 1; }
    ms=$((RANDOM % ROUND_MS_MAX))
    sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
    kill -STOP -- "-$writer"
    # The signal is on its way when the command ends: on a busy machine some threads went on for
    # milliseconds, and acknowledged what the copy no longer saw. So nothing is copied before all stand
    # still, and what counts is what was acknowledged before the copy began.
    wait_until_stopped "$writer"
    cp "$acks" "$acks.before"
    cp --sparse=always "$image" "$copy"
    kill -KILL -- "-$writer"
    wait "$writer" 2>/dev/null || true
    writer=
    unmount "$scratch/disk"
    mount -o loop "$copy" "$scratch/copy"
    check "$scratch/copy" "$acks.before" >"$scratch/verdict"
    unmount "$scratch/copy"
}

# All threads of a process group have stopped.
wait_until_stopped() {
    local state try
    for ((try = 0; try < 500; try++)); do
        # After the name: state, parent, group. Who has ended stands still, too, and a thread of anybody
        # that ends between its name and its reading is no failure.
        state=$({ cat /proc/[0-9]*/task/[0-9]*/stat 2>/dev/null || true; } | sed 's/.*) //' |
            awk -v group="$1" '$3 == group && $1 != "Z" { print $1 }' | sort -u)
        [ "$state" = T ] && return
        sleep 0.01
    done
    echo "powercut: the writer does not stop: $state" >&2
    return 1
}

# The last of the killed processes may take a moment to let go.
unmount() {
    local try
    for ((try = 0; try < 50; try++)); do
        umount "$1" 2>/dev/null && return
        sleep 0.1
    done
    umount "$1"
}

cuts() {
    local rounds=$1 line='' acknowledged=0 lost=0 broken=no n
    scratch=$(mktemp -d)
    writer=
    trap tidy_up EXIT
    [ "$control" = no ] || build_no_fsync "$scratch/no-fsync.so"
    for ((n = 1; n <= rounds; n++)); do
        round
        line=$(cat "$scratch/verdict")
        [[ $line != *violated* ]] || { echo "power cut $n: $line"; broken=yes; }
        line=$(grep -o 'acknowledged=.*' <<<"$line" || true)
        [[ $line =~ acknowledged=([0-9]+)\ lost=([0-9]+) ]] || { echo "powercut: no verdict: $line" >&2; return 1; }
        acknowledged=$((acknowledged + BASH_REMATCH[1]))
        lost=$((lost + BASH_REMATCH[2]))
        echo "power cut $n: $line"
    done
    tidy_up
    trap - EXIT
    echo "$rounds power cuts, $acknowledged acknowledged, $lost lost (fsync $([ "$control" = yes ] && echo off || echo on))"
    [ "$acknowledged" -gt 0 ] || { echo "powercut: nothing was acknowledged, so nothing was shown" >&2; return 1; }
    if [ "$control" = yes ]; then
        [ "$lost" -gt 0 ] || { echo "powercut: without fsync nothing was lost: this test cannot fail" >&2; return 1; }
    else
        [ "$broken" = no ] || { echo "powercut: a promise was broken" >&2; return 8; }
        [ "$lost" = 0 ] || { echo "powercut: acknowledged operations are gone" >&2; return 8; }
    fi
}

# A writer whose honesty is known: one line, made durable, acknowledged.
selftest() {
    start_writer() {
        # shellcheck disable=SC2016
        setsid bash -c '
            for ((n = 1; ; n++)); do
                echo "$n" >>"$0/log"
                sync -d "$0/log"
                echo "$n" >>"$1"
            done
        ' "$1" "$2" &
    }
    check() {
        local acknowledged last
        acknowledged=$(wc -l <"$2")
        last=$(grep -c . "$1/log" 2>/dev/null || true)
        last=${last:-0}
        echo "acknowledged=$acknowledged lost=$((acknowledged > last ? acknowledged - last : 0))"
    }
    ROUND_MS_MAX=700
    control=no
    cuts 3
    control=yes
    cuts 2
    echo "powercut: as it should be"
}

control=no
rounds=5
what=cuts
for argument in "$@"; do
    case $argument in
    --control) control=yes ;;
    selftest | lacks) what=$argument ;;
    [0-9]*) rounds=$argument ;;
    *) sed -n '2,6p' "$0" | cut -c3-; exit 2 ;;
    esac
done
if [ "$what" = cuts ] && [ ! -x "$UNISONO" ]; then
    echo "powercut: no node at $UNISONO; cargo build --workspace --profile ci" >&2
    exit 1
fi
if [ "$what" = cuts ]; then cuts "$rounds"; else "$what"; fi
