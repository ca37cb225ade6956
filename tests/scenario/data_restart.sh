#!/usr/bin/env bash
# A restart of the data node while the compute node is up: it reconnects, what
# ran for the old connection is over, and its lease does not stay.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

slow_model "$T/slow.gguf"
data_init
compute_init box
pair box
compute_start box "$T/slow.gguf" -t 1
ask='{"model":"slow","prompt":"the day was","max_tokens":12,"temperature":0,"ignore_eos":true}'
want=''

for how in node_stop node_kill node_kill; do
	data_start
	wait_for_model slow
	text=$(post_json /v1/completions "$ask" | jq -r '.choices[0].text')
	[ -z "$want" ] || expect 'the same answer after a restart' "$text" "$want"
	want=$text
	# Leave in the middle of a long answer.
	stream /v1/completions \
		'{"model":"slow","prompt":"and","max_tokens":1800,"temperature":0,"ignore_eos":true,"stream":true}' "$T/left"
	wait_until 60 'the long answer began' has_text "$T/left" 20
	$how data
	kill -9 "${PID[client]}" 2>/dev/null || true
	wait "${PID[client]}" 2>/dev/null || true
	unset 'PID[client]'
	alive box || fail 'the compute node ended'
done

# The abandoned answers do not hold the node's only slots: a new one is served.
data_start
wait_for_model slow
expect 'the answer at last' "$(post_json /v1/completions "$ask" | jq -r '.choices[0].text')" "$want"
node_stop data
node_stop box
