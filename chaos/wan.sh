#!/usr/bin/env bash
# The cluster's clock between real processes in three regions behind an emulated wide-area network:
# each host has a network device of its own (TUN), and a router gives each packet its delay.
#
#   wan.sh [OPTIONS...]   builds the network, runs `unisono bench clock-processes --wan` with the options
#                         (--seconds S, --cut-seconds S, -o json), and removes everything
#   wan.sh lacks          what is missing to run this here, in words
#   wan.sh down           removes what a run that was killed has left
#
# DELAY_US (default 40000) is what each way takes at least, JITTER_US (default 20000) the mean of what
# comes on top, exponentially distributed; SEED makes it repeatable. A ten-minute cut:
# wan.sh --seconds 600 --cut-seconds 600.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

WAN=${WAN:-unisono-wan}
HOSTS=3
target=${CARGO_TARGET_DIR:-$root/target}
UNISONO=${UNISONO:-$target/ci/unisono}
ROUTER=${ROUTER:-$target/ci/unisono-router}
DELAY_US=${DELAY_US:-40000}
JITTER_US=${JITTER_US:-20000}

lacks() {
    [ "$(id -u)" = 0 ] || { echo "not root"; return; }
    command -v ip >/dev/null || { echo "no ip (package iproute2)"; return; }
    [ -c /dev/net/tun ] || { echo "no /dev/net/tun: this kernel gives no network devices to programs"; return; }
    local probe=$WAN-probe
    # One that a run which was killed has left.
    ip netns del "$probe" 2>/dev/null || true
    if ! ip netns add "$probe" 2>/dev/null; then echo "network namespaces are not allowed here"; return; fi
    if ! ip -n "$probe" tuntap add dev probe mode tun 2>/dev/null; then echo "TUN devices are not allowed here"; fi
    ip netns del "$probe"
}

names() { ip netns list | awk '{print $1}' | grep -E "^$WAN-(host[0-9]+|desk|probe)$" || true; }

down() {
    local name pid
    for name in $(names); do
        # A stopped process does not see TERM, hence KILL; only what runs inside is meant.
        for pid in $(ip netns pids "$name" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns del "$name"
    done
}

# The desk is where the benchmark sits: it reaches every host by a cable of its own, without delay, and
# hosts reach one another through the router alone.
up() {
    local i
    ip netns add "$WAN-desk"
    ip -n "$WAN-desk" link set lo up
    ip -n "$WAN-desk" link add br0 type bridge stp_state 0 forward_delay 0
    ip -n "$WAN-desk" addr add 10.79.0.254/24 dev br0
    ip -n "$WAN-desk" link set br0 up
    for i in $(seq 1 $HOSTS); do
        ip netns add "$WAN-host$i"
        ip -n "$WAN-host$i" link set lo up
        ip link add m0 netns "$WAN-host$i" type veth peer name "m$i" netns "$WAN-desk"
        ip -n "$WAN-host$i" addr add "10.79.0.$i/24" dev m0
        ip -n "$WAN-host$i" link set m0 up
        ip -n "$WAN-desk" link set "m$i" master br0 up
    done
    mkfifo "$work/orders"
    # Held open, so that the router's input does not end with whoever writes first.
    exec 7<>"$work/orders"
    ip netns exec "$WAN-desk" "$ROUTER" $HOSTS "$DELAY_US" "$JITTER_US" "${SEED:-1}" \
        <"$work/orders" >"$work/router.log" 2>&1 7<&- &
    router=$!
    for ((i = 0; i < 50; i++)); do
        grep -q ready "$work/router.log" && break
        sleep 0.1
    done
    grep -q ready "$work/router.log" || { cat "$work/router.log" >&2; return 1; }
    for i in $(seq 1 $HOSTS); do
        ip -n "$WAN-desk" link set "wan$i" netns "$WAN-host$i"
        ip -n "$WAN-host$i" addr add "10.78.0.$i/24" dev "wan$i"
        ip -n "$WAN-host$i" link set "wan$i" mtu 1500 txqueuelen 5000 up
    done
    echo "$WAN-host" >"$work/namespace"
}

tidy_up() {
    local code=$?
    # What fails here must not leave the rest undone.
    set +e
    if [ -n "${router:-}" ]; then
        printf 'stats\nquit\n' >&7
        wait "$router" 2>/dev/null
        sed -n 's/^carried/router: carried/p' "$work/router.log" >&2
    fi
    down
    rm -rf "$work"
    exit "$code"
}

case ${1:-} in
lacks) lacks ;;
down) down ;;
*)
    lack=$(lacks)
    if [ -n "$lack" ]; then echo "SKIPPED wan: $lack"; exit 0; fi
    for program in "$UNISONO" "$ROUTER"; do
        [ -x "$program" ] || { echo "wan.sh: nothing at $program; cargo build --workspace --profile ci" >&2; exit 1; }
    done
    [ -z "$(names)" ] || { echo "wan.sh: there is such a network already; wan.sh down ends it" >&2; exit 1; }
    work=$(mktemp -d)
    trap tidy_up EXIT
    trap 'exit 130' INT TERM
    up
    ip netns exec "$WAN-desk" "$UNISONO" bench clock-processes --wan "$work" "$@"
    ;;
esac
