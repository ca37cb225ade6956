#!/usr/bin/env bash
# A compute node that may not lock its memory: it does not serve beside active swap,
# unless told to, and says which it is.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

tiny_model "$T/tiny.gguf"
compute_init box
mkdir -p "$T/host/proc"
cp /proc/meminfo "$T/host/proc/"
heads=$'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority'
limited=(prlimit --memlock=65536:65536)
[ "$(id -u)" != 0 ] || limited+=(setpriv --bounding-set=-ipc_lock)
"${limited[@]}" true 2>/dev/null || skip 'rights cannot be dropped here'
serve=("$COMPUTE" serve --dir "$T/box" --model "$T/tiny.gguf" --memory-root "$T/host"
	--listen "tcp://127.0.0.1:${COMPUTE_PORT[box]}")

printf '%s\n/dev/sda2 partition 2097148 0 -2\n' "$heads" >"$T/host/proc/swaps"
expect 'beside active swap' "$(timeout 20 "${limited[@]}" "${serve[@]}" 2>"$T/err" >/dev/null; echo $?)" 3
grep -q -- --allow-swap "$T/err" || fail "no way out is named: $(cat "$T/err")"

node_start box "${limited[@]}" "${serve[@]}" --allow-swap
log_has box SERVE-READY 'locked=no' || fail 'READY does not say that nothing is locked'
log_has box SERVE-SWAP || fail 'no word of swap'
node_stop box

printf '%s\n' "$heads" >"$T/host/proc/swaps"
: >"$T/box.log"
node_start box "${limited[@]}" "${serve[@]}"
log_has box SERVE-READY 'locked=no' || fail 'READY does not say that nothing is locked'
log_has box SERVE-SWAP && fail 'a word of swap where there is none'
node_stop box
