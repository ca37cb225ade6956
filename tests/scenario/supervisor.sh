#!/usr/bin/env bash
# The worker of a compute node may be killed, may freeze, may run out of memory:
# the supervisor brings it back, and an answer goes on to the same bytes.  Memory
# is a drill: figures in a directory of the test.
# limit_s: 240
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

slow_model "$T/slow.gguf"
data_init
compute_init box
pair box

# A host of files: 16 GiB, so much of it available, and no memory of the kernel's
# own killing.
host_has() { # MIB
	mkdir -p "$T/host/proc"
	printf 'MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable: %d kB\n' $(($1 * 1024)) >"$T/host/new"
	mv "$T/host/new" "$T/host/proc/meminfo"
}
host_has 12000
start() {
	compute_start box "$T/slow.gguf" -t 1 --watchdog 2s --memory-root "$T/host"
}
start
data_start
wait_for_model slow

ask='{"model":"slow","prompt":"the day was","max_tokens":140,"temperature":0.9,"seed":11,"ignore_eos":true,"stream":true}'
stream /v1/completions "$ask" "$T/whole"
stream_wait
sse_text "$T/whole" >"$T/whole.txt"

restarts() {
	count_in_log box SERVE-WORKER-GONE
}
came_back() { # LINES of SERVE-WORKER-GONE before
	[ "$(restarts)" -gt "$1" ] && ! gone client
}
# disturb NAME COMMAND...: in mid-answer, which must not be seen in its text.
disturb() {
	local name=$1 before
	before=$(restarts)
	shift
	stream /v1/completions "$ask" "$T/$name"
	wait_until 60 'some of the answer' has_text "$T/$name" 40
	"$@"
	wait_until 20 "$name: the worker is gone" came_back "$before"
	stream_wait
	sse_text "$T/$name" >"$T/$name.txt"
	cmp "$T/whole.txt" "$T/$name.txt" || fail "$name: the text differs"
	alive box || fail "$name: the supervisor is gone"
}
signal_worker() { # SIGNAL
	kill "-$1" "$(worker_of box)"
}

disturb killed signal_worker KILL
log_has box SERVE-WORKER-GONE 'reason=signal number=9 ' || fail 'why the worker was gone'
disturb frozen signal_worker STOP
log_has box SERVE-WORKER-GONE 'reason=silent ' || fail 'a frozen worker is silent'
disturb crashed signal_worker SEGV

# After a life of a second an answer does not wait for the next one.
late=$(sed -n 's/.* SERVE-WORKER-GONE .* lived_ms=\([0-9]\{4,\}\) again_in_ms=\([1-9][0-9]*\).*/\1 \2/p' "$T/box.log")
[ -z "$late" ] || fail "a worker that had served came back late (lived, waited ms): $late"

# Below the soft floor nothing new is taken; what runs goes on.
stream /v1/completions "$ask" "$T/soft"
wait_until 60 'some of the answer' has_text "$T/soft" 40
host_has 900
wait_until 10 'the floor is seen' log_has box SERVE-MEMORY-SHORT 'floor=soft'
# The node itself is asked: a data node would ask a busy one again for a while.
"$TOOLS/compute_load" --address "tcp://127.0.0.1:${COMPUTE_PORT[box]}" --key "${COMPUTE_KEY[box]}" \
	--allow "$T/box/allow" --model slow --requests 3 --slots 1 >"$T/refused"
jq -e '.busy == 3 and .untyped == 0' "$T/refused" >/dev/null || fail "while memory is short: $(cat "$T/refused")"
stream_wait
sse_text "$T/soft" | cmp "$T/whole.txt" - || fail 'what ran did not go on'
host_has 12000
wait_until 10 'memory is back' log_has box SERVE-MEMORY-OK
wait_for_model slow
post_json /v1/completions '{"model":"slow","prompt":"x","max_tokens":4}' >/dev/null

# Below the hard floor the worker is killed at once, and comes back with half the
# context when there is room again; the answer waits for it.
context() {
	sed -n 's/.* SERVE-READY .*planned_bytes=\([0-9]*\) .*/\1/p' "$T/box.log" | tail -1
}
full=$(context)
short_of_all() {
	host_has 300
	wait_until 10 'the worker is killed' log_has box SERVE-WORKER-GONE 'reason=memory'
	if find_worker box; then fail 'a worker was started while nothing is left'; fi
	host_has 12000
}
disturb starved short_of_all
log_has box 'SERVE-WORKER' 'halvings=1' || fail 'the plan did not get smaller'
[ "$(context)" -lt "$full" ] || fail 'the smaller plan takes as much'

# Whoever kills the supervisor ends both; a stop ends both in good order.
worker=$(worker_of box)
node_kill box
worker_gone() {
	! kill -0 "$worker" 2>/dev/null
}
wait_until 5 'the worker ends with its supervisor' worker_gone
start
worker=$(worker_of box)
node_stop box
worker_gone || fail 'the worker outlived a stop'

# What can never work is not tried again: the exit code is the worker's.
expect 'a plan that is refused' "$(
	code=0
	timeout 20 "$COMPUTE" serve --dir "$T/box" --model "$T/slow.gguf" --budget 1M \
		--listen tcp://127.0.0.1:0 2>"$T/refused" || code=$?
	echo $code
)" 5
grep -q 'no context fits' "$T/refused" || fail 'why the plan was refused'
alive data || fail 'the data node did not survive'
