#!/usr/bin/env bash
# Real nodes on five hosts in network namespaces: cuts, kills and pauses them under load, heals, and
# lets the simulator's checkers judge what was promised and what is there.
#
#   run.sh [SCENARIO...]    partition, oneway, moving, kill, pause, loss (default: all)
#   run.sh lacks            what is missing to run this here, in words
#   run.sh list             the scenarios
#
# SECONDS_EACH is how long the faults of a scenario last (default 20). KEEP=1 leaves the logs. SEED
# makes the choice of victims repeatable; the timing of real machines is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=lab.sh
. "$here/lab.sh"

UNISONO=${UNISONO:-$root/target/ci/unisono}
SECONDS_EACH=${SECONDS_EACH:-20}
SETTLE_SECONDS=${SETTLE_SECONDS:-30}
NODES=5
REGIONS=(- ada ada bach bach clara) # by host, from 1
RANDOM=${SEED:-1}
SCENARIOS=(partition oneway moving kill pause loss)

# --- the command line of the node, in one place ------------------------------------------------------
HTTP_PORT=7321
PEER_PORT=7322
# What says whether the promises were kept, by what clients were told, what nodes say that they told,
# and what all nodes show and hold on their disks: it exits with 0 if every checker is content and
# prints a line for each that is not.
judge() {
    "$UNISONO" judge --history "$work"/told*.jsonl "$work"/served*.jsonl --dump "$work"/dump*.ndjson \
        --disks "$work"/node[0-9]
}

node_url() { echo "http://127.0.0.1:$HTTP_PORT"; }
ask() { local i=$1; shift; lab_exec "$i" "$UNISONO" --node "$(node_url)" "$@"; }
node_invite() { lab_exec 1 "$UNISONO" invite --data "$work/node1"; }
node_init() { lab_exec 1 "$UNISONO" init --data "$work/node1" --region "${REGIONS[1]}" --name node1; }
node_join() { # I INVITATION
    lab_exec "$1" "$UNISONO" join "$2" --data "$work/node$1" --region "${REGIONS[$1]}" --name "node$1"
}
node_start() { # I
    # Not by lab_exec: the process that is killed has to be the node, not a shell around it.
    ip netns exec "$(lab_host "$1")" "$UNISONO" serve --data "$work/node$1" --http "127.0.0.1:$HTTP_PORT" \
        --peer "$(lab_address "$1"):$PEER_PORT" --history "$work/served$1.jsonl" >>"$work/node$1.log" 2>&1 &
    pids[$1]=$!
}
load_start() { # I: a client on host I that writes through its own node until it is told to end
    ip netns exec "$(lab_host "$1")" "$UNISONO" --node "$(node_url)" load --writers 4 --seconds 3600 \
        --history "$work/told$1.jsonl" >>"$work/load$1.log" 2>&1 &
    loads[$1]=$!
}
# ----------------------------------------------------------------------------------------------------

declare -A pids loads

lacks() { lab_lacks; }

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*"; }
victim() { echo $((RANDOM % NODES + 1)); }
alive() { kill -0 "${pids[$1]}" 2>/dev/null; }

wait_until() { # SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then say "FAILED: $what, not within the time"; return 1; fi
        sleep 0.2
    done
}

everybody_is_here() {
    local i
    for ((i = 1; i <= NODES; i++)); do
        [ "$(ask "$i" members -o ndjson | grep -c '"alive":true')" = "$NODES" ] || return 1
    done
}

# The same records everywhere: the dump is sorted, so equal sets are equal bytes.
everybody_agrees() {
    local i first='' this
    for ((i = 1; i <= NODES; i++)); do
        ask "$i" dump >"$work/dump$i.ndjson" || return 1
        this=$(sha256sum <"$work/dump$i.ndjson")
        first=${first:-$this}
        [ "$this" = "$first" ] || return 1
    done
}

cluster_up() {
    local i invitation
    node_init
    node_start 1
    wait_until 20 "the first node serves" ask 1 status
    for ((i = 2; i <= NODES; i++)); do
        invitation=$(node_invite)
        node_join "$i" "$invitation"
        node_start "$i"
        wait_until 20 "node $i serves" ask "$i" status
    done
    wait_until 30 "all nodes know all nodes" everybody_is_here
}

