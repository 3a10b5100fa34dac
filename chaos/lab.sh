#!/usr/bin/env bash
# Five hosts on one switch, in network namespaces of their own: the machine's own network stays as it is.
#
#   lab.sh up [N]               hosts 1 to N (default 5) and the switch between them
#   lab.sh down                 ends what runs in them and removes them
#   lab.sh exec I COMMAND...    runs a command on host I
#   lab.sh partition "1 2|3 4 5"  groups that do not hear one another; replaces the cuts before it
#   lab.sh oneway I J           nothing from I reaches J any more; the other way it does
#   lab.sh loss I J PERCENT     1, 5, 20 or 50 of a hundred packets from I to J are lost
#   lab.sh heal                 ends all cuts and all loss
#   lab.sh hears I J            succeeds if a ping from I comes back from J
#   lab.sh show                 the switch's rules
#   lab.sh selftest             up, cut, heal, verify by ping, down
#
# Sourced, it gives the same as functions (lab_up, lab_partition, …), and lab_open keeps one `nft -i`
# alive: a change then takes effect in well under a millisecond instead of some ten.
#
# All filtering is in one table of the switch, with two maps from (in, out) to a verdict, so that
# every change is one transaction: there is no moment in which half a cut stands.
set -euo pipefail

LAB=${LAB:-unisono-lab}
LAB_NET=${LAB_NET:-10.77.0}
LAB_SWITCH=$LAB-switch

# What the lab needs and has not got, in words; empty if it can run.
lab_lacks() {
    [ "$(id -u)" = 0 ] || { echo "not root"; return; }
    command -v ip >/dev/null || { echo "no ip (package iproute2)"; return; }
    command -v nft >/dev/null || { echo "no nft (package nftables)"; return; }
    local probe=$LAB-probe
    if ! ip netns add "$probe" 2>/dev/null; then echo "network namespaces are not allowed here"; return; fi
    if ! ip netns exec "$probe" nft add table bridge probe 2>/dev/null; then echo "nft cannot filter on a bridge here"; fi
    ip netns del "$probe"
}

lab_host() { echo "$LAB-host$1"; }
lab_address() { echo "$LAB_NET.$1"; }
lab_exec() { local host; host=$(lab_host "$1"); shift; ip netns exec "$host" "$@"; }
lab_names() { ip netns list | awk '{print $1}' | grep -E "^$LAB-(host[0-9]+|switch|probe)$" || true; }
lab_size() { lab_names | grep -c host || true; }

lab_up() {
    local count=${1:-5}
    [ -z "$(lab_names)" ] || { echo "lab: there is one already; lab.sh down ends it" >&2; return 1; }
    if ! lab_build "$count"; then lab_down; echo "lab: could not be built" >&2; return 1; fi
}

# One command per line of && so that the first failure ends it: `set -e` does not reach in here.
lab_build() {
    local count=$1 i j host
    ip netns add "$LAB_SWITCH" &&
        ip -n "$LAB_SWITCH" link set lo up &&
        ip -n "$LAB_SWITCH" link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 ageing_time 100000000 &&
        ip -n "$LAB_SWITCH" link set br0 up || return 1
    for i in $(seq 1 "$count"); do
        host=$(lab_host "$i")
        ip netns add "$host" &&
            ip -n "$host" link set lo up &&
            ip link add e0 netns "$host" type veth peer name "p$i" netns "$LAB_SWITCH" &&
            ip -n "$host" link set e0 address "02:00:00:00:00:$(printf %02x "$i")" &&
            ip -n "$host" addr add "$LAB_NET.$i/24" dev e0 &&
            ip -n "$host" link set e0 up &&
            ip -n "$LAB_SWITCH" link set "p$i" master br0 up || return 1
    done
    # Neighbours are fixed: otherwise a cut also kills their discovery, and a heal waits for it.
    for i in $(seq 1 "$count"); do
        for j in $(seq 1 "$count"); do
            [ "$i" = "$j" ] || ip -n "$(lab_host "$i")" neigh replace "$LAB_NET.$j" \
                lladdr "02:00:00:00:00:$(printf %02x "$j")" dev e0 nud permanent || return 1
        done
    done
    ip netns exec "$LAB_SWITCH" nft -f - <<'NFT'
table bridge chaos {
  map cut  { type ifname . ifname : verdict; }
  map loss { type ifname . ifname : verdict; }
  chain lose1  { numgen random mod 100 < 1 counter drop; }
  chain lose5  { numgen random mod 100 < 5 counter drop; }
  chain lose20 { numgen random mod 100 < 20 counter drop; }
  chain lose50 { numgen random mod 100 < 50 counter drop; }
  chain crossing {
    type filter hook forward priority 0; policy accept;
    iifname . oifname vmap @cut; iifname . oifname vmap @loss;
  }
}
NFT
}

