#!/usr/bin/env bash
# Wrong key on either side, an unknown client, a plaintext client, noise on the
# port: all refused, logged by id, and nobody falls over.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

tiny_model "$T/tiny.gguf" --seed 3
data_init
compute_init box
compute_start box "$T/tiny.gguf"
data_start
address=tcp://127.0.0.1:${COMPUTE_PORT[box]}
never() {
	! serves_model tiny || fail "$1"
}

# The data node knows the compute node, but is not on its list.
data_cli compute add unknown "$address" "${COMPUTE_KEY[box]}" >/dev/null
wait_until 30 'an unknown client is logged' log_has box WIRE-REFUSED
never 'an unknown client was served'
data_cli compute remove unknown >/dev/null

# The data node pins another public key than the compute node has.
"$COMPUTE" init --dir "$T/other" >"$T/other.init"
other=$(sed -n 's/^public key: //p' "$T/other.init")
"$COMPUTE" allow --dir "$T/box" "$DATA_KEY" >/dev/null
data_cli compute add impostor "$address" "$other" >/dev/null
wait_until 30 'the data node tried' eval '[ "$(data_cli compute list | grep -c impostor)" = 1 ]'
for _ in 1 2 3; do never 'an impostor was believed'; done
data_cli compute remove impostor >/dev/null

trap '' PIPE # the node may hang up before we have said all
# A client that speaks ZMTP without CURVE, and one that speaks nothing at all.
exec 7<>"/dev/tcp/127.0.0.1/${COMPUTE_PORT[box]}"
printf '\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >&7
exec 8<>"/dev/tcp/127.0.0.1/${COMPUTE_PORT[box]}"
head -c 4096 /dev/urandom >&8 2>/dev/null || true
printf 'GET / HTTP/1.1\r\n\r\n' >&8 2>/dev/null || true
exec 7>&- 8>&-
alive box || fail 'the compute node ended'

# The right keys on both sides still work.
data_cli compute add box "$address" "${COMPUTE_KEY[box]}" >/dev/null
wait_for_model tiny
post_json /v1/completions '{"model":"tiny","prompt":"the","max_tokens":4}' | jq -e '.choices[0].text' >/dev/null
node_stop box
node_stop data
grep -q "$TOKEN" "$T"/*.log && fail 'the token stands in a log'
true
