#!/usr/bin/env bash
# One compute node serves two data nodes: neither sees what the other asks or how
# much, and neither is disturbed when the other vanishes in the middle of an answer.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

slow_model "$T/slow.gguf"
declare -A PORT=() AUTH=()
# as NAME: the functions of scenario.sh mean this data node from here on.
as() {
	DATA_PORT=${PORT[$1]} TOKEN=${AUTH[$1]}
}
compute_init box
for who in ada ben; do
	PORT[$who]=$(free_port)
	"$DATA" init --dir "$T/$who" >"$T/$who.init"
	AUTH[$who]=$(sed -n 's/^owner token: //p' "$T/$who.init")
	"$COMPUTE" allow --dir "$T/box" "$(sed -n 's/^public key: //p' "$T/$who.init")" >/dev/null
	"$DATA" compute add --dir "$T/$who" box "tcp://127.0.0.1:${COMPUTE_PORT[box]}" "${COMPUTE_KEY[box]}" >/dev/null
done
compute_start box "$T/slow.gguf" -t 1 --parallel 2
for who in ada ben; do
	node_start $who "$DATA" serve --dir "$T/$who" --listen "127.0.0.1:${PORT[$who]}"
	as $who
	wait_for_model slow
done

stats() { # NAME FILTER
	"$DATA" status --dir "$T/$1" --json | jq -r ".compute[0].stats | $2"
}
is() { # NAME FILTER WANT
	[ "$(stats "$1" "$2")" = "$3" ]
}
ask='{"model":"slow","prompt":"the day was","max_tokens":400,"temperature":0.9,"seed":11,"ignore_eos":true,"stream":true}'

as ada
stream /v1/completions "$ask" "$T/alone"
stream_wait
sse_text "$T/alone" >"$T/alone.txt"
wait_until 20 'the one is told of its own' is ada .tokens_generated 400
wait_until 20 'the other has figures' is ben .restarts 0
expect 'what the other learns of it' \
	"$(stats ben '"\(.requests) \(.refused) \(.tokens_generated) \(.tokens_prompt) \(.leases) \(.kv_tokens_used)"')" '0 0 0 0 0 0'

# Both at once; the other one vanishes without a word in the middle of its answer.
stream /v1/completions "$ask" "$T/beside"
PID[first]=${PID[client]}
as ben
stream /v1/completions "$ask" "$T/lost"
wait_until 60 'some of both answers' has_text "$T/lost" 40
node_kill ben
kill -9 "${PID[client]}" 2>/dev/null || true
PID[client]=${PID[first]}
unset 'PID[first]'
as ada
stream_wait
sse_text "$T/beside" | cmp "$T/alone.txt" - || fail 'the answer beside another one differs'
wait_until 20 'what ran for the one that vanished is over' is ada .leases 0
nothing_runs() {
	[ "$("$DATA" status --dir "$T/ada" --json | jq '.compute[0] | .active + .queued')" = 0 ]
}
wait_until 20 'nothing runs any more' nothing_runs

# What is drained for one is not for the other; nor is a name known there.
node_start ben "$DATA" serve --dir "$T/ben" --listen "127.0.0.1:${PORT[ben]}"
"$DATA" compute drain --dir "$T/ada" box
as ben
wait_for_model slow
stream /v1/completions "$ask" "$T/other"
stream_wait
sse_text "$T/other" | cmp "$T/alone.txt" - || fail 'the same question of another data node has another answer'