lab_down() {
    lab_close
    local name pid
    for name in $(lab_names); do
        # A stopped process does not see TERM, hence KILL; only what runs inside is meant.
        for pid in $(ip netns pids "$name" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns del "$name"
    done
}

# Keeps one nft alive for the changes to come.
lab_open() {
    [ -z "${LAB_NFT_PID:-}" ] || return 0
    coproc LAB_NFT { exec ip netns exec "$LAB_SWITCH" nft -i 2>&1; }
}

lab_close() {
    [ -n "${LAB_NFT_PID:-}" ] || return 0
    local pid=$LAB_NFT_PID
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    unset LAB_NFT_PID
}

# One transaction. With lab_open it goes to the living nft, and a listing after it says that it stands.
lab_change() {
    if [ -z "${LAB_NFT_PID:-}" ]; then
        printf '%s\n' "$1" | ip netns exec "$LAB_SWITCH" nft -f -
        return
    fi
    local line failed=''
    printf '%s\nlist map bridge chaos cut\n' "$1" >&"${LAB_NFT[1]}"
    while IFS= read -r -t 5 line <&"${LAB_NFT[0]}"; do
        case $line in
        *Error:*) failed=$line ;;
        '}') [ -z "$failed" ] || { echo "lab: nft: $failed" >&2; return 1; }; return 0 ;;
        esac
    done
    echo "lab: nft does not answer: $1" >&2
    return 1
}

lab_partition() {
    local groups elements='' a b x y
    IFS='|' read -ra groups <<<"$1"
    for a in "${!groups[@]}"; do
        for b in "${!groups[@]}"; do
            [ "$a" = "$b" ] && continue
            for x in ${groups[$a]}; do
                for y in ${groups[$b]}; do elements+="${elements:+, }\"p$x\" . \"p$y\" : drop"; done
            done
        done
    done
    [ -n "$elements" ] || { echo "lab: partition needs groups, as in \"1 2|3 4 5\"" >&2; return 2; }
    lab_change "flush map bridge chaos cut; add element bridge chaos cut { $elements }"
}

lab_oneway() { lab_change "add element bridge chaos cut { \"p$1\" . \"p$2\" : drop }"; }
lab_loss() { lab_change "add element bridge chaos loss { \"p$1\" . \"p$2\" : jump lose$3 }"; }
lab_heal() { lab_change "flush map bridge chaos cut; flush map bridge chaos loss"; }
lab_hears() { lab_exec "$1" ping -n -q -c 1 -W "${3:-1}" "$(lab_address "$2")" >/dev/null 2>&1; }
lab_show() { ip netns exec "$LAB_SWITCH" nft list table bridge chaos; }

# Who hears whom, one line a host. A ping needs both ways, so a one-way cut silences the pair.
lab_table() {
    local count i j row
    count=$(lab_size)
    for i in $(seq 1 "$count"); do
        row="  host $i hears:"
        for j in $(seq 1 "$count"); do
            if [ "$i" = "$j" ]; then row+=" ."; elif lab_hears "$i" "$j" 0.3; then row+=" $j"; else row+=" -"; fi
        done
        echo "$row"
    done
}

lab_expect() { # WHAT, then the table's rows without spaces
    local what=$1 got
    shift
    got=$(lab_table)
    echo "$what"
    echo "$got"
    [ "$(sed 's/.*: //; s/ //g' <<<"$got" | paste -sd' ')" = "$*" ] || { echo "lab: expected $*" >&2; return 1; }
}

# Counts what arrives from I at J while nothing answers: the one way that still works, works.
lab_crosses() { # I J: succeeds if a packet from I reaches J
    local before after
    before=$(lab_exec "$2" cat /sys/class/net/e0/statistics/rx_packets 2>/dev/null)
    lab_hears "$1" "$2" 0.2 || true
    after=$(lab_exec "$2" cat /sys/class/net/e0/statistics/rx_packets 2>/dev/null)
    [ "$after" -gt "$before" ]
}

lab_selftest() {
    command -v ping >/dev/null || { echo "lab: the self-test needs ping (package iputils-ping)" >&2; return 1; }
    trap lab_down EXIT
    lab_up 5
    lab_expect "whole:" .2345 1.345 12.45 123.5 1234.
    lab_partition "1 2|3 4 5"
    lab_expect "partition 1 2|3 4 5:" .2--- 1.--- --.45 --3.5 --34.
    lab_heal
    lab_expect "healed:" .2345 1.345 12.45 123.5 1234.
    lab_open
    lab_partition "1|2 3 4|5"
    lab_expect "partition 1|2 3 4|5, by the living nft:" .---- -.34- -2.4- -23.- ----.
    if lab_change 'add element bridge nowhere cut { "p1" . "p2" : drop }' 2>/dev/null; then
        echo "lab: a wrong change was not noticed" >&2
        return 1
    fi
    lab_heal
    lab_oneway 1 2
    lab_expect "one way, 1 to 2:" .-345 -.345 12.45 123.5 1234.
    if lab_crosses 1 2; then echo "lab: 1 still reaches 2" >&2; return 1; fi
    lab_crosses 2 1 || { echo "lab: 2 does not reach 1" >&2; return 1; }
    echo "  2 reaches 1, and 1 does not reach 2"
    lab_heal
    local start=${EPOCHREALTIME/./} n
    for ((n = 0; n < 50; n++)); do lab_partition "1 2|3 4 5"; lab_heal; done
    echo "a change by the living nft takes $(((${EPOCHREALTIME/./} - start) / 100)) µs, its acknowledgement included"
    lab_expect "healed after 50 cuts:" .2345 1.345 12.45 123.5 1234.
    lab_down
    trap - EXIT
    [ -z "$(lab_names)" ]
    echo "lab: as it should be"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    case ${1:-} in
    up | down | exec | partition | oneway | loss | heal | hears | show | table | lacks | selftest)
        what=$1
        shift
        "lab_$what" "$@"
        ;;
    *) sed -n '2,14p' "$0" | cut -c3- ; exit 2 ;;
    esac
fi
