#!/usr/bin/env bash
# Plays a whole trace into a cluster of real nodes on loopback whose last node is cut off for 20 s in
# the middle, and holds what every node shows against what was acknowledged. Needs no root: the cut is
# the nodes' own (`--test-faults`), which close what they have and take nothing new.
#
#   trace.sh FILE NODES regions|one-region     exit code: that of `unisono replay --check`
#
# CUT_AFTER is when the cut begins (s, default 6), CUT how long it lasts (s, default 20). KEEP=1 leaves
# the directory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
UNISONO=${UNISONO:-$root/target/ci/unisono}
CUT_AFTER=${CUT_AFTER:-6}
CUT=${CUT:-20}
PORT=${PORT:-27700}
[ $# = 3 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ -r "$1" ] || { echo "$1 cannot be read" >&2; exit 2; }
trace=$(realpath "$1")
count=$2
spread=$3

work=$(mktemp -d)
pids=()
clean() {
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    [ -n "${KEEP:-}" ] && echo "left in $work" || rm -rf "$work"
}
trap clean EXIT

url() { echo "http://127.0.0.1:$((PORT + $1))"; }
region() { [ "$spread" = regions ] && echo "region-$1" || echo here; }
order() { # JSON for the last node
    curl -sSf -XPOST "$(url "$count")/v1/test/faults" -H 'content-type: application/json' -d "$1" >/dev/null
}
# Ticks of 10 ms that all nodes have used.
ticks() { for pid in "${pids[@]}"; do cut -d')' -f2 "/proc/$pid/stat"; done | awk '{ sum += $12 + $13 } END { print sum }'; }

cd "$work"
for ((i = 1; i <= count; i++)); do
    if [ "$i" = 1 ]; then
        "$UNISONO" init --data n1 --name n1 --region "$(region 1)" >/dev/null
    else
        "$UNISONO" join "$("$UNISONO" invite --data n1)" --data "n$i" --name "n$i" --region "$(region "$i")" >/dev/null
    fi
    "$UNISONO" serve --data "n$i" --http "127.0.0.1:$((PORT + i))" --peer "127.0.0.1:$((PORT + 100 + i))" \
        --test-faults --log warn >"log$i" 2>&1 &
    pids+=($!)
    sleep 1
done
sleep 3

nodes=()
others=
for ((i = 1; i <= count; i++)); do
    nodes+=(--node "$(url "$i")")
    id=$("$UNISONO" status --node "$(url "$i")" -o json | sed -n 's/.*"node": *"\([0-9a-f]*\)".*/\1/p' | tail -n 1)
    [ "$i" = "$count" ] || others="$others${others:+,}\"$id\""
done
before=$(ticks)
(
    sleep "$CUT_AFTER"
    order "{\"block\":[$others]}"
    echo "n$count is cut off"
    sleep "$CUT"
    order "{\"unblock\":[$others]}"
    echo "healed"
) &
cutter=$!
code=0
"$UNISONO" replay "$trace" --orchestra fleet "${nodes[@]}" --check --report report.json || code=$?
wait "$cutter"
echo "processor time of all nodes: $(($(ticks) - before))0 ms"
for ((i = 1; i <= count; i++)); do
    echo "n$i: $(grep VmHWM "/proc/${pids[$((i - 1))]}/status" | tr -s '[:space:]' ' ')"
    tail -n 3 "log$i" | cut -c1-200
done
exit "$code"
