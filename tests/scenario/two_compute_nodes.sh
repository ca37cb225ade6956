#!/usr/bin/env bash
# Two compute nodes, the one that answers is killed: the other finishes the
# answer with the same bytes.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

slow_model "$T/slow.gguf"
data_init
for box in east west; do
	compute_init $box
	pair $box
	compute_start $box "$T/slow.gguf" -t 1
done
data_start
wait_for_model slow
both_up() {
	[ "$(data_cli compute list | grep -cE '(east|west).*\bup\b')" = 2 ]
}
wait_until 30 'both nodes are up' both_up

ask='{"model":"slow","prompt":"the day was","max_tokens":700,"temperature":0.9,"seed":11,"ignore_eos":true,"stream":true}'
stream /v1/completions "$ask" "$T/whole"
stream_wait
sse_text "$T/whole" >"$T/whole.txt"

# CPU time tells which of them works.
ticks() {
	awk '{ print $14 + $15 }' "/proc/$(worker_of "$1")/stat"
}
for round in 1 2; do
	east=$(ticks east) west=$(ticks west)
	stream /v1/completions "$ask" "$T/cut"
	wait_until 60 'some of the answer' has_text "$T/cut" 60
	east=$(($(ticks east) - east)) west=$(($(ticks west) - west))
	busy=east
	[ $west -gt $east ] && busy=west
	cut_short $busy
	stream_wait
	sse_text "$T/cut" >"$T/cut.txt"
	cmp "$T/whole.txt" "$T/cut.txt" || fail "round $round: the text differs"
	compute_start $busy "$T/slow.gguf" -t 1
	wait_until 30 'both nodes are up' both_up
done
