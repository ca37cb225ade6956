#!/usr/bin/env bash
# A node is drained: what runs there ends there, nothing new goes there, also after
# a restart of the data node; `status` tells of both nodes and never waits for one.
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

node() { # NAME JQ-FILTER: of the status
	data_cli status --json | jq -r --arg name "$1" ".compute[] | select(.name == \$name) | $2"
}
is() { # NAME FILTER WANT
	[ "$(node "$1" "$2")" = "$3" ]
}
for box in east west; do
	wait_until 30 "$box is up" is $box .state up
	wait_until 30 "the figures of $box" is $box '.stats.restarts' 0
done
ask() { # TOKENS SEED
	echo "{\"model\":\"slow\",\"prompt\":\"the day was\",\"max_tokens\":$1,\"temperature\":0.9,\"seed\":$2,\"ignore_eos\":true,\"stream\":true}"
}

# Whoever has the answer is drained in the middle of it.
stream /v1/completions "$(ask 350 11)" "$T/whole"
wait_until 60 'some of the answer' has_text "$T/whole" 60
busy=east other=west
if is west .running 1; then busy=west other=east; fi
expect 'requests on the busy one' "$(node $busy .running)" 1
data_cli compute drain $busy
expect 'the state of what drains' "$(node $busy '"\(.state) \(.drain)"')" 'up draining'
data_cli compute list | grep -q "^$busy .* up, draining " || fail 'compute list does not say it'
data_cli status >"$T/status"
grep -q "^compute   $busy .* up, draining$" "$T/status" || fail 'status does not say it'
grep -q 'restarts (0 for memory, 0 silent), cache [0-9]' "$T/status" || fail 'status shows no figures'

# New ones go to the other, on which nothing has run so far.
expect 'tokens of the other so far' "$(node $other '.models[0].tokens_per_second')" null
for seed in 1 2 3; do
	post_json /v1/completions "$(ask 40 $seed | sed 's/,"stream":true//')" >/dev/null
done
[ "$(node $other '.models[0].tokens_per_second | floor')" -gt 0 ] || fail 'the other was not measured'
stream_wait
sse_text "$T/whole" >"$T/whole.txt"
grep -q '"finish_reason":"length"' "$T/whole" || fail 'what ran there did not end'
expect 'the state of what is drained' "$(node $busy '"\(.state) \(.drain)"')" 'up drained'

# It stays drained over a restart of the data node, and with the other gone nothing is served.
node_stop data
data_start
wait_for_model slow
wait_until 30 'the drained one is up' is $busy .state up
wait_until 30 'the figures of the other' is $other '.stats.restarts' 0
expect 'after a restart' "$(node $busy .drain)" drained
node_kill $other
wait_until 30 'the other is down' is $other '.state == "up"' false
[ "$(node $other .stats.age_s)" != null ] || fail 'the last figures of what is down are gone'
expect 'nothing takes a request' "$(status_of POST /v1/completions --max-time 20 \
	--data-binary "$(ask 4 1)")" 503

# Undrained it answers, with the same text.
data_cli compute undrain $busy
wait_for_model slow
stream /v1/completions "$(ask 350 11)" "$T/again"
stream_wait
sse_text "$T/again" | cmp "$T/whole.txt" - || fail 'the text of another node differs'

# An answer whose node dies while it drains goes on there: it has begun.
stream /v1/completions "$(ask 350 11)" "$T/cut"
wait_until 60 'some of the answer' has_text "$T/cut" 60
data_cli compute drain $busy
cut_short $busy
compute_start $busy "$T/slow.gguf" -t 1
stream_wait
sse_text "$T/cut" | cmp "$T/whole.txt" - || fail 'the text differs after its node died'
expect 'still drained' "$(node $busy .drain)" drained
expect 'draining what is not there' "$(code=0; data_cli compute drain nobody 2>/dev/null || code=$?; echo $code)" 1
data_cli compute remove $busy