cluster_down() {
    local i
    for i in "${!loads[@]}"; do kill -TERM "${loads[$i]}" 2>/dev/null || true; done
    for i in "${!pids[@]}"; do kill -CONT "${pids[$i]}" 2>/dev/null || true; kill -TERM "${pids[$i]}" 2>/dev/null || true; done
    for i in "${!loads[@]}"; do wait "${loads[$i]}" 2>/dev/null || true; done
    for i in "${!pids[@]}"; do wait "${pids[$i]}" 2>/dev/null || true; done
    pids=()
    loads=()
}

tidy_up() {
    cluster_down
    lab_down
    if [ "${KEEP:-}" = 1 ]; then say "logs: $work"; else rm -rf "$work"; fi
}

# --- the faults -------------------------------------------------------------------------------------
until_over() { [ "$SECONDS" -lt "$fault_ends" ]; }

fault_partition() {
    lab_partition "1 2|3 4|5"
    sleep "$SECONDS_EACH"
}
fault_oneway() {
    # A node that is heard and hears nothing is harder to bear than one that is gone.
    local i
    for i in 2 3 4 5; do lab_oneway "$i" 1; done
    sleep "$SECONDS_EACH"
}
fault_moving() {
    local cuts=("1|2 3 4 5" "1 2|3 4 5" "1 2 3|4 5" "1 3 5|2 4" "1|2|3|4|5") n=0
    while until_over; do
        lab_partition "${cuts[$((n++ % ${#cuts[@]}))]}"
        sleep 2
        lab_heal
        sleep 1
    done
}
fault_kill() {
    local i kills=0
    while until_over; do
        i=$(victim)
        kill -KILL "${pids[$i]}"
        kills=$((kills + 1))
        wait "${pids[$i]}" 2>/dev/null || true
        sleep 1
        node_start "$i"
        wait_until 20 "node $i serves again" ask "$i" status
        sleep 1
    done
    say "$kills times a node was killed"
}
fault_pause() {
    local i
    while until_over; do
        i=$(victim)
        kill -STOP "${pids[$i]}"
        sleep 6
        kill -CONT "${pids[$i]}"
        sleep 2
    done
}
fault_loss() {
    local i j
    for i in 1 2 3 4 5; do
        for j in 1 2 3 4 5; do [ "$i" = "$j" ] || lab_loss "$i" "$j" 5; done
    done
    sleep "$SECONDS_EACH"
}
# ----------------------------------------------------------------------------------------------------

# Safety under faults, then, once they are over, liveness: all agree within a bounded time.
scenario() {
    local name=$1 i
    work=$(mktemp -d)
    trap tidy_up EXIT
    lab_up "$NODES"
    lab_open
    say "$name: $NODES nodes in regions ${REGIONS[*]:1}"
    cluster_up
    for ((i = 1; i <= NODES; i++)); do load_start "$i"; done
    sleep 3
    say "$name: faults for $SECONDS_EACH s"
    fault_ends=$((SECONDS + SECONDS_EACH))
    "fault_$name"
    lab_heal
    sleep 2
    for ((i = 1; i <= NODES; i++)); do kill -TERM "${loads[$i]}"; wait "${loads[$i]}" || true; done
    loads=()
    for ((i = 1; i <= NODES; i++)); do alive "$i" || { say "FAILED: node $i ended by itself"; tail -n 20 "$work/node$i.log"; return 1; }; done
    wait_until "$SETTLE_SECONDS" "all nodes hold the same after the heal" everybody_agrees
    judge
    say "$name: passed"
    tidy_up
    trap - EXIT
}

case ${1:-} in
lacks) lacks ;;
list) printf '%s\n' "${SCENARIOS[@]}" ;;
*)
    lack=$(lacks)
    if [ -n "$lack" ]; then echo "SKIPPED chaos: $lack"; exit 0; fi
    [ -x "$UNISONO" ] || { echo "run.sh: no node at $UNISONO; cargo build --workspace --profile ci" >&2; exit 1; }
    for name in "${@:-${SCENARIOS[@]}}"; do
        declare -F "fault_$name" >/dev/null || { echo "run.sh: no scenario is called $name" >&2; exit 2; }
    done
    for name in "${@:-${SCENARIOS[@]}}"; do scenario "$name"; done
    ;;
esac
