#!/usr/bin/env bash
# Fills a real disk under a node: writes are refused, reads are served, and with room again it goes on
# by itself; what was acknowledged is there.
#
#   fulldisk.sh          the run, about twenty seconds
#   fulldisk.sh lacks    what is missing to run this here, in words
#
# The disk is a file system of 48 MB in memory. A file beside the data takes nearly all of it, so that
# the journal runs into the end in the middle of its writing; then the file goes away.
set -euo pipefail
root=$(dirname "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)")

UNISONO=${UNISONO:-$root/target/ci/unisono}
PORT=${PORT:-17322}
DISK_MB=48

lacks() {
    [ "$(id -u)" = 0 ] || { echo "not root"; return; }
    local try
    try=$(mktemp -d)
    if mount -t tmpfs -o size=1m tmpfs "$try" 2>/dev/null; then umount "$try"; else echo "nothing can be mounted here"; fi
    rmdir "$try"
}

tidy_up() {
    [ -z "$load" ] || kill "$load" 2>/dev/null || true
    [ -z "$node" ] || kill -KILL "$node" 2>/dev/null || true
    wait 2>/dev/null || true
    umount "$scratch/disk" 2>/dev/null || true
    rm -rf "$scratch"
}

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*"; }
ask() { "$UNISONO" --node "http://127.0.0.1:$PORT" "$@"; }
refusals() { grep -c '"code":"disk_full"' "$scratch/served" || true; }
answers() { grep -c '"event":"ok"' "$scratch/served" || true; }

wait_until() { # SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            say "FAILED: $what, not within the time"
            tail -n 20 "$scratch/log"
            return 1
        fi
        sleep 0.2
    done
}

is_refused() { [ "$(refusals)" -gt 20 ]; }
goes_on() { [ "$(answers)" -gt $((before + 100)) ]; }

run() {
    scratch=$(mktemp -d)
    node='' load=''
    trap tidy_up EXIT
    mkdir "$scratch/disk"
    mount -t tmpfs -o "size=${DISK_MB}m" tmpfs "$scratch/disk"
    "$UNISONO" up --data "$scratch/disk/data" --http "127.0.0.1:$PORT" --peer "127.0.0.1:$PORT" \
        --history "$scratch/served" --log error >"$scratch/log" 2>&1 &
    node=$!
    wait_until 20 "the node serves" ask status
    ask agent enrol ada >/dev/null
    ask claim door --as ada --lease-ms 600000 >/dev/null
    "$UNISONO" --node "http://127.0.0.1:$PORT" load --writers 8 --seconds 600 --history "$scratch/told" 2>/dev/null &
    load=$!
    wait_until 20 "writes are acknowledged" grep -q '"event":"ok"' "$scratch/told"
    sleep 1
    # All but two megabytes; the load needs seconds for those.
    local free_kb
    free_kb=$(df --output=avail -k "$scratch/disk" | tail -n 1)
    fallocate -l "$((free_kb - 2048))K" "$scratch/disk/filler"
    wait_until 120 "writes are refused for want of room" is_refused
    say "full: $(answers) acknowledged, $(refusals) refused"
    # Reads go on, and say why writes do not.
    ask status -o json | grep -Eq '"disk_full": *true' || { say "FAILED: status says nothing of the disk"; return 1; }
    ask claim -o json | grep -q '"door"' || { say "FAILED: a claim cannot be read"; return 1; }
    ask sense >/dev/null
    rm "$scratch/disk/filler"
    before=$(answers)
    wait_until 60 "it takes writes again by itself" goes_on
    say "room again: $(answers) acknowledged"
    kill "$load"
    wait "$load" 2>/dev/null || true
    load=''
    ask dump --orchestra main >"$scratch/dump"
    kill "$node"
    wait "$node" || { say "FAILED: the node did not end well"; return 1; }
    node=''
    "$UNISONO" judge --history "$scratch/told" "$scratch/served" --dump "$scratch/dump" --disks "$scratch/disk/data"
    tidy_up
    trap - EXIT
}

case ${1:-} in
lacks) lacks ;;
*)
    lack=$(lacks)
    if [ -n "$lack" ]; then echo "SKIPPED full disk: $lack"; exit 0; fi
    [ -x "$UNISONO" ] || { echo "fulldisk.sh: no node at $UNISONO; cargo build --workspace --profile ci" >&2; exit 1; }
    run
    ;;
esac
