#!/usr/bin/env bash
# Both nodes open sockets of no other families than their units allow, from the first
# call on: libraries open some that nobody would think of.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

[[ $HEARTH_BUILD != *sanitize* ]] || skip 'cannot be traced'
command -v strace >/dev/null || skip 'no strace'
strace -o /dev/null true 2>/dev/null || skip 'strace cannot trace here'
tiny_model "$T/tiny.gguf" --seed 3 --ctx 1024
data_init
compute_init box
pair box
traced() { # NODE
	echo strace -D -f -qq -e trace=socket,socketpair -e signal=none -o "$T/$1.calls"
}
# shellcheck disable=SC2046
node_start box $(traced compute) "$COMPUTE" serve --dir "$T/box" --model "$T/tiny.gguf" --allow-swap \
	--listen "tcp://127.0.0.1:${COMPUTE_PORT[box]}"
# shellcheck disable=SC2046
node_start data $(traced data) "$DATA" serve --dir "$T/data" --listen "127.0.0.1:$DATA_PORT" \
	--follow-listen "tcp://127.0.0.1:$(free_port)"
wait_for_model tiny
post_json /v1/completions '{"model":"tiny","prompt":"the day","max_tokens":2}' >/dev/null
# A model elsewhere, by a name that has to be looked up; nobody is there.
data_cli cloud add none "https://localhost:$(free_port)/v1" --model m
post_json /v1/completions '{"model":"cloud/none","prompt":"the day","max_tokens":2}' >/dev/null
for node in data compute; do
	allowed=$(sed -n 's/^RestrictAddressFamilies=//p' "deploy/systemd/hearth-$node.service" | tr ' ' '\n')
	used=$(grep -o '\bAF_[A-Z0-9_]*' "$T/$node.calls" | sort -u)
	[ -n "$used" ] || fail "no socket of $node was seen"
	expect "families that the unit of $node forbids" "$(comm -23 <(echo "$used") <(sort <<<"$allowed"))" ''
	echo "$node: $(paste -sd' ' <<<"$used")"
done
